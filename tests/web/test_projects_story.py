"""A project as three people live it in Chromium, in two languages, on a laptop and a phone."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from etabli.identity import models, people
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
                viewport=how.get("viewport", LAPTOP),  # type: ignore[arg-type] # One of two sizes.
            )
            stack.push_async_callback(context.close)
            page = await context.new_page()
            await page.goto(f"{lab.rooms.lab.origin}/sign-in")
            await page.fill("#login", user.slug)
            await page.fill("#password", PASSWORD)
            await page.click("form.card button")
            await page.wait_for_url(f"{lab.rooms.lab.origin}/")
            return page

        yield entered


async def link_into(page: Page, slug: str, role: str) -> str:
    """The address of a new link into a project, made on its page."""
    await page.goto(re.sub(r"(//[^/]+).*", rf"\1/projects/{slug}", page.url))
    await page.select_option("#invite-role", role)
    await page.click("form.inline button")
    return await page.inner_text("#invitation")


@pytest.mark.parametrize(("hers", "his", "viewport"), [("fr", "en", LAPTOP), ("en", "fr", PHONE)])
async def test_a_project_from_its_making_to_a_members_removal(
    lab: Lab, ada: models.User, enter: Enter, hers: str, his: str, viewport: dict[str, int]
) -> None:
    origin = lab.rooms.lab.origin
    bob, eve = await lab.person("Bob Martin", by=ada), await lab.person("Eve", by=ada)
    owner = await enter(ada, hers, viewport=viewport)
    await owner.goto(f"{origin}/projects/new")
    await owner.fill("#name", "Prix du « pain »")
    await expect(owner.locator("#slug")).to_have_attribute("placeholder", "prix-du-pain")
    await owner.fill("#slug", "pain")
    await owner.select_option("#data_class", "personal")
    await owner.click("form.card button.primary")
    await owner.wait_for_url("**/projects/pain?done=created")
    await expect(owner.locator(".holds.said")).to_be_visible()

    member = await enter(bob, his, viewport=viewport)
    await member.goto(await link_into(owner, "pain", "member"))
    await member.click("form.card button.primary")
    await member.wait_for_url("**/projects/pain?done=joined")
    await expect(member.locator("header .popup:not(.menu) .pick").first).to_contain_text("Prix du « pain »")
    viewer = await enter(eve, his, viewport=viewport)
    await viewer.goto(await link_into(owner, "pain", "viewer"))
    await viewer.click("form.card button.primary")
    await viewer.wait_for_url("**/projects/pain?done=joined")

    await member.goto(f"{origin}/launcher/ide/notebook")
    await member.fill("#name", "Ours")
    await member.click("form.launch .bottom button")
    await member.wait_for_url("**/services/*")
    await expect(member.locator("#state")).to_have_text({"en": "Ready", "fr": "Prêt"}[his])
    service = member.url
    await owner.goto(f"{origin}/services")
    await expect(owner.locator("#services")).to_contain_text("Ours")
    await viewer.goto(f"{origin}/catalog")
    await expect(viewer.locator("#charts")).to_contain_text("notebook")
    assert await viewer.locator("a[href*='/launcher/']").count() == 0
    await viewer.goto(service)
    assert await viewer.locator("#stop, #delete, #open").count() == 0

    await member.goto(f"{origin}/projects/pain")
    await owner.goto(f"{origin}/projects/pain")
    row = owner.locator(".row.member", has_text="Bob Martin")
    await row.locator("summary").click()
    await row.locator("button.danger").click()
    await owner.wait_for_url("**/projects/pain?done=removed")
    await expect(owner.locator("#people")).not_to_contain_text("Bob Martin")
    await expect(member.locator("#gone")).to_be_visible()
    for address in (f"{origin}/projects/pain", service):
        answer = await member.goto(address)
        gone = (await member.inner_text("main")).replace(address.rpartition("/")[2], "abcdefghij")
        never = await member.goto(re.sub(r"[^/]+$", "abcdefghij", address))
        assert answer is not None
        assert never is not None
        assert (answer.status, gone) == (never.status, await member.inner_text("main"))
    await member.goto(f"{origin}/services")
    await expect(member.locator("header .popup:not(.menu) .pick").first).to_contain_text("Bob Martin")


async def test_the_switcher_is_used_by_keyboard_and_without_scripts(lab: Lab, ada: models.User, enter: Enter) -> None:
    await lab.rooms.identity.projects.create(by=ada, name="Prices", slug="prices")
    page = await enter(ada, "en")
    await page.goto(f"{lab.rooms.lab.origin}/catalog")
    await press_until(page, "header .popup:not(.menu) > .pick")
    await page.keyboard.press("Enter")
    await press_until(page, "button[name=project][value=prices]")
    await page.keyboard.press("Enter")
    await expect(page.locator("header .popup:not(.menu) .pick").first).to_contain_text("Prices")
    assert page.url.endswith("/catalog")
    bare = await enter(ada, "en", scripts=False, viewport=PHONE)
    await bare.locator("header .popup:not(.menu) > .pick").first.click()
    await bare.click("button[name=project][value=prices]")
    await expect(bare.locator("header .popup:not(.menu) .pick").first).to_contain_text("Prices")
