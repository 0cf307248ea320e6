"""The audit log in the database."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Index, Integer, Select, String, Text, delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from etabli.audit import models
from etabli.kernel.database import Database, Table

BATCH = 1000
TRIES = 5  # Two portals over one PostgreSQL may want the same number: the second takes the next.


class AuditRow(Table):
    """One record. Nothing changes it."""

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("audit_log_at", "at"),
        Index("audit_log_actor", "actor", "number"),
        Index("audit_log_action", "action", "number"),
        Index("audit_log_project", "project", "number"),
        Index("audit_log_target", "target", "number"),
    )

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor_by: Mapped[str] = mapped_column(String(16))
    actor_id: Mapped[str] = mapped_column(String(32))
    actor: Mapped[str] = mapped_column(String(100))
    action: Mapped[str] = mapped_column(String(100))
    outcome: Mapped[str] = mapped_column(String(16))
    target_kind: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(100))
    project: Mapped[str] = mapped_column(String(40))
    address: Mapped[str] = mapped_column(String(64))
    detail: Mapped[str] = mapped_column(Text)
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))


class AuditExportRow(Table):
    """One day that was copied, as it was when it was copied last."""

    __tablename__ = "audit_exports"

    day: Mapped[str] = mapped_column(String(10), primary_key=True)
    object_key: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64))
    rows: Mapped[int]
    last_number: Mapped[int]
    last_digest: Mapped[str] = mapped_column(String(64))
    exported_at: Mapped[datetime]


class AuditAnchorRow(Table):
    """The last record that was removed: what the first one that is left stands on. One row at most."""

    __tablename__ = "audit_anchor"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    number: Mapped[int]
    digest: Mapped[str] = mapped_column(String(64))


class Store:
    """Reads and writes, each a short unit of work."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def append(self, entry: models.Entry, *, at: datetime) -> models.Record:
        """The entry after the last record."""
        for last_try in (*[False] * (TRIES - 1), True):
            try:
                async with self._database.session() as session:
                    number, previous = await _last(session)
                    record = models.Record(number + 1, at, entry, previous, "")
                    record = models.Record(number + 1, at, entry, previous, models.digest(record))
                    session.add(_row(record))
                return record
            except IntegrityError:
                if last_try:
                    raise
        raise AssertionError("the last try answers or raises")

    async def search(self, query: models.Query, *, limit: int) -> tuple[models.Record, ...]:
        """Newest first."""
        statement = _where(query).order_by(AuditRow.number.desc()).limit(limit)
        async with self._database.session() as session:
            return tuple(_record(row) for row in await session.scalars(statement))

    async def batches(self, *, after: int) -> AsyncIterator[tuple[models.Record, ...]]:
        """Every record past a number, oldest first, in batches: nobody else waits for long."""
        while True:
            statement = select(AuditRow).where(AuditRow.number > after).order_by(AuditRow.number).limit(BATCH)
            async with self._database.session() as session:
                batch = tuple(_record(row) for row in await session.scalars(statement))
            if not batch:
                return
            yield batch
            after = batch[-1].number

    async def anchor(self) -> tuple[int, str]:
        """Number and digest of the last record that was removed; 0 and nothing where none was."""
        async with self._database.session() as session:
            row = await session.get(AuditAnchorRow, 1)
        return (0, "") if row is None else (row.number, row.digest)

    async def days(self) -> tuple[tuple[str, int], ...]:
        """Each day that has records, and how many."""
        async with self._database.session() as session:
            first = await session.scalar(select(func.min(AuditRow.at)))
            last = await session.scalar(select(func.max(AuditRow.at)))
            found: list[tuple[str, int]] = []
            moment = first
            while moment is not None and last is not None and moment.date() <= last.date():
                day = moment.date().isoformat()
                count = await session.scalar(select(func.count()).select_from(AuditRow).where(*_on(day))) or 0
                if count:
                    found.append((day, count))
                following = AuditRow.at >= _start(day) + timedelta(days=1)
                moment = await session.scalar(select(func.min(AuditRow.at)).where(following))
        return tuple(found)

    async def of_day(self, day: str) -> tuple[models.Record, ...]:
        """The records of a day, in their order."""
        statement = select(AuditRow).where(*_on(day)).order_by(AuditRow.number)
        async with self._database.session() as session:
            return tuple(_record(row) for row in await session.scalars(statement))

    async def exports(self) -> tuple[models.Export, ...]:
        """What was copied, the newest day first."""
        async with self._database.session() as session:
            rows = await session.scalars(select(AuditExportRow).order_by(AuditExportRow.day.desc()))
            return tuple(_export(row) for row in rows)

    async def exported(self, export: models.Export) -> None:
        """A day was copied."""
        async with self._database.session() as session:
            await session.merge(AuditExportRow(**vars(export)))

    async def remove_before(self, moment: datetime) -> int:
        """Remove records from the oldest on, up to the first that is not older than `moment`; how many."""
        async with self._database.session() as session:
            kept = await session.scalar(select(func.min(AuditRow.number)).where(AuditRow.at >= moment))
            last, _ = await _last(session)
            row = await session.get(AuditRow, (last + 1 if kept is None else kept) - 1)
            if row is None:
                return 0
            await session.merge(AuditAnchorRow(id=1, number=row.number, digest=row.digest))
            count = await session.scalar(
                select(func.count()).select_from(AuditRow).where(AuditRow.number <= row.number)
            )
            await session.execute(delete(AuditRow).where(AuditRow.number <= row.number))
        return count or 0


