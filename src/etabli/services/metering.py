"""What services consumed, as hours: read from the engine's counters, added up by hour and by day, for each project and person.

An engine counts the processor's seconds of a pod from its start. The last count seen of each pod is stored with what was added up, in
one unit of work: a portal that was killed goes on from there, and counts what went on meanwhile once. A counter that went back is
that of a pod made anew, which counts from zero. Memory is what is seen now, for as long as since the look before.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Index, String, delete, select
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Mapped, mapped_column

from etabli.engines import contract
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database, Table
from etabli.services import models

HOURS_KEPT = timedelta(days=35)  # Days are kept for good.
FORGOTTEN = timedelta(days=7)  # A pod that was not seen for so long is over.
LONGEST_GAP = timedelta(
    days=1
)  # What is added for memory at once: a clock that jumped a year ahead is not a year's use.


class UsageHourRow(Table):
    """What one person's services in one project consumed in one hour, UTC."""

    __tablename__ = "usage_hours"
    __table_args__ = (
        Index("usage_hours_project", "project_id", "start"),
        Index("usage_hours_user", "user_id", "start"),
    )

    start: Mapped[datetime] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    cpu_seconds: Mapped[float]
    memory_byte_seconds: Mapped[float]


class UsageDayRow(Table):
    """The same of one day."""

    __tablename__ = "usage_days"
    __table_args__ = (Index("usage_days_project", "project_id", "start"), Index("usage_days_user", "user_id", "start"))

    start: Mapped[datetime] = mapped_column(primary_key=True)
    project_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    cpu_seconds: Mapped[float]
    memory_byte_seconds: Mapped[float]


class UsageMarkRow(Table):
    """How far one pod was counted."""

    __tablename__ = "usage_marks"

    service_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    pod: Mapped[str] = mapped_column(String(253), primary_key=True)
    cpu_seconds: Mapped[float]
    seen_at: Mapped[datetime]


@dataclass(frozen=True)
class Mark:
    """How far one pod was counted."""

    cpu_seconds: float
    seen_at: datetime


@dataclass(frozen=True)
class Spent:
    """What was consumed."""

    cpu_seconds: float = 0.0
    memory_byte_seconds: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(self.cpu_seconds + other.cpu_seconds, self.memory_byte_seconds + other.memory_byte_seconds)


class Meter:
    """Adds up what services consume."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def add(self, services: list[tuple[models.Service, contract.Status]]) -> None:
        """Count what each of these consumed since it was seen last; in one unit of work, however many they are."""
        now = self._clock.now()
        ids = [service.id for service, _ in services]
        async with self._database.session() as session:
            rows = await session.scalars(select(UsageMarkRow).where(UsageMarkRow.service_id.in_(ids)))
            marks = {(row.service_id, row.pod): Mark(row.cpu_seconds, row.seen_at) for row in rows}
            totals: dict[tuple[str, str], Spent] = {}
            for service, status in services:
                for pod in status.pods:
                    mark = marks.get((service.id, pod.name))
                    key = (service.project_id, service.owner_id)
                    totals[key] = totals.get(key, Spent()) + spent(pod, mark, now=now)
                    await session.merge(
                        UsageMarkRow(
                            service_id=service.id,
                            pod=pod.name,
                            cpu_seconds=pod.usage.cpu_seconds,
                            seen_at=now,
                        )
                    )
            insert = sqlite_insert if session.get_bind().dialect.name == "sqlite" else postgres_insert
            for (project_id, user_id), total in totals.items():
                for table, start in ((UsageHourRow, _hour(now)), (UsageDayRow, _hour(now).replace(hour=0))):
                    statement = insert(table).values(start=start, project_id=project_id, user_id=user_id, **vars(total))
                    await session.execute(
                        statement.on_conflict_do_update(
                            index_elements=["start", "project_id", "user_id"],
                            set_={
                                "cpu_seconds": table.cpu_seconds + total.cpu_seconds,
                                "memory_byte_seconds": table.memory_byte_seconds + total.memory_byte_seconds,
                            },
                        )
                    )

    async def prune(self) -> None:
        """Forget hours of long ago, and pods that are over."""
        now = self._clock.now()
        async with self._database.session() as session:
            await session.execute(delete(UsageHourRow).where(UsageHourRow.start < now - HOURS_KEPT))
            await session.execute(delete(UsageMarkRow).where(UsageMarkRow.seen_at < now - FORGOTTEN))


def spent(pod: contract.PodStatus, mark: Mark | None, *, now: datetime) -> Spent:
    """What a pod consumed since its mark; since its start where it has none, or was made anew."""
    counted = pod.usage.cpu_seconds
    since = pod.started_at or now
    if mark is not None and counted >= mark.cpu_seconds:
        counted, since = counted - mark.cpu_seconds, max(mark.seen_at, pod.started_at or mark.seen_at)
    length = min(max(now - since, timedelta()), LONGEST_GAP)
    return Spent(cpu_seconds=max(counted, 0.0), memory_byte_seconds=pod.usage.memory_bytes * length.total_seconds())


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
