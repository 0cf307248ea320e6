"""What services consumed: from counters that go on, restart and jump, to hours that are counted once."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from etabli.engines import contract
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database, sqlite_url
from etabli.services import metering, models
from etabli.services.metering import Mark, Meter, Spent, spent
from tests.services import rooms

GIB = 1 << 30
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def pod(cpu: float, *, memory: int = GIB, started: datetime = NOW - MINUTE, name: str = "main-0") -> contract.PodStatus:
    usage = contract.Usage(cpu_seconds=cpu, memory_bytes=memory)
    return contract.PodStatus(name=name, phase=contract.Phase.READY, started_at=started, usage=usage)


@pytest.mark.parametrize(
    ("now_at", "mark", "expected"),
    [
        (pod(10), None, Spent(10, 60 * GIB)),  # Never seen: all since its start.
        (pod(10), Mark(4, NOW - MINUTE / 2), Spent(6, 30 * GIB)),
        (pod(3, started=NOW - MINUTE / 6), Mark(40, NOW - MINUTE), Spent(3, 10 * GIB)),  # Made anew.
        (pod(40, started=NOW - MINUTE / 6), Mark(40, NOW - MINUTE), Spent(0, 10 * GIB)),  # Its container was restarted.
        (pod(10), Mark(4, NOW + MINUTE), Spent(6, 0)),  # The clock went back.
        (pod(10), Mark(4, NOW - timedelta(days=900)), Spent(6, 60 * GIB)),  # It jumped ahead.
    ],
)
def test_a_pod_is_counted_from_where_it_was_seen_last(
    now_at: contract.PodStatus, mark: Mark | None, expected: Spent
) -> None:
    assert spent(now_at, mark, now=NOW) == expected


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = Database(sqlite_url(tmp_path / "usage.db"))
    await database.create_tables()
    yield database
    await database.close()


def service(service_id: str = "s1") -> models.Service:
    return models.Service(
        id=service_id,
        project_id="p1",
        owner_id="u1",
        name="x",
        catalog="ide",
        chart="notebook",
        chart_version="1",
        desired=models.Desired.RUNNING,
        state=models.State.READY,
        message="",
        revision=1,
        created_at=NOW,
        state_since=NOW,
        expires_at=None,
        requests=contract.Resources(),
        limits=contract.Resources(),
        openable=False,
    )


async def rows(
    database: Database, table: type[metering.UsageHourRow] | type[metering.UsageDayRow]
) -> list[tuple[int, float]]:
    async with database.session() as session:
        found = await session.execute(select(table.start, table.cpu_seconds).order_by(table.start))
        return [(start.hour, round(cpu, 3)) for start, cpu in found]


async def test_hours_and_days_add_up_whoever_counts(database: Database) -> None:
    clock = ManualClock(NOW)
    for cpu in (10.0, 25.0):
        meter = Meter(database=database, clock=clock)  # A portal that was killed in between.
        status = contract.Status(contract.Phase.READY, pods=(pod(cpu), pod(1.0, name="side-0")))
        await meter.add([(service(), status)])
        await clock.advance(MINUTE)
    await clock.advance(timedelta(hours=1))
    status = contract.Status(contract.Phase.READY, pods=(pod(30.0), pod(0.5, name="side-0")))
    await meter.add([(service(), status)])
    assert await rows(database, metering.UsageHourRow) == [(12, 26.0), (13, 5.5)]
    assert await rows(database, metering.UsageDayRow) == [(0, 31.5)]


async def test_several_services_of_one_person_are_one_line(database: Database) -> None:
    meter = Meter(database=database, clock=ManualClock(NOW))
    status = contract.Status(contract.Phase.READY, pods=(pod(10),))
    await meter.add([(service("s1"), status), (service("s2"), status)])
    assert await rows(database, metering.UsageDayRow) == [(0, 20.0)]


async def test_hours_of_long_ago_go_and_days_stay(database: Database) -> None:
    clock = ManualClock(NOW)
    meter = Meter(database=database, clock=clock)
    await meter.add([(service(), contract.Status(contract.Phase.READY, pods=(pod(10),)))])
    await clock.advance(timedelta(days=40))
    await meter.prune()
    assert await rows(database, metering.UsageHourRow) == []
    assert await rows(database, metering.UsageDayRow) == [(0, 10.0)]


async def test_the_reconciler_meters_what_runs_and_nothing_twice_over_a_restart(tmp_path: Path) -> None:
    async with rooms.lab(tmp_path) as lab:
        portal = lab.portal()
        async with portal.running():
            running = await portal.until((await portal.launch()).id, models.State.READY)
            await burn(lab, portal, running.id, 100.0)
        again = lab.portal()
        async with again.running():
            await again.settle()
            await burn(lab, again, running.id, 130.0)
        async with lab.database.session() as session:
            (day,) = await session.scalars(select(metering.UsageDayRow))
        assert (day.project_id, day.user_id, round(day.cpu_seconds)) == (lab.alices, lab.alice.id, 130)


async def burn(lab: rooms.Lab, portal: rooms.Portal, service_id: str, cpu: float) -> None:
    """The service's pod has used that much since its start, and the portal saw it."""
    ghost = lab.world.ghosts[service_id]
    usage = contract.Usage(cpu_seconds=cpu, memory_bytes=GIB)
    ghost.pods = tuple(replace(one, usage=usage) for one in ghost.pods[:1])
    for _ in range(8):
        await lab.clock.advance(timedelta(seconds=10))
        for _ in range(5):
            await portal.settle()
