"""An administrator's day in Chromium: somebody is suspended and let in again, all are told, the audit log has it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from etabli.identity import models, people
from etabli.services.models import State
from tests.web.lab import PASSWORD, Lab, served
from tests.web.test_browser import CHROMIUM, LAPTOP, PHONE, press_until

pytestmark = pytest.mark.browser

Enter = Callable[..., Awaitable[Page]]


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
async def enter(lab: Lab, chromium: Browser) -> AsyncIterator[Enter]:
    """A browser of that person's own, signed in, in their language."""
    async with AsyncExitStack() as stack:

        async def entered(user: models.User, code: str, *, scripts: bool = True, **how: object) -> Page:
            profile = people.Profile(name=user.name, email=user.email, language=code)
            await lab.rooms.identity.people.change_profile(user_id=user.id, profile=profile)
            context = await chromium.new_context(
                locale=code,
                java_script_enabled=scripts,
                color_scheme=how.get("theme", "light"),  # type: ignore[arg-type] # One of two words.
                viewport=how.get("viewport", LAPTOP),  # type: ignore[arg-type] # One of three sizes.
            )
            stack.push_async_callback(context.close)
            page = await context.new_page()
            await sign_in(lab, page, user)
            return page

        yield entered


async def sign_in(lab: Lab, page: Page, user: models.User) -> None:
    """Through the page."""
    await page.goto(f"{lab.rooms.lab.origin}/sign-in")
    await page.fill("#login", user.slug)
    await page.fill("#password", PASSWORD)
    await page.click("form.card button")
    await page.wait_for_url(f"{lab.rooms.lab.origin}/")


@pytest.mark.parametrize(
    ("code", "viewport", "scripts"), [("fr", LAPTOP, True), ("en", PHONE, True), ("fr", PHONE, False)]
)
async def test_somebody_is_suspended_and_let_in_again_and_all_of_it_is_in_the_log(
    lab: Lab, ada: models.User, enter: Enter, code: str, viewport: dict[str, int], scripts: bool
) -> None:
    origin = lab.rooms.lab.origin
    bob = await lab.person("Bob Martin", by=ada)
    service = await lab.launched(bob, "Prices")
    await lab.until(bob, service.id, State.READY)
    theirs = await enter(bob, "en")
    page = await enter(ada, code, viewport=viewport, scripts=scripts)

    await page.goto(f"{origin}/admin/people")
    await page.fill("#search", "martin")
    await page.keyboard.press("Enter")
    await page.click("a[href='/admin/people/bob-martin']")
    await page.fill("#reason", "Départ du projet")
    await page.check("#services")
    await page.click("form[action$='/suspend'] button")
    await expect(page.locator("[role=status]").first).to_be_visible()
    await theirs.goto(f"{origin}/services")
    assert "/sign-in" in theirs.url  # Their session has ended.
    await lab.until(bob, service.id, State.STOPPED)

    await page.click("form[action$='/restore'] button")
    await sign_in(lab, theirs, bob)

    await page.goto(f"{origin}/admin/announcements")
    await page.fill("#text-fr", "Arrêt **mardi**")
    await page.fill("#text-en", "Down on **Tuesday**")
    await page.select_option("#level", "warning")
    await page.click("form.form button.primary")
    await theirs.goto(f"{origin}/services")
    await expect(theirs.locator(".band strong")).to_have_text("Tuesday")
    await theirs.click(".band button")
    await expect(theirs.locator(".band")).to_have_count(0)
    assert theirs.url == f"{origin}/services"

    await page.goto(f"{origin}/admin/audit")
    await page.fill("#target", "bob-martin")
    await page.click("form.filters button")
    rows = page.locator("table tbody tr")
    await expect(rows.first).to_contain_text("ada-lovelace")
    assert await rows.count() >= 2
    await expect(page.locator("table")).to_contain_text("Départ du projet")
    await page.click("form[action='/admin/audit/verify'] button")
    await expect(page.locator("[role=status]").first).to_be_visible()


async def test_somebody_is_found_and_signed_out_by_keyboard_alone(lab: Lab, ada: models.User, enter: Enter) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    await lab.token(bob)
    page = await enter(ada, "en")
    await page.goto(f"{lab.rooms.lab.origin}/admin/people")
    await press_until(page, "#search")
    await page.keyboard.type("bob")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**search=bob**")
    await press_until(page, "a[href='/admin/people/bob-martin']")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/admin/people/bob-martin")
    await press_until(page, "form[action$='/sign-out'] button.button")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**done=signed-out")
    assert await lab.rooms.identity.sessions.list(user_id=bob.id) == ()
