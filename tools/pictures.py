"""The pictures of the documentation, taken in Chromium from a lab that was started for them: what a newcomer sees, in that order.

A picture is written when its page is quiet. A step that does not come about fails with what the page lacked; pictures taken before
stay as they are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from tests import lab as labs
from tests import newcomer

WIDTH, HEIGHT = 1280, 800
PHONE_WIDTH, PHONE_HEIGHT = 390, 844
PERSON = "Alice Martin"
LIVE_MS = 30_000


def take(folder: Path) -> Iterator[Path]:
    """Take every picture; each one's path as soon as it is there."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright, labs.chromium(playwright) as browser, labs.lab() as lab:
        lab.up()
        yield from _walk(lab, browser, folder)


def _walk(lab: labs.Lab, browser: Browser, folder: Path) -> Iterator[Path]:
    context, page = labs.join(lab, browser, lab.link, PERSON)
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    yield _picture(page, folder / "home.png")
    page.goto(f"{lab.origin}/catalog")
    yield _picture(page, folder / "catalogue.png")
    newcomer.open_the_form(lab, page, name="flights")
    yield _picture(page, folder / "launch.png")
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
    yield from _as_others_see(lab, browser, context, folder, service_id)


def _as_others_see(
    lab: labs.Lab, browser: Browser, context: BrowserContext, folder: Path, service_id: str
) -> Iterator[Path]:
    """The same pages on a phone, and in the dark."""
    phone = _again(browser, context, width=PHONE_WIDTH, height=PHONE_HEIGHT, scheme="light")
    phone.goto(f"{lab.origin}/services")
    yield _picture(phone, folder / "services-phone.png")
    dark = _again(browser, context, width=WIDTH, height=HEIGHT, scheme="dark")
    yield _picture(_whole(lab, dark, service_id), folder / "service-dark.png")


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
    page.screenshot(path=path, animations="disabled", caret="hide")
    return path
