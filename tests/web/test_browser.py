"""Chromium over the pages, as people meet them: by keyboard, without scripts, in each language, theme and width."""

import difflib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect
from tools import looks

from etabli.engines import contract
from etabli.identity import models
from etabli.services.models import State
from tests.web.lab import PASSWORD, Lab, served

pytestmark = pytest.mark.browser

AXE = Path(__file__).parent / "vendor/axe.min.js"
CHROMIUM = "/usr/bin/chromium"
PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 800}
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
async def visit(lab: Lab, ada: models.User, chromium: Browser) -> AsyncIterator[Visit]:
    """Open a browser of its own, signed in through the page; whatever it logs as an error fails the test."""
    complaints: list[str] = []
    async with AsyncExitStack() as stack:

        async def opened(
            *, strict: bool = True, scripts: bool = True, locale: str = "en", theme: str = "light", **how: object
        ) -> Page:
            context: BrowserContext = await chromium.new_context(
                java_script_enabled=scripts,
                locale=locale,
                color_scheme=theme,  # type: ignore[arg-type] # One of two words.
                viewport=how.get("viewport", LAPTOP),  # type: ignore[arg-type] # One of two sizes.
            )
            stack.push_async_callback(context.close)
            page = await context.new_page()
            if strict:
                page.on("pageerror", lambda error: complaints.append(str(error)))
                page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            await page.goto(f"{lab.rooms.lab.origin}/sign-in")
            await page.fill("#login", ada.slug)
            await page.fill("#password", PASSWORD)
            await page.click("form.card button")
            await page.wait_for_url(f"{lab.rooms.lab.origin}/")
            return page

        yield opened
    assert not [line for line in complaints if "404" not in line]


async def test_a_service_is_launched_by_keyboard_alone(lab: Lab, ada: models.User, visit: Visit) -> None:
    page = await visit()
    await page.keyboard.press("Tab")
    assert await page.evaluate("document.activeElement.className") == "skip"
    await page.goto(f"{lab.rooms.lab.origin}/catalog")
    await press_until(page, "a[href='/launcher/ide/notebook'].button")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/launcher/ide/notebook")
    await press_until(page, "#name")
    await page.keyboard.type("By keyboard")
    await press_until(page, "#v-resources\\.limits\\.memory")
    await page.keyboard.press("ArrowUp")
    await press_until(page, "form.launch .bottom button")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/services/*")
    await expect(page.locator("#state")).to_have_text("Ready")
    (service,) = await lab.rooms.services.list(user_id=ada.id, project_id=await own_project(lab, ada))
    assert (service.name, service.limits.memory_bytes) == ("By keyboard", 5 << 30)


async def test_a_service_is_launched_opened_and_deleted_without_scripts(
    lab: Lab, ada: models.User, visit: Visit
) -> None:
    page = await visit(scripts=False, viewport=PHONE)
    origin = lab.rooms.lab.origin
    await page.goto(f"{origin}/launcher/ide/notebook")
    await page.fill("#name", "No script")
    await page.fill("#v-resources\\.limits\\.cpu", "3.5")
    await page.click("form.launch .bottom button")
    await page.wait_for_url("**/services/*")
    service_id = page.url.rpartition("/")[2]
    service = await lab.until(ada, service_id, State.READY)
    assert service.limits.cpu == 3.5
    await page.reload()
    await expect(page.locator("#state")).to_have_text("Ready")
    async with page.context.expect_page() as opening:
        await page.click("#open")
    await expect((await opening.value).locator("h1")).to_have_text("the service at /")
    await page.click("#delete")
    await page.click("form button.danger")
    await page.wait_for_url("**/services?done=deleted")


async def test_a_change_made_elsewhere_appears_and_focus_stays(lab: Lab, ada: models.User, visit: Visit) -> None:
    lab.engine.automatic = False
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.STARTING)
    page = await visit()
    await page.goto(f"{lab.rooms.lab.origin}/services")
    await page.focus(f"#go-{service.id}")
    lab.engine.drive(service.id, contract.Phase.READY)
    row = page.locator(f"#row-{service.id}")
    await expect(row).to_contain_text("Ready")
    await expect(row.locator(f"#go-{service.id}")).to_contain_text("Open")
    assert await page.evaluate("document.activeElement.id") == f"go-{service.id}"


async def test_a_lost_connection_is_said_and_mended(lab: Lab, ada: models.User, visit: Visit) -> None:
    service = await lab.launched(ada, "Followed")
    await lab.until(ada, service.id, State.READY)
    page = await visit(strict=False)
    await page.goto(f"{lab.rooms.lab.origin}/services")
    await expect(page.locator(f"#row-{service.id}")).to_contain_text("Ready")
    assert lab.server is not None
    await lab.server.stop()
    await expect(page.locator("#lost")).to_be_visible(timeout=30_000)
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Renamed meanwhile")
    await lab.server.start()
    await expect(page.locator("#lost")).to_be_hidden(timeout=60_000)
    await expect(page.locator(f"#row-{service.id}")).to_contain_text("Renamed meanwhile")


async def test_logs_are_followed_and_what_they_hold_is_text(lab: Lab, ada: models.User, visit: Visit) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    await lab.engine.write(service.id, "<img src=x onerror=alert(1)>")
    page = await visit()
    await page.goto(f"{lab.rooms.lab.origin}/services/{service.id}")
    await expect(page.locator("#log")).to_contain_text("<img src=x onerror=alert(1)>")
    await lab.engine.write(service.id, "second line")
    await expect(page.locator("#log")).to_contain_text("second line")
    await expect(page.locator("#log img")).to_have_count(0)