async def _last(session: AsyncSession) -> tuple[int, str]:
    row = (await session.scalars(select(AuditRow).order_by(AuditRow.number.desc()).limit(1))).one_or_none()
    if row is not None:
        return row.number, row.digest
    anchor = await session.get(AuditAnchorRow, 1)
    return (0, "") if anchor is None else (anchor.number, anchor.digest)


def _where(query: models.Query) -> Select[AuditRow]:
    conditions = []
    if query.who:
        conditions.append(AuditRow.actor == query.who)
    if query.what:
        conditions.append(AuditRow.action.startswith(query.what, autoescape=True))
    if query.target:
        conditions.append(AuditRow.target == query.target)
    if query.project:
        conditions.append(AuditRow.project == query.project)
    if query.outcome:
        conditions.append(AuditRow.outcome == query.outcome)
    if query.since is not None:
        conditions.append(AuditRow.at >= query.since)
    if query.until is not None:
        conditions.append(AuditRow.at < query.until)
    if query.before is not None:
        conditions.append(AuditRow.number < query.before)
    return select(AuditRow).where(*conditions)


def _start(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def _on(day: str) -> tuple[ColumnElement[bool], ...]:
    return AuditRow.at >= _start(day), AuditRow.at < _start(day) + timedelta(days=1)


def _row(record: models.Record) -> AuditRow:
    entry = record.entry
    return AuditRow(
        number=record.number,
        at=record.at,
        actor_kind=entry.actor.kind.value,
        actor_by=entry.actor.by.value,
        actor_id=entry.actor.id,
        actor=entry.actor.name,
        action=entry.action,
        outcome=entry.outcome.value,
        target_kind=entry.target_kind,
        target=entry.target,
        project=entry.project,
        address=entry.address,
        detail=json.dumps(dict(entry.detail), ensure_ascii=False),
        previous=record.previous,
        digest=record.digest,
    )


def _record(row: AuditRow) -> models.Record:
    actor = models.Actor(
        kind=models.ActorKind(row.actor_kind), by=models.Means(row.actor_by), id=row.actor_id, name=row.actor
    )
    entry = models.Entry(
        actor=actor,
        action=row.action,
        outcome=models.Outcome(row.outcome),
        target_kind=row.target_kind,
        target=row.target,
        project=row.project,
        address=row.address,
        detail=json.loads(row.detail),
    )
    return models.Record(row.number, row.at, entry, row.previous, row.digest)


def _export(row: AuditExportRow) -> models.Export:
    return models.Export(
        day=row.day,
        object_key=row.object_key,
        digest=row.digest,
        rows=row.rows,
        last_number=row.last_number,
        last_digest=row.last_digest,
        exported_at=row.exported_at,
    )
