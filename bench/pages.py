"""My services, page and API, in a lab of a thousand people: how many queries, how long, in the portal's own process."""

import asyncio
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import structlog
from sqlalchemy import event, insert

from bench.report import LeftOut, Peer, Row, Series
from bench.setting import Setting
from etabli.assembly import configuration, portal
from etabli.identity.store import MembershipRow, ProjectRow, UsedSlugRow, UserRow
from etabli.kernel import ids, settings
from etabli.kernel.database import Table
from etabli.services import models
from etabli.services.store import ServiceRow
from etabli.web import app, visitors
from etabli.web.rooms import Rooms

MEDIAN_LIMIT, TAIL_LIMIT = 20.0, 80.0  # Milliseconds: p50, p99.
PEOPLE, EACH = 1000, 10
SESSIONS = 50  # People who ask; the others only fill the tables.
EVERY_MEDIAN, EVERY_TAIL = 25.0, 100.0  # Milliseconds: of every page, the slowest counts.
WALKED = (
    "/",
    "/services",
    "/catalog",
    "/projects",
    "/search?q=notebook",
    "/account",
    "/account/sessions",
    "/account/tokens",
)
ADMINISTERED = ("/admin/people", "/admin/people?q=person-7", "/admin/projects", "/admin/services", "/admin/audit")
PATHS = {"page": "/services", "API": "/api/v1/services"}


@dataclass(frozen=True)
class Measured:
    """One address over one database."""

    milliseconds: tuple[float, ...]
    queries: frozenset[int]  # The different numbers of queries that requests made.


def pages(setting: Setting) -> list[Row | LeftOut]:
    """The same requests over 1 × 1, 1 × 10 and 1,000 × 10 services: the number of queries must be one."""
    with (setting.work / "pages.log").open(
        "w"
    ) as log:  # A line each request, as the portal writes it; not among our own.
        structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=log))
        try:
            return _pages(setting)
        finally:
            structlog.reset_defaults()


