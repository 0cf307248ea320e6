"""The pictures of the documentation, taken in Chromium from a lab that was started for them: what a newcomer sees, in that order; then
what people see who work together, and who administers.

A picture has 256 colours at most, which keeps it small, and is written when its page is quiet. A step that does not come about fails
with what the page lacked; pictures taken before stay as they are.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests import lab as labs
from tests import newcomer

WIDTH, HEIGHT = 1280, 800
PHONE_WIDTH, PHONE_HEIGHT = 390, 844
PERSON = "Alice Martin"
OTHERS = ("Camille Bernard", "Youssef Benali", "Ines Moreau")
ABOUT = "Consumer prices of the region, month by month.\n\n- *raw/*: what shops send, never changed\n- *tables/*: what is published"
LIVE_MS = 30_000


def take(folder: Path) -> Iterator[Path]:
    """Take every picture; each one's path as soon as it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, labs.chromium(playwright) as browser, labs.lab() as lab:
        lab.up()
        yield from _walk(lab, browser, folder)


def _walk(lab: labs.Lab, browser: Browser, folder: Path) -> Iterator[Path]:
    stranger = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, locale="en").new_page()
    stranger.goto(lab.origin)
    yield _picture(stranger, folder / "welcome.png")
    context, page = labs.join(lab, browser, lab.link, PERSON)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    yield _picture(page, folder / "home.png")
    page.goto(f"{lab.origin}/catalog")
    yield _picture(page, folder / "catalogue.png")
    newcomer.open_the_form(lab, page, name="flights")
    yield _picture(page, folder / "launch.png")
    form = page.url
    service_id = newcomer.launch(page)
    notebook = newcomer.open_the_notebook(context, page)
    notebook.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    newcomer.run_all_cells(notebook)
    newcomer.show_cell(notebook, "import polars")
    yield _picture(notebook, folder / "notebook.png")
    yield _picture(_whole(lab, page, service_id), folder / "service.png")
    paused = lab.launch("--name", "survey 2026")
    lab.etabli("stop", paused)
    lab.until_state(paused, "stopped")
    page.goto(f"{lab.origin}/services")
    yield _picture(page, folder / "services.png")
    yield from _together(lab, browser, page, folder)
    yield from _as_others_see(lab, browser, context, folder, form=form, service_id=service_id)


def _together(lab: labs.Lab, browser: Browser, page: Page, folder: Path) -> Iterator[Path]:
    """Projects and an account, then what administrators see; `page` is an administrator's."""
    for name in OTHERS:
        labs.join(lab, browser, lab.etabli("invite").strip(), name)[0].close()
    lab.etabli("projects", "create", "Consumer prices", "--slug", "prices", "--description", ABOUT)
    lab.etabli("projects", "create", "Housing survey", "--slug", "housing", "--data", "personal")
    lab.etabli("projects", "member", "prices", "camille-bernard")
    lab.etabli("projects", "member", "prices", "youssef-benali", "--role", "viewer")
    addresses = {
        "projects": "/projects",
        "project": "/projects/prices",
        "security": "/account/security",
        "storage": "/account/storage",
        "people": "/admin/people",
        "usage": "/admin/usage?days=7",
        "branding": "/admin/branding?accent=%23047857",
        "design": "/design",
    }
    for name, address in addresses.items():
        page.goto(f"{lab.origin}{address}")
        yield _picture(page, folder / f"{name}.png")


def _as_others_see(
    lab: labs.Lab, browser: Browser, context: BrowserContext, folder: Path, *, form: str, service_id: str
) -> Iterator[Path]:
    """The same pages on a phone, in the dark, in French."""
    phone = _again(browser, context, width=PHONE_WIDTH, height=PHONE_HEIGHT, scheme="light")
    phone.goto(f"{lab.origin}/services")
    yield _picture(phone, folder / "services-phone.png")
    dark = _again(browser, context, width=WIDTH, height=HEIGHT, scheme="dark")
    yield _picture(_whole(lab, dark, service_id), folder / "service-dark.png")
    french = _again(browser, context, width=PHONE_WIDTH, height=PHONE_HEIGHT, scheme="dark")
    french.goto(lab.origin)
    french.get_by_role("button", name="Français").click()
    for name, address in {"accueil": lab.origin, "formulaire": form, "projet": f"{lab.origin}/projects/prices"}.items():
        french.goto(address)
        yield _picture(french, folder / f"{name}.png")


def _whole(lab: labs.Lab, page: Page, service_id: str) -> Page:
    """The service's page, once its log and what it uses are there."""
    page.goto(f"{lab.origin}/services/{service_id}")
    expect(page.get_by_text("– / 2 cores")).to_have_count(0, timeout=LIVE_MS)
    expect(page.get_by_text("Jupyter Server").first).to_be_attached(timeout=LIVE_MS)
    return page


def _again(
    browser: Browser, context: BrowserContext, *, width: int, height: int, scheme: Literal["dark", "light"]
) -> Page:
    """The same person, signed in, with another screen."""
    with tempfile.NamedTemporaryFile(suffix=".json") as kept:
        state = context.storage_state(path=kept.name)
    return browser.new_context(
        viewport={"width": width, "height": height}, storage_state=state, color_scheme=scheme, locale="en"
    ).new_page()


def _picture(page: Page, path: Path) -> Path:
    page.evaluate("document.fonts.ready")
    page.evaluate("document.activeElement?.blur()")
    taken = Image.open(io.BytesIO(page.screenshot(animations="disabled", caret="hide"))).convert("RGB")
    taken.quantize(method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(path, optimize=True)
    return path
