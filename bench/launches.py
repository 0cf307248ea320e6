"""From the request to launch JupyterLab to its own page: alone, and twenty at once."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from statistics import median

from bench import lab, peers
from bench.report import LeftOut, Peer, Row, Series
from bench.setting import Setting, peer

CHART, CATALOG, PAGE = "jupyter-python", "ide", "/lab"
ONE_LIMIT, CROWD_LIMIT = 1.25, 1.15  # Times the bare process.
CROWD = 20


def one(setting: Setting) -> list[Row | LeftOut]:
    """Launches in turn with the peers', so that whatever else the machine does falls on all alike."""
    ours: list[lab.Opened] = []
    bare: list[float] = []
    hub: list[float] = []
    _ours(setting, 1)  # The first launch makes the project's network and loads Helm: once a day, not once a launch.
    for turn in range(setting.times(10, quick=3)):
        with setting.bare.opened() as started:
            bare.append(started.seconds)
        ours += _ours(setting, 1)
        if isinstance(setting.hub, peers.Hub):
            hub.append(setting.hub.open(f"one-{turn}").seconds)
            setting.hub.delete(f"one-{turn}")
    seconds = Series("s", tuple(opened.seconds for opened in ours))
    stood = [Peer("bare jupyter lab", Series("s", tuple(bare))), _hub(setting, tuple(hub))]
    steps = (
        f"{median(one.accepted - one.asked for one in ours):.2f} s to accept it, "
        f"{median(one.ready - one.accepted for one in ours):.2f} s until it is ready, "
        f"{median(one.answered - one.ready for one in ours):.2f} s to its page"
    )
    reached = seconds.median <= ONE_LIMIT * median(bare)
    return [
        Row("launch to its page", seconds, f"≤ {ONE_LIMIT} × bare", reached, peers=tuple(stood), notes=(steps,)),
    ]


def crowd(setting: Setting) -> list[Row | LeftOut]:
    """Twenty asked for in the same moment; the time of the last one's page."""
    count = setting.times(CROWD, quick=5)
    bare = peer("bare jupyter lab", "s", lambda: (_bare_crowd(setting, count),))
    opened = _ours(setting, count)
    total = max(one.answered for one in opened) - min(one.asked for one in opened)
    hub = peer("JupyterHub", "s", lambda: (_hub_crowd(setting, count),))
    reached = None if bare.series is None else total <= CROWD_LIMIT * bare.series.median
    return [
        Row(
            f"{count} launches at once, to the last page",
            Series("s", (total,)),
            f"≤ {CROWD_LIMIT} × bare, all ready",
            reached,
            peers=(bare, hub),
            notes=(f"the first page after {min(one.seconds for one in opened):.1f} s",),
        )
    ]


def _ours(setting: Setting, count: int) -> Sequence[lab.Opened]:
    """`count` services at once, deleted afterwards, also where one failed."""
    barrier = threading.Barrier(count)
    with ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(setting.lab.open, CHART, catalog=CATALOG, to=PAGE, barrier=barrier) for _ in range(count)]
    try:
        return [one.result() for one in asked]
    finally:
        for service in setting.lab.services():
            setting.lab.delete(service)


def _bare_crowd(setting: Setting, count: int) -> float:
    barrier = threading.Barrier(count)
    asked = time.monotonic()
    with _all(count) as pool, ExitStack() as stack:

        def start() -> None:
            barrier.wait()
            stack.enter_context(setting.bare.opened())

        for one in [pool(start) for _ in range(count)]:
            one()
        return time.monotonic() - asked


def _hub_crowd(setting: Setting, count: int) -> float:
    if not isinstance(setting.hub, peers.Hub):
        raise lab.Failed(setting.hub)
    hub, asked = setting.hub, time.monotonic()
    try:
        with _all(count) as pool:
            for one in [pool(lambda turn=turn: hub.open(f"crowd-{turn}")) for turn in range(count)]:  # type: ignore[misc] # mypy does not infer the default.
                one()
        return time.monotonic() - asked
    finally:
        for turn in range(count):
            hub.delete(f"crowd-{turn}")


@contextmanager
def _all(count: int) -> Iterator[Callable[[Callable[[], object]], Callable[[], object]]]:
    """Submit work to `count` threads; what comes back waits for its result."""
    with ThreadPoolExecutor(count) as pool:
        yield lambda work: pool.submit(work).result


def _hub(setting: Setting, seconds: tuple[float, ...]) -> Peer:
    if isinstance(setting.hub, str):
        return Peer("JupyterHub", None, setting.hub.splitlines()[0][:160])
    return Peer("JupyterHub", Series("s", seconds))
