"""From the request to launch JupyterLab to its own page: alone, and twenty at once."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from statistics import median

from bench import lab, peers
from bench.report import LeftOut, Peer, Row, Series
from bench.setting import Setting, peer

CHART, CATALOG, PAGE = "jupyter-python", "ide", "/lab"
ONE_LIMIT, CROWD_LIMIT = 1.25, 1.15  # Times the bare process.
CROWD = 20


def one(setting: Setting) -> list[Row | LeftOut]:
    """Launches in turn with the peers', so that whatever else the machine does falls on all alike.

    Twice: where nothing else of the project runs, so that its network is made too, and beside another service of it.
    """
    _ours(setting, 1)  # Loads Helm, once.
    rows: list[Row | LeftOut] = [_in_turn(setting, "launch to its page", with_hub=True)]
    other = setting.lab.open("echo", catalog="bench", to="/")
    rows.append(_in_turn(setting, "launch to its page, beside another service", with_hub=False))
    setting.lab.delete(other.id)
    return rows


def _in_turn(setting: Setting, what: str, *, with_hub: bool) -> Row:
    ours: list[lab.Opened] = []
    bare: list[float] = []
    scripted: list[float] = []  # The bare process by the chart's own start: what is left is the lab's.
    hub: list[float] = []
    for turn in range(setting.times(10, quick=3)):
        with setting.bare.opened() as started:
            bare.append(started.seconds)
        with setting.bare.opened(start=peers.CHART_START) as started:
            scripted.append(started.seconds)
        ours += _ours(setting, 1)
        if with_hub and isinstance(setting.hub, peers.Hub):
            user = f"one-{turn}"
            hub.append(setting.hub.open([user])[0].seconds)
            setting.hub.delete(user)
    seconds, alone = Series("s", tuple(opened.seconds for opened in ours)), Series("s", tuple(bare))
    own = Peer("bare, started as the chart does", Series("s", tuple(scripted)))
    beside = [Peer("bare jupyter lab", alone), own, *([_hub(setting, tuple(hub))] if with_hub else [])]
    steps = (
        f"{median(one.accepted - one.asked for one in ours):.2f} s to accept it, "
        f"{median(one.ready - one.accepted for one in ours):.2f} s until it is ready, "
        f"{median(one.answered - one.ready for one in ours):.2f} s to its page"
    )
    reached = seconds.median <= ONE_LIMIT * alone.median
    return Row(what, seconds, f"≤ {ONE_LIMIT} × bare", reached, peers=tuple(beside), notes=(steps,))


def crowd(setting: Setting) -> list[Row | LeftOut]:
    """Twenty asked for in the same moment; the time to the last one's page."""
    count = setting.times(CROWD, quick=5)
    bare = peer("bare jupyter lab", "s", lambda: (_bare_crowd(setting, count),))
    opened = _ours(setting, count)
    hub = peer("JupyterHub", "s", lambda: (_hub_crowd(setting, count),))
    reached = None if bare.series is None else _total(opened) <= CROWD_LIMIT * bare.series.median
    steps = (
        f"the last was accepted after {max(one.accepted for one in opened) - min(one.asked for one in opened):.1f} s, "
        f"the first page came after {min(one.seconds for one in opened):.1f} s"
    )
    return [
        Row(
            f"{count} launches at once, to the last page",
            Series("s", (_total(opened),)),
            f"≤ {CROWD_LIMIT} × bare, all ready",
            reached,
            peers=(bare, hub),
            notes=(steps,),
        )
    ]


def _ours(setting: Setting, count: int) -> Sequence[lab.Opened]:
    """`count` services at once, deleted afterwards, also where one failed; what was there before stays."""
    before = set(setting.lab.services())
    try:
        return setting.lab.open_many(CHART, catalog=CATALOG, to=PAGE, count=count)
    finally:
        for service in set(setting.lab.services()) - before:
            setting.lab.delete(service)


def _bare_crowd(setting: Setting, count: int) -> float:
    with ExitStack() as stack, ThreadPoolExecutor(count) as pool:
        starting = [pool.submit(stack.enter_context, setting.bare.opened()) for _ in range(count)]
        return _total([one.result() for one in starting])


def _hub_crowd(setting: Setting, count: int) -> float:
    if not isinstance(setting.hub, peers.Hub):
        raise lab.Failed(setting.hub)
    users = [f"crowd-{turn}" for turn in range(count)]
    try:
        return _total(setting.hub.open(users))
    finally:
        with ThreadPoolExecutor(count) as pool:
            list(pool.map(setting.hub.delete, users))


def _total(started: Sequence[lab.Opened | peers.Started]) -> float:
    return max(one.answered for one in started) - min(one.asked for one in started)


def _hub(setting: Setting, seconds: tuple[float, ...]) -> Peer:
    if isinstance(setting.hub, str):
        return Peer("JupyterHub", None, setting.hub.splitlines()[0][:160])
    return Peer("JupyterHub", Series("s", seconds))
