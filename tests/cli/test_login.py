"""`etabli login`, as a process on another machine, agreed to in Chromium; then its commands, and its sign-out."""

import asyncio
import os
import re
import stat
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from etabli.cli import client, stored
from etabli.kernel import errors
from tests.web.lab import PASSWORD, Lab, served

CHROMIUM = "/usr/bin/chromium"


@dataclass
class Machine:
    """Another machine: a home of its own, no lab, no socket."""

    home: Path

    async def start(self, *words: str) -> asyncio.subprocess.Process:
        """A command, running."""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "ETABLI_DATA": str(self.home / "none"),
            "ETABLI_RUN": str(self.home / "none"),
        }
        pipe = asyncio.subprocess.PIPE
        argv = (sys.executable, "-m", "etabli.main", *words)
        return await asyncio.create_subprocess_exec(
            *argv, env=environ, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe
        )

    async def type(self, *words: str) -> tuple[int, str, str]:
        """A command, to its end: exit status, what it said, what it complained of."""
        process = await self.start(*words)
        out, err = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode or 0, out.decode(), err.decode()

    @property
    def file(self) -> Path:
        return self.home / ".config/etabli/labs.json"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with served(tmp_path) as lab:
        yield lab


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    (tmp_path / "home").mkdir()
    return Machine(tmp_path / "home")


@pytest.fixture
async def page(lab: Lab) -> AsyncIterator[Page]:
    """Ada's browser, signed in."""
    ada = await lab.admin()
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await chromium.new_page(locale="en")
        await page.goto(f"{lab.rooms.lab.origin}/sign-in")
        await page.fill("#login", ada.slug)
        await page.fill("#password", PASSWORD)
        await page.click("form.card button")
        await page.wait_for_url(f"{lab.rooms.lab.origin}/")
        yield page
        await chromium.close()


async def code_shown(process: asyncio.subprocess.Process) -> str:
    """The code that `login` tells to type."""
    assert process.stderr is not None
    told = ""
    while not (found := re.search(r"code ([A-Z]{4}-[A-Z]{4})", told)):
        line = await asyncio.wait_for(process.stderr.readline(), 60)
        assert line, told
        told += line.decode()
    return found.group(1)


@pytest.mark.browser
async def test_a_machine_signs_in_works_and_signs_out(lab: Lab, machine: Machine, page: Page) -> None:
    origin = lab.rooms.lab.origin
    login = await machine.start("login", origin)
    code = await code_shown(login)
    await page.goto(f"{origin}/device")
    await page.fill("#code", code.lower().replace("-", " "))
    await page.get_by_role("button", name="Continue").click()
    await expect(page.locator("dl.facts")).to_contain_text("etabli on")
    await expect(page.locator("ul.bullets")).to_contain_text("Launch, change and delete services")
    await page.get_by_role("button", name="Connect it").click()
    await expect(page.get_by_role("status").first).to_contain_text("The program is connected")
    out, err = await asyncio.wait_for(login.communicate(), 60)
    assert (login.returncode, out.decode()) == (0, f"signed in to {origin} as ada-lovelace\n"), err

    assert stat.S_IMODE(machine.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(machine.file.parent.stat().st_mode) == 0o700
    status, said, _ = await machine.type("whoami")
    assert (status, said) == (0, f"ada-lovelace\tAda Lovelace\t{origin}\n")
    status, service_id, complaint = await machine.type("launch", "notebook", "--name", "From afar")
    assert status == 0, complaint
    assert "From afar" in (await machine.type("--lab", origin, "ls"))[1]
    await page.goto(f"{origin}/services/{service_id.strip()}")
    await expect(page.locator("h1")).to_have_text("From afar")

    secret = stored.Store({"HOME": str(machine.home)}).read().tokens[origin]
    assert (await machine.type("logout"))[0] == 0
    assert secret not in machine.file.read_text()
    status, _, complaint = await machine.type("--lab", origin, "ls")
    assert (status, f"etabli login {origin}" in complaint) == (4, True)
    replayed = client.remote(origin, secret)
    with pytest.raises(errors.Refused):
        await asyncio.to_thread(replayed.get, "/me")
    replayed.close()


@pytest.mark.browser
async def test_a_program_that_is_refused_has_nothing(lab: Lab, machine: Machine, page: Page) -> None:
    origin = lab.rooms.lab.origin
    login = await machine.start("login", origin)
    await page.goto(f"{origin}/device?code={await code_shown(login)}")
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Refuse").click()
    _, err = await asyncio.wait_for(login.communicate(), 60)
    assert (login.returncode, "it was refused" in err.decode()) == (1, True)
    assert not machine.file.exists()


async def test_a_token_never_travels_without_encryption() -> None:
    for address in ("http://lab.example.org", "ftp://lab.example.org", "https://me:x@lab.example.org", "", "http://"):
        with pytest.raises(errors.Invalid):
            client.origin_of(address)
    assert client.origin_of("Lab.example.org/services") == "https://lab.example.org"
    assert client.origin_of("http://etabli.localhost:8000/x") == "http://etabli.localhost:8000"


async def test_a_file_that_is_not_ours_is_said(tmp_path: Path) -> None:
    store = stored.Store({"XDG_CONFIG_HOME": str(tmp_path)})
    store.keep("https://a.example", "one")
    store.keep("https://b.example", "two")
    assert store.read().default == "https://b.example"
    store.forget("https://b.example")
    store.forget("https://b.example")
    assert store.read() == stored.Stored(default="https://a.example", tokens={"https://a.example": "one"})
    for content in ("{", "[]", '{"default": 1}', '{"default": null, "tokens": []}'):
        store.path.write_text(content)
        with pytest.raises(errors.Invalid):
            store.read()


async def test_where_nothing_is_signed_in_the_command_line_says_how(machine: Machine) -> None:
    status, _, complaint = await machine.type("ls")
    assert (status, "etabli up" in complaint) == (75, True)
    status, _, complaint = await machine.type("--lab", "lab.example.org", "ls")
    assert (status, "etabli login https://lab.example.org" in complaint) == (4, True)
    assert (await machine.type("logout"))[0] == 3