async def test_the_catalogue_is_searched_as_one_types(lab: Lab, visit: Visit) -> None:
    page = await visit()
    await page.goto(f"{lab.rooms.lab.origin}/catalog")
    await page.fill("#search", "relatiônal")
    await expect(page.get_by_role("link", name="Launch notebook")).to_be_hidden()
    await expect(page.get_by_role("link", name="Launch database")).to_be_visible()
    await page.fill("#search", "nothing like this")
    await expect(page.locator("#charts-none")).to_be_visible()
    await expect(page.locator("#catalog-ide")).to_be_hidden()


async def test_the_command_beside_the_form_follows_what_is_chosen(lab: Lab, visit: Visit) -> None:
    page = await visit()
    await page.goto(f"{lab.rooms.lab.origin}/launcher/ide/notebook")
    await page.fill("#v-resources\\.limits\\.memory", "7")
    await page.keyboard.press("Tab")
    await expect(page.locator("#command")).to_contain_text("resources.limits.memory=7Gi")


async def test_who_comes_by_a_services_address_signs_in_and_arrives_there(
    lab: Lab, ada: models.User, visit: Visit
) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    page = await visit()
    await page.goto(f"{lab.rooms.lab.origin}/services/{service.id}/open?to=/lab/tree")
    address = page.url
    await page.context.clear_cookies()
    await page.goto(address)
    assert page.url.startswith(f"{lab.rooms.lab.origin}/sign-in?next=")
    await page.fill("#login", ada.slug)
    await page.fill("#password", PASSWORD)
    await page.click("form.card button")
    await page.wait_for_url(address)
    await expect(page.locator("h1")).to_have_text("the service at /lab/tree")


async def test_a_field_under_a_condition_follows_it_with_scripts_and_is_there_without(lab: Lab, visit: Visit) -> None:
    page, plain = await visit(), await visit(scripts=False)
    for one in (page, plain):
        await one.goto(f"{lab.rooms.lab.origin}/launcher/ide/notebook")
        await one.click("summary:has-text('Persistence')")
    size = "#v-persistence\\.size"
    await expect(plain.locator(size)).to_be_visible()
    await expect(page.locator(size)).to_be_hidden()
    await page.check("#v-persistence\\.enabled")
    await expect(page.locator(size)).to_be_visible()


async def test_a_page_of_a_service_can_do_nothing_here(lab: Lab, ada: models.User, visit: Visit) -> None:
    """A hostile page in a service: same site, another origin; it sends forms, fetches, frames and tosses cookies."""
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    page = await visit(strict=False)
    origin = lab.rooms.lab.origin
    await page.goto(f"{origin}/services/{service.id}/open")
    await expect(page.locator("h1")).to_have_text("the service at /")
    assert f"-{service.id}.svc." in page.url
    await page.evaluate(
        """async (origin) => {
            document.cookie = "__Host-etabli=tossed; Domain=etabli.localhost; Path=/; Secure";
            document.cookie = "__Host-etabli-visit=tossed; Domain=etabli.localhost; Path=/; Secure";
            const send = (path, how) => fetch(origin + path, {credentials: "include", mode: "no-cors", ...how}).catch(() => 0);
            await send("/sign-out", {method: "POST"});
            await send("/account/profile", {method: "POST", body: new URLSearchParams({name: "Taken"})});
            await send("/api/v1/services", {method: "POST", body: '{"chart":"notebook"}'});
        }""",
        origin,
    )
    read = "(origin) => fetch(origin + '/api/v1/me', {credentials: 'include'}).then(() => 'read', () => 'refused')"
    assert await page.evaluate(read, origin) == "refused"
    await page.evaluate(
        """(origin) => {
            const frame = document.createElement("iframe"); frame.src = origin + "/account"; document.body.append(frame);
            const form = document.createElement("form"); form.method = "post"; form.action = origin + "/sign-out";
            document.body.append(form); form.submit();
        }""",
        origin,
    )
    await page.wait_for_url(f"{origin}/sign-out")
    await page.goto(f"{origin}/account")
    assert await page.input_value("#name") == ada.name
    services = await lab.rooms.services.list(user_id=ada.id, project_id=await own_project(lab, ada))
    assert [one.id for one in services] == [service.id]


@pytest.mark.parametrize("density", looks.DENSITIES)
async def test_the_parts_of_pages_look_as_they_were_agreed_to(lab: Lab, visit: Visit, density: str) -> None:
    page = await visit(viewport={"width": looks.WIDTH, "height": looks.HEIGHT})
    measured = await looks.measure(page, f"{lab.rooms.lab.origin}/design?density={density}")
    kept = (looks.FOLDER / f"{density}.txt").read_text()
    changed = list(difflib.unified_diff(kept.splitlines(), measured.splitlines(), "kept", "now", n=0))
    assert changed == [], "\n".join([*changed[:40], "if it is meant: `python -m tools.looks`, look at /design, commit"])


async def press_until(page: Page, selector: str) -> None:
    """Press Tab until what is asked for has the focus."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate("(selector) => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"the keyboard does not reach {selector}")


async def own_project(lab: Lab, user: models.User) -> str:
    """The id of that person's own project."""
    return (await lab.rooms.identity.projects.personal(user_id=user.id)).id
