"""Authorised requests through the front door, beside the same Caddy that asks nobody, and JupyterHub's proxy, which does not either.

1 KiB answers of one small program: in a service of the lab for the first two, on the machine's loopback for the last.
"""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from bench import owned, peers
from bench.lab import CHARTS, Failed, Lab, Opened
from bench.report import LeftOut, Peer, Row, Series
from bench.setting import Setting
from etabli.components import versions
from etabli.door.models import SERVICE_COOKIE

CONNECTIONS, THREADS = 64, 2
LIMIT = 0.5  # Of what the same Caddy does without asking.
Json = dict[str, object]


def door(setting: Setting) -> list[Row | LeftOut]:
    """Rounds in turn, so that whatever else the machine does falls on all alike."""
    what = f"authorised requests, 1 KiB, {CONNECTIONS} connections"
    if shutil.which("wrk") is None:
        return [LeftOut(what, "there is no `wrk` on this machine")]
    lab = setting.lab
    service = lab.open("echo", catalog="bench", to="/")
    seconds = setting.times(8, quick=2)
    ours: list[float] = []
    alone: list[float] = []
    proxied: list[float] = []
    why = ""
    try:
        with ExitStack() as stack:
            open_door = stack.enter_context(_asking_nobody(lab, service, setting.work))
            try:
                theirs = stack.enter_context(_hub_proxy(setting))
            except (Failed, owned.TooSlow) as error:
                theirs, why = "", str(error).splitlines()[0][:160]
            cookie = f"{SERVICE_COOKIE}={lab.browser.cookies[service.host][SERVICE_COOKIE]}"
            for _ in range(setting.times(5, quick=2)):
                ours.append(_wrk(f"http://127.0.0.1:{lab.browser.port}/", seconds, host=service.host, cookie=cookie))
                alone.append(_wrk(open_door, seconds, host=service.host, cookie=cookie))
                if theirs:
                    proxied.append(_wrk(theirs, seconds))
    finally:
        lab.delete(service.id)
    measured, bare = Series("req/s", tuple(ours)), Series("req/s", tuple(alone))
    hub = Series("req/s", tuple(proxied)) if proxied else None
    reached = measured.median >= LIMIT * bare.median and (hub is None or measured.median > hub.median)
    stood = (Peer("the same Caddy, asking nobody", bare), Peer("JupyterHub's proxy", hub, why))
    return [Row(what, measured, f"≥ {LIMIT} × without asking, above JupyterHub's proxy", reached, peers=stood)]


@contextmanager
def _asking_nobody(lab: Lab, service: Opened, work: Path) -> Iterator[str]:
    """A Caddy of the lab's own configuration, but for the question and the addresses; its URL for this one service."""
    config = json.loads((lab.data / "components/caddy/caddy.json").read_text())
    port, folder = owned.free_port(), work / "open-door"
    folder.mkdir()
    front = config["apps"]["http"]["servers"]["front"]
    front["listen"] = [f"tcp/127.0.0.1:{port}"]
    config["apps"]["http"]["servers"] = {"front": front}
    config["storage"]["root"] = str(folder / "storage")
    upstream = _upstream(lab, service)
    if _replace(front, {"handler": "vars", "upstream": upstream, "user": "nobody"}) != 1:
        raise Failed("the front door's configuration asks in no way that the bench knows")
    path = folder / "caddy.json"
    path.write_text(json.dumps(config))
    env = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "XDG_CONFIG_HOME": str(folder)}
    env |= {"GOGC": "200", "GOMEMLIMIT": "128MiB"}  # As the lab starts its own.
    argv = [str(versions.binary("caddy")), "run", "--config", str(path)]
    with owned.running(argv, log=folder / "log", env=env, cwd=folder):
        url = f"http://127.0.0.1:{port}/"
        owned.until(lambda: peers.answers(url, host=service.host), 20, "the door that asks nobody")
        yield url


def _replace(node: object, instead: Json) -> int:
    """Put `instead` in the place of the handler that asks the authoriser; how many there were."""
    if isinstance(node, list):
        found = 0
        for place, child in enumerate(node):
            if isinstance(child, dict) and "handle_response" in child:
                node[place] = instead
                found += 1
            else:
                found += _replace(child, instead)
        return found
    return sum(_replace(child, instead) for child in node.values()) if isinstance(node, dict) else 0


def _upstream(lab: Lab, service: Opened) -> str:
    """The key of the service's socket, as the authoriser reads it."""
    with closing(sqlite3.connect(f"file:{lab.data / 'etabli.db'}?mode=ro", uri=True)) as connection:
        found = connection.execute("select upstream from door_routes where service_id = ?", (service.id,)).fetchone()
    if found is None:
        raise Failed("the service has no route")
    return str(found[0])


@contextmanager
def _hub_proxy(setting: Setting) -> Iterator[str]:
    port = owned.free_port()
    program = [sys.executable, str(CHARTS / "echo/files/echo.py"), "127.0.0.1", str(port)]
    target = f"http://127.0.0.1:{port}"
    with owned.running(program, log=setting.work / "echo.log"), ExitStack() as stack:
        owned.until(lambda: peers.answers(target), 20, "the small program")
        yield stack.enter_context(peers.proxy(setting.cache, setting.work, target))


def _wrk(url: str, seconds: int, *, host: str = "", cookie: str = "") -> float:
    """Requests per second. Failed where any answer was not good: a refusal is fast and proves nothing."""
    argv = ["wrk", f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", url]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:  # 0600: a cookie is for no command line.
        said_by_us = {"Host": host, "Cookie": cookie}
        script.write("".join(f"wrk.headers[{name!r}] = {value!r}\n" for name, value in said_by_us.items() if value))
        script.flush()
        argv = [*argv[:-1], "-s", script.name, argv[-1]]
        said = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + 60, check=False).stdout
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", said, re.MULTILINE)
    wrong = re.search(r"^\s*(Non-2xx or 3xx responses: .*|Socket errors: .*)", said, re.MULTILINE)
    if rate is None or wrong is not None:
        raise Failed(f"wrk: {wrong.group(1) if wrong else said[-300:]}")
    return float(rate.group(1))
