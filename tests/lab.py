"""A whole lab on this machine, as a newcomer starts it: real components, real sandboxes, real Chromium. Never as root.

Environments are built once for all tests of a machine, in a cache outside the tree.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import httpx
import yaml
from playwright.sync_api import Browser, BrowserContext, Page, Playwright

from etabli.kernel import processes
from etabli.kernel.processes import ProcessRef

TREE = Path(__file__).resolve().parent.parent
PASSWORD = "a long and quiet password"
BUILD_SECONDS = 600.0  # The first build of a cold machine downloads some 300 MB.
CHROMIUM = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-gpu",
    "--disable-sync",
    "--no-first-run",
    "--no-sandbox",  # Chromium's own sandbox needs more than some test machines give; it visits our pages alone.
)

Found = TypeVar("Found")


@dataclass
class Lab:
    """One lab, driven from outside as people and administrators do."""

    folder: Path
    port: int
    link: str = ""
    python: Path = Path(sys.executable)  # Whose Etabli it is.
    within: tuple[str, ...] = ()  # What enters the namespaces that it lives in.

    @property
    def origin(self) -> str:
        return f"http://etabli.localhost:{self.port}"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def run(self) -> Path:
        return self.folder / "run"

    def etabli(self, *arguments: str, check: bool = True, timeout: float = 150) -> str:
        """A command of `etabli`; what it printed. Its errors are in the failure."""
        environ = {**os.environ, "ETABLI_DATA": str(self.data), "ETABLI_RUN": str(self.run)}
        done = subprocess.run(
            [*self.within, self.python, "-m", "etabli.main", *arguments],
            env=environ,
            cwd=TREE,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(
                f"etabli {' '.join(arguments)} ended with {done.returncode}: {done.stdout}{done.stderr}"
            )
        return done.stdout + ("" if check else done.stderr)

    def up(self) -> None:
        """Start it and wait until it answers."""
        told = self.etabli("up", "--detach")
        self.link = next((line.split(": ", 1)[1] for line in told.splitlines() if "welcome?token=" in line), self.link)

    def down(self) -> None:
        """Stop it; nothing is left running."""
        self.etabli("down", timeout=240)

    def component(self, name: str) -> ProcessRef:
        """The process of a component, which runs."""
        return self.until(lambda: processes.load(self.data / "components" / name / "process.json"), 10)

    def recorded(self) -> list[ProcessRef]:
        """Every process that the lab recorded, running or not."""
        places = (
            (self.data, "supervisor.json"),
            (self.data, "components/*/process.json"),
            (self.run, "g/*/*.json"),
            (self.data, "engine/services/*/pods/*/run/*/process.json"),
        )
        found = [processes.load(path) for folder, pattern in places for path in folder.glob(pattern)]
        return [ref for ref in found if ref is not None and processes.is_alive(ref)]

    def kill_everything(self) -> int:
        """SIGKILL to every process of the lab, at once."""
        refs = self.recorded()
        for ref in refs:
            processes.send_signal(ref, signal.SIGKILL)
        return len(refs)

    def service(self, service_id: str) -> dict[str, object]:
        """A service, as the API shows it to its owner."""
        shown = yaml.safe_load(self.etabli("show", service_id))
        assert isinstance(shown, dict)
        return shown

    def until_state(self, service_id: str, state: str, *, seconds: float = 60) -> dict[str, object]:
        """The service once it is in that state."""

        def look() -> dict[str, object] | None:
            shown = self.service(service_id)
            assert shown["state"] != "failed" or state == "failed", shown
            return shown if shown["state"] == state else None

        return self.until(look, seconds)

    def launch(self, *arguments: str) -> str:
        """Launch JupyterLab from the command line; the service's id, once it is ready."""
        service_id = self.etabli("launch", "jupyter-python", *arguments).strip()
        self.until_state(service_id, "ready", seconds=BUILD_SECONDS)
        return service_id

    def until(self, look: Callable[[], Found | None], seconds: float) -> Found:
        """What `look` finds, as soon as it does; errors of a lab that restarts are waited out."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                found = look()
            except (AssertionError, httpx.HTTPError):
                if time.monotonic() > deadline:
                    raise
                found = None
            if found is not None:
                return found
            assert time.monotonic() < deadline, (
                f"nothing after {seconds} s; the portal's log ends with\n{self.log('portal')}"
            )
            time.sleep(0.1)

    def log(self, component: str) -> str:
        """The end of a component's log."""
        path = self.data / "components" / component / "log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""

    def get(self, url: str) -> httpx.Response:
        """A plain request from this machine, whose resolver may not know *.localhost."""
        address = httpx.URL(url)
        port = f":{address.port}" if address.port else ""
        with httpx.Client(transport=httpx.HTTPTransport(retries=1), timeout=10) as client:
            return client.get(address.copy_with(host="127.0.0.1"), headers={"Host": f"{address.host}{port}"})


@contextmanager
def lab(**sections: str) -> Iterator[Lab]:
    """A lab of its own, stopped and removed in the end. `sections` are TOML beside `[lab]`, by name."""
    folder = Path(tempfile.mkdtemp(prefix="etb-", dir="/tmp"))  # Sockets have short paths.
    made = Lab(folder=folder, port=_free_port())
    made.data.mkdir(mode=0o700)
    store = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etabli/tests/environments"
    parts = {
        "lab": f'domain = "etabli.localhost"\nport = {made.port}\nlisten = "127.0.0.1"\nhttps = false',
        "environments": f'store = "{store}"',
        **sections,
    }
    (made.data / "etabli.toml").write_text("\n".join(f"[{name}]\n{text}\n" for name, text in parts.items()))
    try:
        yield made
    finally:
        if (made.data / "components/plan.json").exists():
            made.etabli("down", check=False, timeout=240)
        made.kill_everything()
        _remove(folder)


@contextmanager
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Debian's Chromium."""
    browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(CHROMIUM))
    try:
        yield browser
    finally:
        browser.close()


def join(lab: Lab, browser: Browser, link: str, name: str, *, width: int = 1280) -> tuple[BrowserContext, Page]:
    """Somebody who makes an account from a link, and is signed in."""
    context = browser.new_context(viewport={"width": width, "height": 900}, locale="en")
    page = context.new_page()
    page.goto(link)
    page.get_by_label("Your name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Create my account").click()
    page.wait_for_url(f"{lab.origin}/")
    return context, page


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _remove(folder: Path) -> None:
    """Volumes may hold files of a project's own uid: those are the lab's to remove, by its namespaces."""
    shutil.rmtree(folder, ignore_errors=True)


def loaded(path: Path) -> object:
    """A JSON file."""
    return json.loads(path.read_text())
