"""A lab for the bench: in a folder of its own, on a port of its own, with an administrator who is signed in as people are."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from bench import owned
from bench.browser import Browser
from etabli.kernel import processes

TREE = Path(__file__).resolve().parent.parent
CHARTS = Path(__file__).resolve().parent / "charts"
ENVIRONMENT = "etabli/jupyter-python"
GROUND = ("holder", "agent", "pasta")  # Processes of one project's network, each recorded in a file of that name.
CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
BUILD_SECONDS = 1800.0  # On a slow index; a cached one takes less than a minute.
READY_SECONDS = 240.0
POLL_SECONDS = 0.05  # Between two questions to a portal or hub, the same for both.


class Failed(Exception):
    """A lab, or a peer, did not do what was to be measured: the message has its own last words."""


@dataclass(frozen=True)
class Opened:
    """A service that answered: when it was asked for, was ready, and gave its page, in seconds of time.monotonic()."""

    id: str
    host: str
    asked: float
    accepted: float
    ready: float
    answered: float

    @property
    def seconds(self) -> float:
        """From the request to launch it to its own page."""
        return self.answered - self.asked


@dataclass(frozen=True)
class Lab:
    """A lab that runs."""

    data: Path
    run: Path
    environments: Path
    browser: Browser
    csrf: str
    password: str  # The administrator's.

    @property
    def tree(self) -> Path:
        """Where the environment of JupyterLab lies."""
        heads, *lines = command(self.data, self.run, "environments", "list").splitlines()
        column = heads.split().index("digest")
        digest = next(line.split()[column] for line in lines if line.startswith(ENVIRONMENT))
        return next(self.environments.glob(f"trees/{digest}*/tree"))

    def api(self, method: str, path: str, body: Mapping[str, object] | None = None) -> object:
        """A call of the API as the signed-in person. Failed with what it answered."""
        response = self.browser.request(
            method, f"/api/v1{path}", headers={"X-CSRF-Token": self.csrf}, json=None if body is None else dict(body)
        )
        if response.is_error:
            raise Failed(f"{method} {path} answered {response.status_code}: {response.text[:500]}")
        return response.json() if response.content else None

    def open(self, chart: str, *, catalog: str, to: str) -> Opened:
        """Launch a chart and go to its page, as a person would who never looks away."""
        return self.open_many(chart, catalog=catalog, to=to, count=1)[0]

    def open_many(self, chart: str, *, catalog: str, to: str, count: int) -> list[Opened]:
        """The same, `count` times in the same moment. One question about all of them at a time: asking must not be the load."""
        body = {"catalog": catalog, "chart": chart, "values": {}}
        with ThreadPoolExecutor(count) as pool:
            launched = [one.result() for one in [pool.submit(self._launch, body) for _ in range(count)]]
            waiting = {service: (asked, accepted) for service, asked, accepted in launched}
            entering: list[Future[Opened]] = []
            deadline = time.monotonic() + READY_SECONDS
            while waiting:
                for service in self._ready(waiting):
                    asked, accepted = waiting.pop(service)
                    entering.append(pool.submit(self._enter, service, to, asked, accepted))
                if waiting and time.monotonic() > deadline:
                    raise Failed(f"{len(waiting)} services are not ready\n{self.words(next(iter(waiting)))}")
                time.sleep(POLL_SECONDS)
            return [one.result() for one in entering]

    def _launch(self, body: Mapping[str, object]) -> tuple[str, float, float]:
        asked = time.monotonic()
        service = self.api("POST", "/services", body)
        assert isinstance(service, dict)
        return str(service["id"]), asked, time.monotonic()

    def _ready(self, waiting: Container[str]) -> list[str]:
        """Which of them are ready. Failed where one will not be."""
        found = []
        services = self.api("GET", "/services")
        assert isinstance(services, list)
        for service in services:
            if service["id"] in waiting and service["state"] in ("failed", "stopped", "finished"):
                raise Failed(f"a service is {service['state']}: {service['message']}\n{self.words(service['id'])}")
            if service["id"] in waiting and service["state"] == "ready":
                found.append(str(service["id"]))
        return found

    def _enter(self, service_id: str, to: str, asked: float, accepted: float) -> Opened:
        ready = time.monotonic()
        page = self.browser.navigate(f"/services/{service_id}/open?to={to}")
        while page.status_code != 200 and time.monotonic() < ready + READY_SECONDS:
            time.sleep(POLL_SECONDS)
            page = self.browser.navigate(f"/services/{service_id}/open?to={to}")
        if page.status_code != 200:
            raise Failed(f"the service's page answered {page.status_code}: {page.text[:500]}")
        return Opened(service_id, page.request.headers["host"], asked, accepted, ready, time.monotonic())

    def services(self) -> list[str]:
        """The ids of all that this person has."""
        found = self.api("GET", "/services")
        assert isinstance(found, list)
        return [str(service["id"]) for service in found]

    def delete(self, service_id: str) -> None:
        """Delete a service, and wait until nothing of it is left."""
        self.api("DELETE", f"/services/{service_id}")
        gone = f"/api/v1/services/{service_id}"
        owned.until(
            lambda: self.browser.request("GET", gone).status_code == 404,
            READY_SECONDS,
            f"the end of service {service_id}",
            poll=POLL_SECONDS,
        )

    def words(self, service_id: str) -> str:
        """The last words of a service."""
        return self.browser.request("GET", f"/api/v1/services/{service_id}/logs").text[-1500:]


@contextmanager
def running(work: Path, cache: Path) -> Iterator[Lab]:
    """A fresh lab; its environments are kept in the cache from one run to the next."""
    data, run, environments = work / "data", work / "run", cache / "environments"
    data.mkdir(mode=0o700)
    port = owned.free_port()
    (data / "etabli.toml").write_text(_settings(port, environments))
    try:
        said = command(data, run, "up", "--detach")
        command(data, run, "environments", "build", "jupyter-python", seconds=BUILD_SECONDS)
        browser = Browser(domain="etabli.localhost", port=port)
        password = os.urandom(16).hex()
        csrf = _become_administrator(browser, said, password=password)
        lab = Lab(data=data, run=run, environments=environments, browser=browser, csrf=csrf, password=password)
        try:
            yield lab
        finally:
            browser.close()
    finally:
        command(data, run, "down", check=False)
        end_grounds(run)


def command(data: Path, run: Path, *arguments: str, check: bool = True, seconds: float = 180.0) -> str:
    """What `etabli …` says for this lab. Failed with its last words."""
    env = {**os.environ, "ETABLI_DATA": str(data), "ETABLI_RUN": str(run)}
    argv = [sys.executable, "-m", "etabli.main", *arguments]
    done = subprocess.run(argv, env=env, cwd=TREE, capture_output=True, text=True, timeout=seconds, check=False)
    if check and done.returncode != 0:
        raise Failed(f"`etabli {' '.join(arguments)}` ended with {done.returncode}: {done.stderr[-1500:]}")
    return done.stdout


def end_grounds(run: Path) -> None:
    """End what a stopped lab left of its projects' networks, and say so: it should leave nothing."""
    left = [ref for record in run.glob("g/*/*.json") if record.stem in GROUND and (ref := processes.load(record))]
    if ended := [ref.pid for ref in left if processes.send_signal(ref, signal.SIGKILL)]:
        print(f"bench: `etabli down` left processes of projects' networks: {ended}", file=sys.stderr, flush=True)


