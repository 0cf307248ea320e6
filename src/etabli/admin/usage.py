"""Who consumed what: processor and memory hours by day, for projects and people; the bytes of each project's bucket, looked at now and
then. What is added up comes from `services.metering`; a person sees their own, administrators everybody's.
"""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import structlog
from sqlalchemy import BigInteger, Date, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from etabli.identity.models import Project, User
from etabli.identity.people import require_admin
from etabli.identity.store import ProjectRow, UserRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database, Table
from etabli.services.metering import UsageDayRow

log = structlog.get_logger()

HOUR = 3600.0
GIB_HOUR = float(1 << 30) * HOUR
MOST_DAYS = 3660


class StorageDayRow(Table):
    """What a project's bucket held when it was last looked at on a day."""

    __tablename__ = "storage_days"

    day: Mapped[date] = mapped_column(Date, primary_key=True)
    project_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    objects: Mapped[int]
    size: Mapped[int] = mapped_column(BigInteger)


class Buckets(Protocol):
    """Where projects keep their files."""

    async def size(self, *, project: Project) -> tuple[int, int]:
        """Objects and bytes now. Unavailable where the store is away."""
        ...


@dataclass(frozen=True)
class Amount:
    """What was consumed."""

    cpu_hours: float = 0.0
    memory_gib_hours: float = 0.0
    gpu_hours: float = 0.0  # No engine of today has any.

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(
            self.cpu_hours + other.cpu_hours,
            self.memory_gib_hours + other.memory_gib_hours,
            self.gpu_hours + other.gpu_hours,
        )


@dataclass(frozen=True)
class Line:
    """One person's use in one project on one day."""

    day: date
    project: str  # Slugs.
    person: str
    amount: Amount


@dataclass(frozen=True)
class Share:
    """What a project or a person consumed over the days asked for; the bytes are of now, None for a person."""

    name: str
    amount: Amount
    storage_bytes: int | None = None


@dataclass(frozen=True)
class Report:
    """The use of some days, both ends included."""

    since: date
    until: date
    lines: tuple[Line, ...]
    storage: dict[str, int]  # Bytes by project's slug, as last looked at.

    @property
    def total(self) -> Amount:
        """Of all days."""
        return _sum(line.amount for line in self.lines)

    @property
    def by_day(self) -> tuple[tuple[date, Amount], ...]:
        """Each day, those without any use too."""
        days = [self.since + timedelta(days=number) for number in range((self.until - self.since).days + 1)]
        sums = {day: Amount() for day in days}
        for line in self.lines:
            sums[line.day] = sums.get(line.day, Amount()) + line.amount
        return tuple(sums.items())

    def shares(self, by: str) -> tuple[Share, ...]:
        """Of each `project` or `person`, who used most first."""
        sums: dict[str, Amount] = {}
        for line in self.lines:
            name = line.project if by == "project" else line.person
            sums[name] = sums.get(name, Amount()) + line.amount
        if by == "project":
            sums |= {name: Amount() for name in self.storage if name not in sums}
        shares = [
            Share(name=name, amount=amount, storage_bytes=self.storage.get(name, 0) if by == "project" else None)
            for name, amount in sums.items()
        ]
        return tuple(sorted(shares, key=lambda one: (-one.amount.cpu_hours, -(one.storage_bytes or 0), one.name)))

    def csv(self) -> str:
        """One line for each day, project and person (RFC 4180), then what each bucket holds."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("day", "project", "person", "cpu_hours", "memory_gib_hours", "gpu_hours", "storage_bytes"))
        for line in self.lines:
            amount = line.amount
            hours = (f"{amount.cpu_hours:.4f}", f"{amount.memory_gib_hours:.4f}", f"{amount.gpu_hours:.4f}")
            writer.writerow((line.day.isoformat(), line.project, line.person, *hours, ""))
        for name, size in sorted(self.storage.items()):
            writer.writerow((self.until.isoformat(), name, "", "", "", "", size))
        return text.getvalue()


class Usage:
    """What was consumed."""

    def __init__(self, *, database: Database, clock: Clock, buckets: Buckets) -> None:
        self._database = database
        self._clock = clock
        self._buckets = buckets

    async def of_lab(self, *, by: User, days: int = 30) -> Report:
        """Of everybody over the last days, today included. Invalid where that is no number of days."""
        require_admin(by)
        return await self._report(days=days)

    async def of_person(self, *, user_id: str, days: int = 30) -> Report:
        """Of the services that one person launched, in any project; and what their own bucket holds."""
        return await self._report(days=days, user_id=user_id)

    async def measure(self) -> None:
        """Look at every bucket. Repeating it on a day replaces what was seen; the rest waits where the store is away."""
        async with self._database.session() as session:
            projects = [row.read() for row in await session.scalars(select(ProjectRow).order_by(ProjectRow.id))]
        for project in projects:
            try:
                objects, size = await self._buckets.size(project=project)
            except errors.Unavailable as error:
                log.info("buckets not looked at", reason=error.message)
                return
            row = StorageDayRow(day=self._clock.now().date(), project_id=project.id, objects=objects, size=size)
            async with self._database.session() as session:
                await session.merge(row)

    async def _report(self, *, days: int, user_id: str | None = None) -> Report:
        if not 1 <= days <= MOST_DAYS:
            raise errors.Invalid("a number of days is wrong", fields={"days": f"from 1 to {MOST_DAYS}"})
        until = self._clock.now().date()
        since = until - timedelta(days=days - 1)
        start = datetime(since.year, since.month, since.day, tzinfo=UTC)
        statement = (
            select(UsageDayRow, ProjectRow.slug, UserRow.slug)
            .join(ProjectRow, ProjectRow.id == UsageDayRow.project_id)
            .join(UserRow, UserRow.id == UsageDayRow.user_id)
            .where(UsageDayRow.start >= start)
            .order_by(UsageDayRow.start, ProjectRow.slug, UserRow.slug)
        )
        last = select(StorageDayRow.project_id, func.max(StorageDayRow.day).label("day")).group_by(
            StorageDayRow.project_id
        )
        seen = last.subquery()
        held = (
            select(ProjectRow.slug, StorageDayRow.size)
            .join(seen, (seen.c.project_id == StorageDayRow.project_id) & (seen.c.day == StorageDayRow.day))
            .join(ProjectRow, ProjectRow.id == StorageDayRow.project_id)
        )
        if user_id is not None:
            statement = statement.where(UsageDayRow.user_id == user_id)
            own = select(UserRow.slug).where(UserRow.id == user_id).scalar_subquery()
            held = held.where(ProjectRow.slug == own)
        async with self._database.session() as session:
            lines = tuple(
                Line(row.start.date(), project, person, _amount(row))
                for row, project, person in await session.execute(statement)
            )
            storage = {row.slug: row.size for row in await session.execute(held)}
        return Report(since=since, until=until, lines=lines, storage=storage)


def _amount(row: UsageDayRow) -> Amount:
    return Amount(cpu_hours=row.cpu_seconds / HOUR, memory_gib_hours=row.memory_byte_seconds / GIB_HOUR)


def _sum(amounts: Iterable[Amount]) -> Amount:
    total = Amount()
    for amount in amounts:
        total += amount
    return total
