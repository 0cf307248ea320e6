"""By keyboard, in Chromium: search everywhere, the keys of a page, and the order in which Tab leads through the main pages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from etabli.engines import contract
from etabli.identity import models
from etabli.services.models import State
from tests.web.lab import Lab, served
from tests.web.test_live import bring

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"


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
async def page(lab: Lab, ada: models.User, chromium: Browser) -> AsyncIterator[Page]:
    """Home, of somebody signed in."""
    context = await chromium.new_context(locale="en")
    await bring(context, lab, await lab.token(ada))
    page = await context.new_page()
    await page.goto(lab.rooms.lab.origin)
    yield page
    await context.close()


NAME = """() => {
    const one = document.activeElement.cloneNode(true);
    one.querySelectorAll("[aria-hidden=true], kbd").forEach((hidden) => hidden.remove());
    return (one.getAttribute("aria-label") || document.activeElement.labels?.[0]?.textContent || one.textContent)
        .trim().replace(/\\s+/g, " ");
}"""


async def stops(page: Page) -> list[str]:
    """What Tab leads to, from the top of the page to its end: each by its name."""
    found: list[str] = []
    while not found or await page.evaluate("document.activeElement !== document.body"):
        await page.keyboard.press("Tab")
        name = await page.evaluate(NAME)
        if found and name == found[0]:
            break
        found.append(name)
    return found


async def test_search_is_a_keystroke_away_and_walked_by_arrows(lab: Lab, ada: models.User, page: Page) -> None:
    service = await lab.launched(ada, "Index of May")
    await lab.until(ada, service.id, State.READY)
    await page.keyboard.press("Control+k")
    box = page.locator("#finder-q")
    await expect(box).to_be_focused()
    await expect(page.locator("#finder-hits [aria-selected=true]")).to_contain_text("Index of May")
    await page.keyboard.type("notebok")
    first = page.locator("#finder-hits [role=option]").first
    await expect(first).to_contain_text("Launch notebook")
    assert await box.get_attribute("aria-activedescendant") == await first.get_attribute("id")
    await expect(page.locator("#finder-say")).to_contain_text("result")
    await page.keyboard.press("ArrowUp")  # Round to the last.
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/launcher/ide/notebook")


async def test_search_does_things_and_gives_the_focus_back(lab: Lab, ada: models.User, page: Page) -> None:
    service = await lab.launched(ada, "Index of May")
    await lab.until(ada, service.id, State.READY)
    await page.focus("a[href='/catalog'].button")
    await page.keyboard.press("Control+k")
    await page.keyboard.press("Escape")
    await expect(page.locator("a[href='/catalog'].button")).to_be_focused()
    await page.keyboard.press("Control+k")
    await page.keyboard.type("pause index")
    await expect(page.locator("#finder-hits [aria-selected=true]")).to_contain_text("Pause Index of May")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/services/{service.id}")
    await lab.until(ada, service.id, State.STOPPED)


async def test_words_that_find_nothing_are_said(page: Page) -> None:
    await page.keyboard.press("Control+k")
    await page.keyboard.type("zzzz")
    await expect(page.locator("#finder-none")).to_be_visible()
    await expect(page.locator("#finder-say")).to_have_text("0 results")


async def test_each_action_has_its_key_and_the_keys_are_shown(lab: Lab, ada: models.User, page: Page) -> None:
    service = await lab.launched(ada, "Index of May")
    await lab.until(ada, service.id, State.READY)
    for path in ("/", "/services", f"/services/{service.id}", "/catalog"):
        await page.goto(lab.rooms.lab.origin + path)
        keyless = "[...document.querySelectorAll('main .actions .button')].filter((one) => one.checkVisibility() && !one.dataset.key)"
        assert await page.evaluate(f"{keyless}.map((one) => one.outerHTML)") == []
        keys = await page.evaluate(
            "[...document.querySelectorAll('[data-key]')].filter((one) => one.checkVisibility()).map((one) => one.dataset.key)"
        )
        assert len(keys) == len(set(keys)), f"{path}: one key, two actions"
    await page.goto(f"{lab.rooms.lab.origin}/services/{service.id}")
    await page.keyboard.press("?")
    shown = page.locator("dialog#keys")
    await expect(shown).to_contain_text("Pause")
    await page.keyboard.press("p")  # Not while the list is shown.
    await page.keyboard.press("Escape")
    await expect(shown).to_be_hidden()
    await page.keyboard.press("p")
    await lab.until(ada, service.id, State.STOPPED)


async def test_keys_are_silent_while_one_types_and_where_they_are_turned_off(lab: Lab, page: Page) -> None:
    await page.keyboard.press("c")
    await page.wait_for_url("**/catalog")
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type("h?")
    assert await page.input_value("#search") == "h?"
    await expect(page.locator("dialog#keys")).to_be_hidden()
    await page.click("footer [data-dialog=keys]")
    await page.uncheck("#keys-on")
    await page.keyboard.press("Escape")
    await page.goto(f"{lab.rooms.lab.origin}/catalog")
    await page.keyboard.press("h")
    await page.keyboard.press("?")
    await expect(page.locator("dialog#keys")).to_be_hidden()
    await page.keyboard.press("Control+k")  # A key that no text holds goes on.
    await expect(page.locator("#finder-q")).to_be_focused()
    assert page.url.endswith("/catalog")


async def test_tab_leads_through_a_page_in_the_order_that_it_is_read(lab: Lab, ada: models.User, page: Page) -> None:
    lab.engine.automatic = False
    service = await lab.launched(ada, "Index of May")
    await lab.until(ada, service.id, State.STARTING)
    await page.goto(f"{lab.rooms.lab.origin}/services")
    walked = await stops(page)
    assert walked[0] == "Skip to the content"
    order = ["Home", "My services", "Catalogue", "Account", "New service", "Index of May", "Follow Index of May"]
    assert [stop for stop in walked if stop in order] == order
    await page.goto(f"{lab.rooms.lab.origin}/services/{service.id}")
    walked = await stops(page)
    order = ["Pause", "Delete", "Give it more time", "All of it, as text", "Rename"]
    assert [stop for stop in walked if stop in order] == order


async def test_what_happens_is_said_once_and_the_focus_stays(lab: Lab, ada: models.User, page: Page) -> None:
    lab.engine.automatic = False
    service = await lab.launched(ada, "Index of May")
    await lab.until(ada, service.id, State.STARTING)
    await page.goto(f"{lab.rooms.lab.origin}/services/{service.id}")
    await expect(page.locator("html[data-live=open]")).to_be_attached()
    await page.focus("#stop")
    await page.evaluate(
        """() => { window.said = []; new MutationObserver(() => said.push(document.getElementById("say").textContent))
            .observe(document.getElementById("say"), {childList: true, characterData: true, subtree: true}); }"""
    )
    lab.engine.drive(service.id, contract.Phase.READY)
    await expect(page.locator("#state")).to_have_text("Ready")
    await expect(page.locator("#say")).to_have_text("Index of May: Ready")
    assert await page.evaluate("document.activeElement.id") == "stop"
    lab.engine.drive(service.id, contract.Phase.FAILED)
    await expect(page.locator("#say")).to_have_text("Index of May: Failed")
    assert await page.evaluate("said") == ["Index of May: Ready", "Index of May: Failed"]