def _pages(setting: Setting) -> list[Row | LeftOut]:
    count = setting.times(1000, quick=100)
    rows: list[Row | LeftOut] = []
    small = asyncio.run(_measure(setting.work / "pages-1", people=1, each=1, count=20))
    some = asyncio.run(_measure(setting.work / "pages-10", people=1, each=EACH, count=count))
    many = asyncio.run(_measure(setting.work / "pages-10000", people=PEOPLE, each=EACH, count=count))
    for name in PATHS:
        ours, few = Series("ms", many[name].milliseconds), Series("ms", some[name].milliseconds)
        queries = small[name].queries | some[name].queries | many[name].queries
        tail = _tail(many[name].milliseconds)
        reached = len(queries) == 1 and ours.median <= MEDIAN_LIMIT and tail <= TAIL_LIMIT
        rows.append(
            Row(
                f"my services, {name}, {PEOPLE} people × {EACH}",
                ours,
                f"p50 ≤ {MEDIAN_LIMIT:.0f}, p99 ≤ {TAIL_LIMIT:.0f} ms, queries constant",
                reached,
                peers=(Peer("one person × 10", few),),
                notes=(f"p99 {tail:.1f} ms; queries a request, over 1, 10 and 10,000 services: {sorted(queries)}",),
            )
        )
    return [*rows, _every(asyncio.run(_walk(setting.work / "pages-walk", count=count // 5)))]


def _every(walked: dict[str, tuple[float, ...]]) -> Row:
    """One row of all pages: the slowest page's median, and the slowest tail."""
    series = {path: Series("ms", milliseconds) for path, milliseconds in walked.items()}
    slowest = max(series, key=lambda path: series[path].median)
    tails = {path: _tail(milliseconds) for path, milliseconds in walked.items()}
    last = max(tails, key=lambda path: tails[path])
    return Row(
        f"the slowest of {len(walked)} pages, {PEOPLE} people × {EACH}",
        series[slowest],
        f"p50 ≤ {EVERY_MEDIAN:.0f}, p99 ≤ {EVERY_TAIL:.0f} ms",
        series[slowest].median <= EVERY_MEDIAN and tails[last] <= EVERY_TAIL,
        notes=(f"{slowest}; slowest p99 {tails[last]:.1f} ms, {last}",),
    )


async def _walk(folder: Path, *, count: int) -> dict[str, tuple[float, ...]]:
    """Every main page, asked by different people; the administrators' by one of them."""
    async with _filled(folder, people=PEOPLE, each=EACH) as (rooms, lab, tokens):
        transport = httpx.ASGITransport(app=app.create(rooms))
        admin = (await lab.identity.people.first_admin()).id
        administrator = (await lab.identity.sessions.open(user_id=admin, address="127.0.0.1")).token
        asked = [(path, tokens) for path in WALKED] + [(path, [administrator]) for path in ADMINISTERED]
        async with httpx.AsyncClient(transport=transport, base_url=lab.configuration.lab.origin) as client:
            with _counted(lab) as counter:
                return {
                    path: (await _ask(client, path, of, count=count, counter=counter)).milliseconds
                    for path, of in asked
                }


async def _measure(folder: Path, *, people: int, each: int, count: int) -> dict[str, Measured]:
    async with _filled(folder, people=people, each=each) as (rooms, lab, tokens):
        transport = httpx.ASGITransport(app=app.create(rooms))
        async with httpx.AsyncClient(transport=transport, base_url=lab.configuration.lab.origin) as client:
            found = {}
            with _counted(lab) as counter:
                for name, path in PATHS.items():
                    found[name] = await _ask(client, path, tokens, count=count, counter=counter)
            return found


async def _ask(
    client: httpx.AsyncClient, path: str, tokens: Sequence[str], *, count: int, counter: "Counter"
) -> Measured:
    """Requests one after the other, of different people."""
    milliseconds, queries = [], set()
    for turn, token in enumerate(itertools.islice(itertools.cycle(tokens), count + len(tokens))):
        headers = {"X-Etabli-Door": "1", "Accept": "text/html", "Sec-Fetch-Site": "same-origin"}
        headers["Cookie"] = f"{visitors.SESSION_COOKIE}={token}"
        counter.count, began = 0, time.perf_counter()
        response = await client.get(path, headers=headers)
        took = (time.perf_counter() - began) * 1000
        if response.status_code != 200:
            raise AssertionError(f"{path} answered {response.status_code}: {response.text[:300]}")
        if turn >= len(tokens):  # The first request of each session also notes that it was seen.
            milliseconds.append(took)
            queries.add(counter.count)
    return Measured(tuple(milliseconds), frozenset(queries))


@asynccontextmanager
async def _filled(folder: Path, *, people: int, each: int) -> AsyncIterator[tuple[Rooms, portal.Lab, Sequence[str]]]:
    """A portal's rooms over a database with that much in it, and tokens of some people's sessions."""
    layout = settings.Layout(data=folder / "data", run=folder / "run")
    layout.make()
    async with portal.assembled(layout, configuration.load(layout)) as lab:
        users = await _fill(lab, people=people, each=each)
        chosen = random.Random(1).sample(users, min(SESSIONS, len(users)))
        tokens = [(await lab.identity.sessions.open(user_id=user, address="127.0.0.1")).token for user in chosen]
        yield portal.web_rooms(lab), lab, tokens


async def _fill(lab: portal.Lab, *, people: int, each: int) -> list[str]:
    """Rows as the use cases write them, without a thousand passwords' hashes; the people's ids."""
    now = lab.clock.now()
    rows: dict[type[Table], list[dict[str, object]]] = {
        kind: [] for kind in (UsedSlugRow, UserRow, ProjectRow, MembershipRow, ServiceRow)
    }
    for number in range(people):
        user, project, slug = ids.new_id(), ids.new_id(), f"person-{number}"
        rows[UsedSlugRow].append({"slug": slug, "taken_at": now})
        rows[UserRow].append(
            {"id": user, "slug": slug, "name": slug, "is_admin": number == 0, "language": "en", "created_at": now}
        )
        rows[ProjectRow].append({"id": project, "slug": slug, "name": slug, "kind": "personal", "created_at": now})
        rows[MembershipRow].append({"user_id": user, "project_id": project, "role": "owner", "created_at": now})
        for place in range(each):
            rows[ServiceRow].append(_service(user, project, f"Notebook {place}", lab))
    async with lab.database.session() as session:
        for kind, content in rows.items():
            await session.execute(insert(kind), content)
    return [str(row["id"]) for row in rows[UserRow]]


def _service(user: str, project: str, name: str, lab: portal.Lab) -> dict[str, object]:
    now = lab.clock.now()
    return {
        "id": ids.new_id(),
        "project_id": project,
        "owner_id": user,
        "name": name,
        "catalog": "ide",
        "chart": "jupyter-python",
        "chart_version": "1.0.0",
        "desired": models.Desired.RUNNING.value,
        "state": models.State.READY.value,
        "openable": True,
        "created_at": now,
        "state_since": now,
        "expires_at": now + timedelta(days=7),
    }


@dataclass
class Counter:
    """Queries since it was last set to zero."""

    count: int = 0


@contextmanager
def _counted(lab: portal.Lab) -> Iterator[Counter]:
    counter = Counter()

    def note(*_: object) -> None:
        counter.count += 1

    engine = lab.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield counter
    finally:
        event.remove(engine, "before_cursor_execute", note)


def _tail(values: Sequence[float]) -> float:
    return sorted(values)[min(int(len(values) * 0.99), len(values) - 1)]
