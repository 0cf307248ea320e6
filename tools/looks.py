"""What `/design` looks like, measured in Chromium: `python -m tools.looks` writes it to tests/web/looks/, a test compares.

Not pixels: those change with each machine's fonts and each Chromium. What a design decides is measured instead: of each element of
each part its colours, sizes, spaces and weights as the browser computes them, and the height of what is one line high. Where one of
them changes, the page looks different; where none does, it does not.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path

from playwright.async_api import Page, async_playwright
from tests.web.lab import PASSWORD, served

FOLDER = Path(__file__).resolve().parent.parent / "tests/web/looks"
DENSITIES = ("comfortable", "compact")
WIDTH, HEIGHT = 1280, 800
MEASURE = """() => {
  const names = ["color", "background-color", "border-top-color", "border-top-width", "border-top-left-radius", "padding-top",
    "padding-left", "margin-top", "font-size", "font-weight", "min-height", "gap", "opacity"];
  const plain = {"background-color": "rgba(0, 0, 0, 0)", "border-top-width": "0px", "border-top-left-radius": "0px",
    "padding-top": "0px", "padding-left": "0px", "margin-top": "0px", "min-height": "auto", "gap": "normal", "opacity": "1"};
  const fixed = "button, input, select, .button, .badge, .avatar, .help, .dot, .bar, .icon, .track";
  const lines = [];
  for (const sample of document.querySelectorAll(".sample")) for (const part of sample.querySelectorAll("[data-part]")) {
    for (const element of part.querySelectorAll("*")) {
      if (element.closest("svg") && !element.matches("svg")) continue;
      const style = getComputedStyle(element);
      const inherited = getComputedStyle(element.parentElement);
      const said = names.filter((name) => ["color", "font-size", "font-weight"].includes(name)
        ? style[name] !== inherited[name]
        : !(name in plain && (style[name] === plain[name] || style[name] === "0px"))
          && !(name === "border-top-color" && style["border-top-width"] === "0px"));
      const height = element.matches(fixed) ? ` ${Math.round(element.getBoundingClientRect().height)} high` : "";
      const kind = element.tagName.toLowerCase() + [...element.classList].map((name) => "." + name).join("")
        + (element.disabled ? "[disabled]" : "") + (element.ariaCurrent ? "[current]" : "") + (element.ariaInvalid ? "[invalid]" : "");
      const shown = said.map((name) => `${name}: ${style[name]}`);
      lines.push([sample.dataset.theme, part.dataset.part, kind + height, ...shown].join(" | "));
    }
  }
  return lines;
}"""


async def measure(page: Page, address: str) -> str:
    """The measures of the page at `address`: a line for each kind of element in each part, and how many there are."""
    await page.emulate_media(reduced_motion="reduce")
    await page.goto(address)
    lines: list[str] = await page.evaluate(MEASURE)
    return "".join(f"{line} × {number}\n" for line, number in Counter(lines).items())


async def main() -> None:
    """Measure both densities, and keep them."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder)) as lab, async_playwright() as playwright:
            ada, origin = await lab.admin(), lab.rooms.lab.origin
            browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = await browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en")
            await page.goto(f"{origin}/sign-in")
            await page.fill("#login", ada.slug)
            await page.fill("#password", PASSWORD)
            await page.click("form.card button")
            await page.wait_for_url(f"{origin}/")
            for density in DENSITIES:
                measured = await measure(page, f"{origin}/design?density={density}")
                (FOLDER / f"{density}.txt").write_text(measured)
            await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
