"""What a newcomer does in a browser, step by step: for the story that is tested, and for the pictures of the documentation."""

from __future__ import annotations

import re

from playwright.sync_api import BrowserContext, Page, expect

from tests import lab as labs

CELL = ".jp-Notebook .jp-CodeCell"
KERNEL_IDLE = "Python 3 (ipykernel) | Idle"  # Of the status bar: cells sent to a kernel that is not there yet are lost.


def open_the_form(lab: labs.Lab, page: Page, *, name: str) -> None:
    """From the catalogue to JupyterLab's form, filled with a name and two cores at most."""
    page.goto(f"{lab.origin}/catalog")
    page.get_by_role("link", name=re.compile("jupyter-python", re.IGNORECASE)).first.click()
    page.get_by_label("Name").first.fill(name)
    page.get_by_label("At most").first.fill("2")


def launch(page: Page) -> str:
    """Send the form; the service's id, once it can be opened."""
    page.locator("#launch").get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url(re.compile(r".*/services/[a-z0-9]+$"))
    expect(page.get_by_role("link", name="Open (new tab)")).to_be_visible(timeout=labs.BUILD_SECONDS * 1000)
    return page.url.rpartition("/")[2]


def open_the_notebook(context: BrowserContext, page: Page) -> Page:
    """JupyterLab in a tab of its own, with the notebook that is there at the first launch."""
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open (new tab)").click()
    notebook = opened.value
    notebook.wait_for_url(re.compile(r".*/lab.*"))
    notebook.goto(notebook.url.partition("/lab")[0] + "/lab/tree/start-here.ipynb")
    return notebook


def run_all_cells(page: Page) -> None:
    """Run every cell as a person does, and see that none failed. Cells out of sight lose their number: the last one tells."""
    expect(page.get_by_text(KERNEL_IDLE)).to_be_visible(timeout=120_000)
    page.locator(CELL).first.click()
    page.get_by_role("menuitem", name="Run").first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    last = page.locator(f"{CELL} .jp-InputPrompt", has_text=f"[{page.locator(CELL).count()}]:")
    expect(last).to_be_attached(timeout=120_000)
    expect(page.get_by_text(KERNEL_IDLE)).to_be_visible(timeout=60_000)
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0


def show_cell(page: Page, code: str) -> None:
    """Bring the cell with that code to the middle of the window, outputs below."""
    page.locator(CELL, has_text=code).first.evaluate("cell => cell.scrollIntoView({block: 'start'})")
    expect(page.locator(CELL, has_text=code).first.locator(".jp-OutputArea-output").first).to_be_visible()
