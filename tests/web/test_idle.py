"""The warning before a session that nobody uses ends: in Chromium, in two tabs, on the lab's clock."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from tests.web import parts
from tests.web.lab import PASSWORD, Lab, served

pytestmark = pytest.mark.browser

CHROMIUM = "/usr/bin/chromium"
MINUTES = 5


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with served(tmp_path, people=parts.CHEAP.model_copy(update={"session_idle_minutes": MINUTES})) as lab:
        yield lab


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


async def signed_in(lab: Lab, chromium: Browser, *, scripts: bool = True) -> Page:
    ada = await lab.admin()
    context = await chromium.new_context(locale="en", java_script_enabled=scripts)
    page = await context.new_page()
    await page.goto(f"{lab.rooms.lab.origin}/sign-in")
    await page.fill("#login", ada.slug)
    await page.fill("#password", PASSWORD)
    await page.click("form.card button")
    await page.wait_for_url(f"{lab.rooms.lab.origin}/")
    return page


def unused_since(folder: Path, *, left: timedelta) -> None:
    """As if nobody had used the session for so long that it lasts `left` from now."""
    end = datetime.now(UTC) + left
    seen = end - timedelta(minutes=MINUTES)
    with sqlite3.connect(next(folder.rglob("*.db")), timeout=20) as database:
        form = "%Y-%m-%d %H:%M:%S.%f"
        database.execute(
            "update sessions set expires_at = ?, last_seen_at = ?", (end.strftime(form), seen.strftime(form))
        )


async def looks_again(page: Page) -> None:
    """Somebody comes back to the tab."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


async def test_people_are_told_stay_by_one_key_and_are_signed_out_when_they_are_gone(
    lab: Lab, chromium: Browser, tmp_path: Path
) -> None:
    page = await signed_in(lab, chromium)
    other = await page.context.new_page()
    await other.goto(f"{lab.rooms.lab.origin}/account")
    await page.goto(f"{lab.rooms.lab.origin}/services?x=1")
    dialog = page.get_by_role("dialog", name="Are you still there?")
    await expect(dialog).to_be_hidden()
    unused_since(tmp_path, left=timedelta(seconds=90))
    await looks_again(page)
    await looks_again(other)
    await expect(dialog).to_contain_text("1:2")
    await expect(other.locator("#idle")).to_be_visible()
    assert await page.evaluate("document.activeElement.textContent") == "Stay signed in"
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await expect(other.locator("#idle")).to_be_hidden()
    (session,) = await lab.rooms.identity.sessions.list(user_id=(await lab.rooms.identity.people.first_admin()).id)
    assert lab.rooms.identity.sessions.left(session) > timedelta(minutes=MINUTES - 1)

    unused_since(tmp_path, left=timedelta(seconds=2))
    await looks_again(page)
    await page.wait_for_url("**/sign-in?next=%2Fservices%3Fx%3D1")


async def test_without_scripts_the_session_just_ends(lab: Lab, chromium: Browser, tmp_path: Path) -> None:
    page = await signed_in(lab, chromium, scripts=False)
    await page.goto(f"{lab.rooms.lab.origin}/services")
    await expect(page.locator("#idle")).to_be_hidden()
    unused_since(tmp_path, left=timedelta(seconds=-1))
    await page.goto(f"{lab.rooms.lab.origin}/services")
    await page.wait_for_url("**/sign-in?next=%2Fservices")
