"""The object store and the vault for tests: the real binaries in a namespace that has a loopback and nothing else, tokens by joserfc."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from etabli.components import models
from etabli.identity.models import Audience, Project, ProjectKind
from etabli.kernel import errors
from etabli.kernel.clock import SystemClock
from etabli.kernel.settings import LabSettings, Layout

LAB = LabSettings(port=8000)


def project(slug: str, *, kind: ProjectKind = ProjectKind.PERSONAL) -> Project:
    """A project whose id can be told from its slug."""
    return Project(id=f"id-{slug}", slug=slug, name=slug.title(), kind=kind, created_at=SystemClock().now())


@dataclass
class Issuer:
    """Says who subjects are, as identity does: `claims` maps an id to what its tokens say."""

    claims: dict[str, Mapping[str, object]] = field(default_factory=dict)
    issued: int = 0
    key: RSAKey = field(
        default_factory=lambda: RSAKey.generate_key(2048, {"kid": "test", "use": "sig", "alg": "RS256"})
    )

    def person(self, slug: str, *groups: str) -> str:
        """Know a person, in these shared projects; their id."""
        self.claims[f"id-{slug}"] = {"preferred_username": slug, "groups": list(groups)}
        return f"id-{slug}"

    async def issue(self, *, subject: str, audience: Audience, lifetime: timedelta) -> str:
        self.issued += 1
        if subject not in self.claims:
            raise errors.NotFound("no such subject")
        return self.sign({"sub": subject, "aud": str(audience), **self.claims[subject]}, lifetime=lifetime)

    def sign(self, claims: Mapping[str, object], *, lifetime: timedelta = timedelta(minutes=5)) -> str:
        """A token that says `claims`."""
        now = int(time.time())
        content = {"iss": LAB.origin, "iat": now, "exp": now + int(lifetime.total_seconds()), **claims}
        return jwt.encode({"alg": "RS256", "kid": self.key.kid}, content, self.key)

    def publish(self, folder: Path) -> None:
        """Write the JWKS where `Enclave` serves it."""
        (folder / "jwks").write_text(json.dumps(KeySet([self.key]).as_dict(private=False)))


class Enclave:
    """A user and a network namespace of our own. The JWKS of `folder` is at 127.0.0.1:9100 inside, as the authoriser serves it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep 1000"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n"
        server = ("-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), "9100")
        self._children = [self.run((sys.executable, *server), log=folder / "jwks.log")]

    def run(
        self,
        argv: tuple[str, ...],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process inside."""
        inside = ("nsenter", "-t", str(self.holder.pid), "-U", "-n", "--preserve-credentials", *argv)
        with log.open("ab") as output:
            return subprocess.Popen(inside, stdout=output, stderr=output, env=env, cwd=cwd, start_new_session=True)

    def start(self, component: models.Component) -> subprocess.Popen[bytes]:
        """Start a component as the supervisor does, and wait until it answers."""
        env = {"HOME": str(component.folder), "PATH": os.defpath, **component.env}
        child = self.run(component.argv, log=component.log, env=env, cwd=component.folder)
        self._children.append(child)
        health = component.health
        assert health is not None
        wait_until(lambda: answers(health) or _ended(child, component), f"{component.name} answers")
        return child

    def close(self) -> None:
        """End everything inside."""
        for child in [*self._children, self.holder]:
            child.kill()
            child.wait()
        assert self.holder.stdout is not None
        self.holder.stdout.close()


def answers(health: models.Health) -> bool:
    """Whether a component answers now."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(health.socket))
            connection.sendall(f"GET {health.path or '/'} HTTP/1.0\r\nHost: {health.host}\r\n\r\n".encode())
            return int(connection.recv(64).split()[1]) in health.statuses
        except (OSError, IndexError):
            return False


def wait_until(done: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Poll until something is so; fail after a generous limit."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.05)


def layout(folder: Path, run: Path) -> Layout:
    """A lab's folders under a test's own."""
    made = Layout(data=folder / "data", run=run)
    made.make()
    return made


def _ended(child: subprocess.Popen[bytes], component: models.Component) -> bool:
    if child.poll() is not None:
        raise AssertionError(f"{component.name} ended: {component.log.read_text(errors='replace')[-2000:]}")
    return False
