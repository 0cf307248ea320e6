"""What a browser fetches for a page, the first time and after, and how soon its largest part is painted on a slow processor.

Bytes are those that came over the connection, headers included, as Chromium counts them (CDP, Network.loadingFinished). Pages are not
compressed: they hold a token beside what was typed (BREACH, Gluck, Harris and Prado, 2013); scripts and styles are small enough.
"""

from playwright.sync_api import BrowserContext, CDPSession, Page, sync_playwright

from bench.lab import Lab
from bench.report import LeftOut, Row, Series
from bench.setting import Setting

FIRST_KB, NEXT_KB, PAINT_S = 400.0, 60.0, 1.0
PAGES = ("/", "/services", "/catalog", "/projects", "/launcher/ide/jupyter-python", "/account", "/admin/people")
SLOWER = 4
CHROMIUM = "/usr/bin/chromium"
PAINTED = """() => new Promise((told) => {
  const seen = new PerformanceObserver((list) => told(list.getEntries().at(-1).startTime));
  seen.observe({type: "largest-contentful-paint", buffered: true});
  setTimeout(() => told(-1), 5000);
})"""


def weight(setting: Setting) -> list[Row | LeftOut]:
    """Each page first in a browser that knows nothing; then all of them in turn; then painted, slowed down."""
    origin = f"http://{setting.lab.browser.host}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            first = tuple(_fetched(_fresh(browser.new_context(), setting.lab), (origin + path,))[0] for path in PAGES)
            after = tuple(
                _fetched(_fresh(browser.new_context(), setting.lab), tuple(origin + path for path in PAGES))[1:]
            )
            painted = tuple(
                _painted(_fresh(browser.new_context(), setting.lab), origin + "/")
                for _ in range(setting.times(5, quick=2))
            )
        finally:
            browser.close()
    return [
        _row("a page's weight, first visit", "KB", first, FIRST_KB),
        _row("a page's weight, the next ones", "KB", after, NEXT_KB),
        _row(f"largest part painted, processor {SLOWER} × slower", "s", painted, PAINT_S),
    ]


def _row(what: str, unit: str, values: tuple[float, ...], limit: float) -> Row:
    return Row(what, Series(unit, values), f"≤ {limit:g} {unit}", max(values) <= limit)


def _fresh(context: BrowserContext, lab: Lab) -> Page:
    """A page of a browser that is signed in, and has fetched nothing yet."""
    origin = f"https://{lab.browser.host}"
    kept = lab.browser.cookies[lab.browser.host]
    context.add_cookies([{"name": name, "value": value, "url": origin, "secure": True} for name, value in kept.items()])
    return context.new_page()


def _fetched(page: Page, addresses: tuple[str, ...]) -> list[float]:
    """KB that each page in turn took."""
    network = page.context.new_cdp_session(page)
    sizes: list[float] = []
    network.send("Network.enable")
    received: list[float] = []
    network.on("Network.loadingFinished", lambda event: received.append(event["encodedDataLength"]))
    for address in addresses:
        received.clear()
        _go(page, address)
        sizes.append(sum(received) / 1000)
    return sizes


def _painted(page: Page, address: str) -> float:
    """Seconds to the largest contentful paint (w3.org/TR/largest-contentful-paint)."""
    slow: CDPSession = page.context.new_cdp_session(page)
    slow.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    _go(page, address)
    return float(page.evaluate(PAINTED)) / 1000


def _go(page: Page, address: str) -> None:
    """Until the page and what it names is there; the live stream never ends."""
    page.goto(address, wait_until="load")
    page.wait_for_timeout(300)
