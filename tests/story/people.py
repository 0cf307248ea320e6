"""People of a real lab without a browser: what they ask through the front door, and what they run inside their services."""

from __future__ import annotations

import asyncio
import re
import textwrap
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookies import SimpleCookie
from pathlib import Path
from urllib.parse import urljoin

import httpx

from etabli.assembly import configuration, parts
from etabli.engines.process.store import Store
from etabli.kernel import settings
from etabli.kernel.clock import SystemClock
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import models as sandbox
from etabli.sandbox import supervision
from tests import lab as labs

CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')
CHARTS = Path(__file__).parent / "charts"
CATALOGS = f'catalogs = [{{id = "ide", location = "builtin"}}, {{id = "tests", location = "{CHARTS}"}}]'

# Inside a pod, run by `exec`, which gives no variables: takes those of the service, as a terminal in it has them.
BECOME = """
import os, sys
for number in sorted(filter(str.isdigit, os.listdir("/proc")), key=int):
    found = dict(one.split("=", 1) for one in open(f"/proc/{number}/environ").read().split("\\0") if "=" in one)
    if "ETABLI_BUCKET" in found:
        os.execvpe("python3", ["python3", "-c", *sys.argv[1:]], found)
"""


@dataclass
class Person:
    """Somebody's browser in a few lines: cookies of each host by itself, which `Secure` does not keep from localhost."""

    lab: labs.Lab
    jars: dict[str, dict[str, str]] = field(default_factory=dict)

    def ask(self, method: str, url: str, **content: object) -> httpx.Response:
        """One request, as a page of that very origin makes it."""
        address = httpx.URL(url)
        host = f"{address.host}:{self.lab.port}"
        jar = self.jars.setdefault(host, {})
        headers = {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}
        headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in jar.items())
        headers |= {"X-XSRFToken": jar["_xsrf"]} if "_xsrf" in jar else {}
        with httpx.Client(transport=httpx.HTTPTransport(retries=1), timeout=30) as client:
            answer = client.request(method, address.copy_with(host="127.0.0.1"), headers=headers, **content)  # type: ignore[arg-type] # `data` or `json`.
        for line in answer.headers.get_list("set-cookie"):
            jar.update({name: morsel.value for name, morsel in SimpleCookie(line).items()})
        return answer

    def visit(self, url: str) -> tuple[str, httpx.Response]:
        """A page, after its redirects: where it is, and what it answers."""
        for _ in range(10):
            answer = self.ask("GET", url)
            if "location" not in answer.headers:
                return url, answer
            url = urljoin(url, answer.headers["location"])
        raise AssertionError(f"redirected for ever: {url}")

    def join(self, link: str, name: str) -> None:
        """Make an account."""
        _, page = self.visit(link)
        found = CSRF.search(page.text)
        assert found is not None, page.text
        form = {"csrf": found[1], "token": link.rpartition("=")[2], "name": name, "password": labs.PASSWORD}
        answer = self.ask("POST", f"{self.lab.origin}/welcome", data=form)
        assert answer.status_code == 303, answer.text

    def open(self, service_id: str) -> str:
        """Sign in to a service's own origin, which is the answer."""
        address, answer = self.visit(f"{self.lab.origin}/services/{service_id}/open")
        assert answer.status_code == 200, (address, answer.text)
        url = httpx.URL(address)
        assert url.host.endswith(".svc.etabli.localhost"), address
        return f"http://{url.host}:{self.lab.port}"


def joined(lab: labs.Lab, link: str, name: str) -> Person:
    """A person with an account, signed in."""
    person = Person(lab)
    person.join(link, name)
    return person


def layout(lab: labs.Lab) -> settings.Layout:
    """The lab's folders."""
    return settings.Layout(data=lab.data, run=lab.run)


def sandbox_folder(lab: labs.Lab, service_id: str) -> Path:
    """Where the sandbox of a service's only pod, its newest attempt, is recorded."""
    found = list(Store(layout(lab).engine).service(service_id).glob("pods/*/run/*.*"))
    assert found, f"{service_id} has no sandbox"
    return max(found, key=lambda path: int(path.suffix[1:]))


def init(lab: labs.Lab, service_id: str) -> ProcessRef:
    """The sandbox's pid 1, by its number on the machine."""
    ref = supervision.init_reference(supervision.read(sandbox_folder(lab, service_id)))
    assert ref is not None, f"{service_id} does not run"
    return ref


def inside(lab: labs.Lab, service_id: str, program: str, *arguments: str, seconds: float = 60) -> str:
    """Python run inside a service, with its variables, as a terminal there would; what it wrote. AssertionError where it fails."""
    answer = asyncio.run(_inside(lab, service_id, textwrap.dedent(program), arguments, timedelta(seconds=seconds)))
    assert answer.exit_code == 0, answer.output.decode(errors="replace")
    return answer.output.decode()


async def _inside(
    lab: labs.Lab, service_id: str, program: str, arguments: tuple[str, ...], within: timedelta
) -> sandbox.ExecResult:
    folders = layout(lab)
    sandboxes = parts.make_sandboxes(folders, configuration.load(folders), clock=SystemClock())
    argv = ("/usr/bin/python3", "-I", "-c", BECOME, program, *arguments)
    try:
        return await sandboxes.exec(sandbox_folder(lab, service_id), argv, env={}, timeout=within)
    finally:
        await sandboxes.close()
