"""Somebody comes in from outside, is let in, works, is kept out and let in again: two people in Chromium, in two languages."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from etabli.identity import models
from tests.web.lab import PASSWORD, Lab, served
from tests.web.test_browser import CHROMIUM, LAPTOP, PHONE, press_until

pytestmark = pytest.mark.browser


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


@pytest.mark.parametrize(("hers", "viewport"), [("en", LAPTOP), ("fr", PHONE)])
async def test_from_asking_to_being_kept_out_and_let_in_again(
    lab: Lab, ada: models.User, chromium: Browser, hers: str, viewport: dict[str, int]
) -> None:
    origin = lab.rooms.lab.origin
    async with AsyncExitStack() as stack:

        async def browse(code: str, **how: object) -> Page:
            context = await chromium.new_context(locale=code, viewport=how.get("viewport", LAPTOP))  # type: ignore[arg-type] # A size.
            stack.push_async_callback(context.close)
            return await context.new_page()

        outside = await browse(hers, viewport=viewport)
        await outside.goto(origin)
        await outside.click("a[href='/ask']")
        await outside.fill("#name", "Zoé Martin")
        await outside.fill("#email", "zoe@example.org")
        await outside.fill("#message", "Les prix du « pain »")
        await outside.click("form.card button")
        await outside.wait_for_url("**/ask?done=1")

        admin = await browse("en")
        await enter(admin, origin, ada.slug)
        await admin.goto(f"{origin}/admin/invitations")
        await expect(admin.locator("main")).to_contain_text("Les prix du « pain »")
        await admin.click("form[action$='/approve'] button")
        link = await admin.inner_text("#made")

        await outside.goto(link)
        assert await outside.get_attribute("#email", "readonly") is not None
        await outside.fill("#name", "Zoé Martin")
        await outside.fill("#password", PASSWORD)
        await outside.click("form.card button")
        await outside.wait_for_url(f"{origin}/")
        await outside.goto(f"{origin}/launcher/ide/notebook")
        await outside.fill("#name", "Pain")
        await outside.click("form.launch .bottom button")
        await outside.wait_for_url("**/services/*")
        service = outside.url
        await expect(outside.locator("#state")).to_have_text({"en": "Ready", "fr": "Prêt"}[hers])

        await admin.goto(f"{origin}/admin/people?search=zoe")
        await admin.click("a[href='/admin/people/zoe-martin']")
        await admin.fill("#reason", "left the institution")
        await press_until(admin, "form[action$='/suspend'] button")
        await admin.keyboard.press("Enter")
        await admin.wait_for_url("**/admin/people/zoe-martin?done=suspended")
        await expect(outside.locator("#over")).to_be_visible()  # Without a reload: her page says it by itself.
        await outside.goto(service)
        assert "/sign-in" in outside.url
        await outside.fill("#login", "zoe-martin")
        await outside.fill("#password", PASSWORD)
        await outside.click("form.card button")
        await expect(outside.locator("h1")).to_contain_text({"en": "suspended", "fr": "suspendu"}[hers])

        await admin.click("form[action$='/restore'] button")
        await admin.wait_for_url("**/admin/people/zoe-martin?done=restored")
        await enter(outside, origin, "zoe-martin", onward=re.compile(r"/(services/\w+)?$"))
        await admin.goto(f"{origin}/admin/audit?target=zoe-martin")
        await expect(admin.locator("main")).to_contain_text("ada-lovelace")


async def enter(page: Page, origin: str, slug: str, *, onward: re.Pattern[str] | None = None) -> None:
    """Sign in through the page."""
    await page.goto(f"{origin}/sign-in")
    await page.fill("#login", slug)
    await page.fill("#password", PASSWORD)
    await page.click("form.card button")
    await page.wait_for_url(onward or f"{origin}/")
