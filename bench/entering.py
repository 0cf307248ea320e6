"""Sign-ins fifty at once, each a costly hash, and what that does to who is at work: the tail of their pages, beside a quiet lab's.

Fifty threads type a right password again and again while one person asks for their services. Who has no place in the queue of hashes
is told to come back (503): that is counted, and no mistake.
"""

import itertools
import statistics
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx

from bench.lab import CSRF, Lab
from bench.report import LeftOut, Peer, Row, Series
from bench.setting import Setting

AT_ONCE, LIMIT = 50, 1.2
PATH = "/services"
NAVIGATION = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "navigate", "Accept": "text/html"}


def entering(setting: Setting) -> list[Row | LeftOut]:
    """The same requests twice: with nobody signing in, then with fifty."""
    lab, count = setting.lab, setting.times(400, quick=100)
    calm = _asked(lab, count)
    stop, answers = Event(), Counter[int]()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        entering = [pool.submit(_enter, lab, stop, answers) for _ in range(AT_ONCE)]
        time.sleep(1.0)
        busy = _asked(lab, count)
        stop.set()
        for one in entering:
            one.result()
    tail, quiet = _tail(busy), _tail(calm)
    return [
        Row(
            f"my services while {AT_ONCE} sign in at once, p99",
            Series("ms", (tail,)),
            f"≤ {LIMIT} × with nobody signing in",
            tail <= LIMIT * quiet,
            peers=(Peer("nobody signing in, p99", Series("ms", (quiet,))),),
            notes=(
                f"p50 {statistics.median(busy):.1f} ms, {statistics.median(calm):.1f} with nobody; answers to sign-ins: "
                + ", ".join(f"{number} × {status}" for status, number in sorted(answers.items())),
            ),
        )
    ]


def _asked(lab: Lab, count: int) -> list[float]:
    """Milliseconds of each request of somebody at work."""
    took = []
    for _ in range(count):
        began = time.perf_counter()
        lab.browser.request("GET", PATH, headers=NAVIGATION).raise_for_status()
        took.append((time.perf_counter() - began) * 1000)
        time.sleep(0.01)
    return took


def _enter(lab: Lab, stop: Event, answers: Counter[int]) -> None:
    base, host = f"http://127.0.0.1:{lab.browser.port}", lab.browser.host
    headers = {**NAVIGATION, "Host": host}
    for _ in itertools.count():
        if stop.is_set():
            return
        with httpx.Client(base_url=base, headers=headers, timeout=120, trust_env=False) as client:
            page = client.get("/sign-in")
            found = CSRF.search(page.text)
            if found is None:
                answers[page.status_code] += 1
                continue
            visit = "; ".join(line.partition(";")[0] for line in page.headers.get_list("set-cookie"))
            form = {"csrf": found.group(1), "login": "bench", "password": lab.password}
            sent = client.post("/sign-in", data=form, headers={"Cookie": visit, "Origin": f"http://{host}"})
            answers[sent.status_code] += 1


def _tail(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
