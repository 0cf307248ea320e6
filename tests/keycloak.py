"""A real Keycloak, as an institution runs it: from Maven Central, kept in a cache outside the tree, on a port of this machine.

The first start of a machine unpacks it, lets it prepare itself and make its database (a minute or two); each start after that is of a
copy of that database, and takes some ten seconds.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

VERSION = "26.7.3"
REALM = "institut"
CLIENT, SECRET = "etabli", "the lab's secret there"
PASSWORD = "a long and quiet password"
START_SECONDS = 240.0  # Of a machine whose cores are busy, and of the first time.
HEAP = "-Xms64m -Xmx512m"


class NotToBeHad(Exception):
    """Maven Central cannot be reached from here: a test says that it is left out."""


@dataclass(frozen=True)
class Keycloak:
    """A realm that answers, whose `grace` is in `/statistics/prices`."""

    port: int

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}/realms/{REALM}"

    def admin(self, method: str, path: str, body: object = None) -> httpx.Response:
        """A request of its administration, as its administrator."""
        base = f"http://127.0.0.1:{self.port}"
        form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": PASSWORD}
        with httpx.Client(timeout=60, trust_env=False) as client:
            token = client.post(f"{base}/realms/master/protocol/openid-connect/token", data=form).json()["access_token"]
            headers = {"Authorization": f"Bearer {token}"}
            answer = client.request(method, f"{base}/admin/realms/{REALM}{path}", json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer


def fetched() -> Path:
    """Where Keycloak is kept, ready to be copied; made where it is not. NotToBeHad where it cannot be fetched."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etabli-tests" / f"keycloak-{VERSION}"
    if not (cache / "ready").exists():
        _install(cache)
    return cache


@contextmanager
def running() -> Iterator[Keycloak]:
    """Keycloak with its realm, ended in the end. NotToBeHad where it cannot be fetched."""
    cache = fetched()
    with tempfile.TemporaryDirectory(prefix="etb-kc-", dir="/tmp") as folder:
        made = Path(folder) / "keycloak"
        made.mkdir()
        for part in (cache / "home").iterdir():  # Its program is shared, its data are this run's own.
            if part.name != "data":
                (made / part.name).symlink_to(part)
        shutil.copytree(cache / "home/data", made / "data")
        with _started(made) as port:
            yield Keycloak(port=port)


def _install(cache: Path) -> None:
    """Fetch, unpack, start once: what it prepares then stays."""
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir(parents=True)
    artifact = f"org.keycloak:keycloak-quarkus-dist:{VERSION}:zip"
    fetch = ["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={artifact}", f"-DoutputDirectory={cache}"]
    done = subprocess.run(fetch, check=False, cwd=cache, capture_output=True, text=True)
    if done.returncode:
        raise NotToBeHad(f"Keycloak could not be fetched: {done.stdout[-300:].strip()}")
    archive = cache / f"keycloak-quarkus-dist-{VERSION}.zip"
    with zipfile.ZipFile(archive) as whole:
        whole.extractall(cache)
    archive.unlink()
    home = (cache / f"keycloak-{VERSION}").rename(cache / "home")
    (home / "bin/kc.sh").chmod(0o755)
    (home / "data/import").mkdir(parents=True)
    (home / "data/import/realm.json").write_text(json.dumps(_realm()))
    with _started(home, "--import-realm"):
        pass
    shutil.rmtree(home / "data/import")
    (cache / "ready").touch()


@contextmanager
def _started(home: Path, *options: str) -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = int(listener.getsockname()[1])
    argv = ["bash", str(home / "bin/kc.sh"), "start-dev", *options, "--http-host=127.0.0.1", f"--http-port={port}"]
    environ = {
        **os.environ,
        "KC_HOME_DIR": str(home),
        "JAVA_OPTS_KC_HEAP": HEAP,
        "KC_BOOTSTRAP_ADMIN_USERNAME": "admin",
        "KC_BOOTSTRAP_ADMIN_PASSWORD": PASSWORD,
    }
    log = home / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(argv, cwd=home, env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        _wait(process, f"http://127.0.0.1:{port}/realms/{REALM}/.well-known/openid-configuration", log)
        yield port
    finally:
        # The script is the parent of the JVM; the group is its own.
        os.killpg(process.pid, 15)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    with httpx.Client(trust_env=False) as client:
        while True:
            try:
                if client.get(url).status_code == 200:
                    return
            except httpx.HTTPError:
                ended = process.poll()
                assert ended is None, log.read_text(errors="replace")[-3000:]
            assert time.monotonic() < deadline, log.read_text(errors="replace")[-3000:]
            time.sleep(0.2)


def _realm() -> object:
    groups = {
        "name": "groups",
        "protocol": "openid-connect",
        "protocolMapper": "oidc-group-membership-mapper",
        "config": {"claim.name": "groups", "full.path": "true", "id.token.claim": "true"},
    }
    client = {
        "clientId": CLIENT,
        "secret": SECRET,
        "redirectUris": ["http://etabli.localhost/*"],  # A test registers its own.
        "standardFlowEnabled": True,
        "attributes": {"pkce.code.challenge.method": "S256"},
        "protocolMappers": [groups],
    }
    grace = {
        "username": "grace",
        "enabled": True,
        "firstName": "Grace",
        "lastName": "Hopper",
        "email": "grace@institut.example",
        "emailVerified": True,
        "groups": ["/statistics/prices"],
        "credentials": [{"type": "password", "value": PASSWORD}],
    }
    return {
        "realm": REALM,
        "enabled": True,
        "displayName": "Institut",
        "internationalizationEnabled": True,
        "supportedLocales": ["en", "fr"],
        "defaultLocale": "en",
        "groups": [{"name": "statistics", "subGroups": [{"name": "prices"}]}],
        "clients": [client],
        "users": [grace],
    }
