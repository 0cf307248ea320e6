"""A hostile page in a colleague's service, in a real browser, with the person's cookies: what it tries reaches no other service."""

import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import BrowserContext, Page, async_playwright

from etabli.components import caddy
from etabli.components.settings import FrontDoorSettings
from etabli.door import models
from etabli.door.service import Door
from etabli.kernel import database
from etabli.kernel.clock import SystemClock
from etabli.kernel.settings import LabSettings, Layout
from tests.door.conftest import FrontDoor, person, running, until

pytestmark = pytest.mark.browser

PAGE = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 2\r\n\r\nhi"

ATTACKS = (
    "fetch",
    "cors",
    "post",
    "preflight",
    "beacon",
    "image",
    "script",
    "style",
    "frame",
    "object",
    "form",
    "websocket",
)


@pytest.fixture
async def browser() -> AsyncIterator[BrowserContext]:
    flags = ["--disable-background-networking", *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=flags)
        context = await chromium.new_context(ignore_https_errors=True)
        await context.add_init_script(path=Path(__file__).with_name("hostile.js"))
        yield context
        await chromium.close()


async def open_both(front: FrontDoor, browser: BrowserContext) -> tuple[Page, Page]:
    """Alice is let in to her own service and to the hostile one, by codes, as the portal does it."""

    async def portal(head: str) -> str:
        asked = parse_qs(urlsplit(head.split(" ")[1]).query)
        host = re.search(r"(?im)^host: (\S+)", head)
        assert host
        token = await front.door.redeem(code=asked["code"][0], host=host[1])
        return f"HTTP/1.1 303 -\r\nLocation: {asked['to'][0]}\r\nSet-Cookie: {models.set_cookie(token)}\r\nContent-Length: 0\r\n\r\n"

    async def page(_head: str) -> str:
        return PAGE

    alice = await person(front.tables, "alice")
    front.upstreams["portal"].reply = portal
    pages = []
    for name in ("lab", "evil"):
        host = await front.service(name, alice)
        front.upstreams[f"key-{name}"].reply = page
        pages.append(await browser.new_page())
        answer = await pages[-1].goto(
            await front.door.enter(user_id=alice.user_id, session_id=alice.session_id, host=host, to="/lab")
        )
        assert answer
        assert (answer.status, pages[-1].url) == (200, f"{front.origin(name)}/lab")
    return pages[0], pages[1]


async def test_nothing_that_a_hostile_page_tries_reaches_another_service(
    front: FrontDoor, browser: BrowserContext
) -> None:
    own, evil = await open_both(front, browser)
    victim = f"{front.origin('lab')}/api"
    reached = front.upstreams["key-lab"].requests
    for name in ATTACKS:
        before = len(reached)
        told = await attack(evil, name, victim)
        assert reached[before:] == [], f"{name}: {told}"
    # The controls: the service's own page may do all of it.
    assert await attack(own, "post", victim) == 200
    assert await attack(own, "frame", victim) == "loaded"
    assert await attack(own, "websocket", victim) == "open"
    assert len(reached) >= 3


async def test_over_https_it_is_the_same(
    layout: Layout, tables: database.Database, lab: LabSettings, browser: BrowserContext
) -> None:
    lab = lab.model_copy(update={"https": True})
    door = Door(database=tables, clock=SystemClock(), lab=lab)
    async with running(layout, lab, door, tables, FrontDoorSettings()) as front:
        await until(lambda: caddy.export_root(layout, layout.run / "root.crt"), "the lab's authority")
        own, evil = await open_both(front, browser)
        victim = f"{front.origin('lab')}/api"
        reached = front.upstreams["key-lab"].requests
        assert await own.evaluate("performance.getEntriesByType('navigation')[0].nextHopProtocol") == "h2"
        before = len(reached)
        for name in ATTACKS:
            await attack(evil, name, victim)
        assert reached[before:] == []
        assert await attack(own, "post", victim) == 200
        assert await attack(own, "websocket", victim) == "open"
        assert b"etabli-service" not in reached[-1]


async def attack(page: Page, name: str, victim: str) -> object:
    """How the browser took it."""
    return await page.evaluate("([name, victim]) => window.attacks[name](victim)", [name, victim])


async def test_cookies_tossed_by_a_sibling_change_nothing(front: FrontDoor, browser: BrowserContext) -> None:
    own, evil = await open_both(front, browser)
    for name in ("__Host-etabli-service", "__host-etabli-service", "=__Host-etabli-service"):
        for domain in (front.lab.services_domain, front.lab.domain):
            await evil.evaluate(f"document.cookie = '{name}=evil; Path=/; Domain={domain}; Secure'")
            await evil.evaluate(f"document.cookie = '{name}=evil; Path=/lab; Domain={domain}'")
    answer = await own.reload()
    assert answer
    assert answer.status == 200
    assert "etabli-service" not in await own.evaluate("document.cookie")


async def test_without_a_cookie_a_person_is_sent_to_the_portal(front: FrontDoor, browser: BrowserContext) -> None:
    await front.service("lab", await person(front.tables, "alice"))
    page = await browser.new_page()
    await page.goto(f"{front.origin('lab')}/lab?a=1")
    assert page.url == f"{front.lab.origin}/open?host={front.host('lab')}&to=%2Flab%3Fa%3D1"
