"""Pages that follow what happens elsewhere, in Chromium: many tabs on one stream, a lost line, forms in use, the end of a session."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from etabli.engines import contract
from etabli.identity import models
from etabli.services.models import State
from etabli.web import hub as hubs
from etabli.web import visitors
from tests.web.lab import Lab, served

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
WITHOUT_WORKERS = "delete window.SharedWorker"
WITHOUT_ANYTHING = "delete window.SharedWorker; delete window.BroadcastChannel"
WAYS = {"one worker for all tabs": "", "one tab for all": WITHOUT_WORKERS, "each tab its own": WITHOUT_ANYTHING}
Visit = Callable[..., Awaitable[Page]]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with served(tmp_path) as lab:
        yield lab


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture
async def signed_in(lab: Lab, chromium: Browser) -> AsyncIterator[Callable[..., Awaitable[BrowserContext]]]:
    """A browser with somebody's session in it."""
    async with AsyncExitStack() as stack:

        async def opened(user: models.User, *, script: str = "") -> BrowserContext:
            context = await chromium.new_context(locale="en")
            stack.push_async_callback(context.close)
            if script:
                await context.add_init_script(script)
            await bring(context, lab, await lab.token(user))
            return context

        yield opened


async def bring(context: BrowserContext, lab: Lab, token: str) -> None:
    """Put a session in a browser."""
    url = lab.rooms.lab.origin.replace("http:", "https:")
    cookie = {"name": visitors.SESSION_COOKIE, "value": token, "url": url, "secure": True, "httpOnly": True}
    await context.add_cookies([cookie])  # type: ignore[list-item] # A dict of the shape that it asks for.


async def opened(context: BrowserContext, lab: Lab, path: str) -> Page:
    """A page that follows."""
    page = await context.new_page()
    await page.goto(lab.rooms.lab.origin + path)
    await expect(page.locator("html[data-live=open]")).to_be_attached()
    return page


def streams(lab: Lab) -> int:
    """How many streams the portal has open."""
    hub = lab.web.state.hub
    assert isinstance(hub, hubs.Hub)
    return hub.count


@pytest.mark.parametrize("script", WAYS.values(), ids=WAYS.keys())
async def test_a_change_appears_in_every_tab(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]], script: str
) -> None:
    lab.engine.automatic = False
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.STARTING)
    context = await signed_in(ada, script=script)
    one, two = [await opened(context, lab, path) for path in ("/services", f"/services/{service.id}")]
    lab.engine.drive(service.id, contract.Phase.READY)
    await expect(one.locator(f"#row-{service.id}")).to_contain_text("Ready")
    await expect(one.locator("#say")).to_have_text("Followed: Ready")
    await expect(two.locator("#state")).to_have_text("Ready")
    assert streams(lab) == (2 if script == WITHOUT_ANYTHING else 1)
    await one.close()  # Another tab goes on where it led.
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Renamed")
    await expect(two.locator("h1")).to_have_text("Renamed")
    await expect(two).to_have_title("Renamed · Etabli")


async def test_ten_tabs_have_one_stream_and_none_starves(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]]
) -> None:
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.READY)
    context = await signed_in(ada)
    tabs = [await opened(context, lab, f"/services/{service.id}") for _ in range(10)]
    assert streams(lab) == 1
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Seen by all")
    for tab in tabs:
        await expect(tab.locator("h1")).to_have_text("Seen by all")
    await lab.engine.write(service.id, "the last tab follows what it writes")
    await expect(tabs[-1].locator("#log")).to_contain_text("the last tab")


@pytest.mark.parametrize("script", WAYS.values(), ids=WAYS.keys())
async def test_a_lost_connection_is_said_and_mended_and_what_was_missed_is_there(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]], script: str
) -> None:
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.READY)
    page = await opened(await signed_in(ada, script=script), lab, "/services")
    assert lab.server is not None
    await lab.server.stop()
    await expect(page.locator("#lost")).to_be_visible(timeout=30_000)
    await expect(page.locator("#say")).to_contain_text("The connection to the lab is lost")
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Renamed meanwhile")
    await lab.server.start()
    await expect(page.locator("#lost")).to_be_hidden(timeout=60_000)
    await expect(page.locator(f"#row-{service.id}")).to_contain_text("Renamed meanwhile")