def keep_logs(data: Path, target: Path) -> None:
    """The components' logs of a lab that failed: its folder goes."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for log in data.glob("components/*/log"):
        shutil.copyfile(log, target / f"{log.parent.name}.log")
    print(f"bench: the lab's logs are kept in {target}", file=sys.stderr, flush=True)


def _settings(port: int, environments: Path) -> str:
    return f"""\
[lab]
domain = "etabli.localhost"
port = {port}

[environments]
store = {json.dumps(str(environments))}

[[catalog.catalogs]]
id = "ide"
location = "builtin"

[[catalog.catalogs]]
id = "bench"
location = {json.dumps(str(CHARTS))}
"""


def _become_administrator(browser: Browser, announcement: str, *, password: str) -> str:
    """By the first link, as the newcomer does; the token that unsafe requests carry."""
    link = next(word for word in announcement.split() if "/welcome?token=" in word)
    path = urlsplit(link)
    form = browser.navigate(f"{path.path}?{path.query}")
    found = CSRF.search(form.text)
    if found is None:
        raise Failed(f"the first link answered {form.status_code}: {form.text[:300]}")
    answer = browser.request(
        "POST",
        "/welcome",
        headers={"Accept": "text/html"},
        form={
            "csrf": found.group(1),
            "token": parse_qs(path.query)["token"][0],
            "name": "Ada Bench",
            "slug": "bench",
            "password": password,
        },
    )
    if answer.is_error:
        raise Failed(f"the administrator's account was refused: {answer.status_code}")
    me = browser.request("GET", "/api/v1/me").json()
    return str(me["csrf"])