async def test_a_form_in_use_keeps_what_was_typed_while_the_page_around_it_changes(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]]
) -> None:
    lab.engine.automatic = False
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.STARTING)
    page = await opened(await signed_in(ada), lab, f"/services/{service.id}")
    await page.click("summary:has-text('Rename')")
    await page.fill("#name", "half a na")
    lab.engine.drive(service.id, contract.Phase.READY)
    await expect(page.locator("#state")).to_have_text("Ready")
    assert await page.input_value("#name") == "half a na"
    assert await page.evaluate("document.activeElement.id") == "name"


async def test_a_session_that_ends_elsewhere_is_said_and_nothing_more_is_shown(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]]
) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    context = await signed_in(bob)
    page, other = [await opened(context, lab, path) for path in ("/services", "/account")]
    await lab.rooms.identity.people.suspend(by=ada, user_id=bob.id)
    for one in (page, other):
        await expect(one.locator("#over")).to_be_visible()
        await expect(one.locator("#say")).to_contain_text("no longer signed in")
    await expect(page.locator("#over a")).to_have_attribute("href", "/sign-in?next=/services")
    assert streams(lab) == 0


async def test_a_tab_never_shows_what_the_next_person_in_the_browser_sees(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]]
) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    service = await lab.launched(bob, "Bob's own")
    await lab.until(bob, service.id, State.READY)
    context = await signed_in(ada)
    page = await opened(context, lab, "/services")
    await bring(context, lab, await lab.token(bob))
    await lab.launched(ada, "Hers")
    await expect(page.locator("#over")).to_be_visible()
    await expect(page.locator("body")).not_to_contain_text("Bob's own")


async def test_a_thing_that_is_gone_is_said(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]]
) -> None:
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.READY)
    page = await opened(await signed_in(ada), lab, f"/services/{service.id}")
    await lab.rooms.services.delete(user_id=ada.id, service_id=service.id)
    await expect(page.locator("#gone")).to_be_visible()


async def test_a_tab_that_nobody_sees_waits_until_somebody_does(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]]
) -> None:
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.READY)
    page = await opened(await signed_in(ada), lab, "/services")
    await see(page, hidden=True)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    async with page.expect_event("console", lambda said: said.text == "told"):
        await page.evaluate("""() => {
            const worker = new SharedWorker(document.querySelector("script[src*='live.js']").src, {
                name: "etabli-live-" + document.querySelector("meta[name=etabli-live]").content.split(" ")[0]});
            worker.port.onmessage = ({data}) => { if (data.hints) console.log("told"); };
            worker.port.postMessage({hello: "x-0"});
        }""")
        await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Renamed")
    await expect(page.locator(f"#row-{service.id}")).to_contain_text("Followed")
    assert asked == []
    await see(page, hidden=False)
    await expect(page.locator(f"#row-{service.id}")).to_contain_text("Renamed")


async def test_a_page_that_one_comes_back_to_is_whole(
    lab: Lab, ada: models.User, signed_in: Callable[..., Awaitable[BrowserContext]]
) -> None:
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.READY)
    page = await opened(await signed_in(ada), lab, "/services")
    await page.goto(f"{lab.rooms.lab.origin}/catalog")
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Renamed")
    await page.go_back()
    await expect(page.locator(f"#row-{service.id}")).to_contain_text("Renamed")
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Followed on")
    await expect(page.locator(f"#row-{service.id}")).to_contain_text("Followed on")


async def see(page: Page, *, hidden: bool) -> None:
    """Have the tab believe that it is looked at, or not: headless tabs always are."""
    await page.evaluate(
        """(hidden) => {
            Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )
