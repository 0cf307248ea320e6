"""Services in the database."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, ForeignKey, Index, Integer, String, Text, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from etabli.engines import contract
from etabli.kernel import database
from etabli.services import models

MOST_RECENT = 200  # More is asked for by a project's own list.
MAX_EVENTS = 200  # A page shows no more, and a service that restarts for days must not fill the disk.


class ServiceRow(database.Table):
    """One service. A deleted one keeps its row: its id and host are never given again."""

    __tablename__ = "services"
    __table_args__ = (Index("services_by_project", "project_id", "deleted_at", "created_at"),)

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(16))
    owner_id: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(100))
    catalog: Mapped[str] = mapped_column(String(100))
    chart: Mapped[str] = mapped_column(String(100))
    chart_version: Mapped[str] = mapped_column(String(100))
    launch_key: Mapped[str | None] = mapped_column(String(100), unique=True)
    desired: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    message: Mapped[str] = mapped_column(Text, default="")
    revision: Mapped[int] = mapped_column(Integer, default=1)
    applied_revision: Mapped[int | None] = mapped_column(
        Integer
    )  # What the engine was last given; None when it was stopped.
    handle: Mapped[str | None] = mapped_column(Text)  # JSON of contract.Handle.
    vault_accessor: Mapped[str | None] = mapped_column(String(200))
    requests_cpu: Mapped[float] = mapped_column(default=0.0)
    requests_memory: Mapped[int] = mapped_column(default=0)
    limits_cpu: Mapped[float] = mapped_column(default=0.0)
    limits_memory: Mapped[int] = mapped_column(default=0)
    openable: Mapped[bool] = mapped_column(default=False)
    values: Mapped[str] = mapped_column(Text, default="{}")
    notes: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime]
    state_since: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    warned_at: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]


class RevisionRow(database.Table):
    """The manifests of one revision, rendered once."""

    __tablename__ = "service_revisions"

    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"), primary_key=True)
    number: Mapped[int] = mapped_column(Integer, primary_key=True)
    manifests: Mapped[str] = mapped_column(Text)  # JSON, Secret data replaced by references.
    images: Mapped[str] = mapped_column(Text)
    hosts: Mapped[str] = mapped_column(Text)


class EventRow(database.Table):
    """Something that happened."""

    __tablename__ = "service_events"
    __table_args__ = (Index("service_events_by_service", "service_id", "id"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    service_id: Mapped[str] = mapped_column(ForeignKey("services.id"))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(String(32))
    detail: Mapped[str] = mapped_column(Text, default="")


@dataclass(frozen=True)
class Record:
    """A service with what only the reconciler needs of it."""

    service: models.Service
    applied_revision: int | None
    vault_accessor: str | None
    warned_at: datetime | None


@dataclass(frozen=True)
class Look:
    """What to look for among all services of the lab; None and empty are any."""

    word: str = ""  # In its name, its chart, its id.
    state: str = ""
    project_id: str | None = None
    owner_id: str | None = None
    after: str = ""  # The id of the last one of the page before.
    limit: int = 50


class Store:
    """Reads and writes, each a short unit of work."""

    def __init__(self, *, database: database.Database) -> None:
        self._database = database

    async def add(self, service: models.Service, *, revision: models.Revision, accessor: str, key: str | None) -> bool:
        """Store a service with its first revision; False where `key` was used already, and nothing is stored."""
        try:
            async with self._database.session() as session:
                session.add(_row(service, key=key, accessor=accessor))
                await session.flush()
                session.add(_revision_row(revision))
        except IntegrityError:
            if key is None or await self.by_key(key) is None:
                raise
            return False
        return True

    async def by_key(self, key: str) -> models.Service | None:
        """The service launched with this key."""
        async with self._database.session() as session:
            row = await session.scalar(select(ServiceRow).where(ServiceRow.launch_key == key))
        return None if row is None else _service(row)

    async def get(self, service_id: str) -> models.Service | None:
        """A service that is not deleted."""
        record = await self.record(service_id)
        return None if record is None else record.service

    async def record(self, service_id: str) -> Record | None:
        """A service that is not deleted, as the reconciler sees it."""
        async with self._database.session() as session:
            row = await session.get(ServiceRow, service_id)
        return None if row is None or row.deleted_at is not None else _record(row)

    async def of_project(self, project_id: str) -> tuple[models.Service, ...]:
        """Services of a project that are not deleted, newest first: one query."""
        query = (
            select(ServiceRow)
            .where(ServiceRow.project_id == project_id, ServiceRow.deleted_at.is_(None))
            .order_by(ServiceRow.created_at.desc(), ServiceRow.id)
        )
        async with self._database.session() as session:
            return tuple(_service(row) for row in await session.scalars(query))

    async def search(self, look: Look) -> tuple[models.Service, ...]:
        """Services of the whole lab that are not deleted, newest first, a page at a time."""
        conditions: list[ColumnElement[bool]] = [ServiceRow.deleted_at.is_(None)]
        if look.state:
            conditions.append(ServiceRow.state == look.state)
        if look.project_id is not None:
            conditions.append(ServiceRow.project_id == look.project_id)
        if look.owner_id is not None:
            conditions.append(ServiceRow.owner_id == look.owner_id)
        if look.word:
            words = (ServiceRow.name, ServiceRow.chart, ServiceRow.id)
            conditions.append(or_(*(column.icontains(look.word, autoescape=True) for column in words)))
        async with self._database.session() as session:
            start = await session.get(ServiceRow, look.after) if look.after else None
            if start is not None:
                same = and_(ServiceRow.created_at == start.created_at, ServiceRow.id > start.id)
                conditions.append(or_(ServiceRow.created_at < start.created_at, same))
            query = select(ServiceRow).where(*conditions).order_by(ServiceRow.created_at.desc(), ServiceRow.id)
            return tuple(_service(row) for row in await session.scalars(query.limit(look.limit)))

    async def states(self, project_ids: Sequence[str] | None = None) -> dict[tuple[str, str], int]:
        """How many services there are, by project and state; of these projects, or of all."""
        query = (
            select(ServiceRow.project_id, ServiceRow.state, func.count())
            .where(ServiceRow.deleted_at.is_(None))
            .group_by(ServiceRow.project_id, ServiceRow.state)
        )
        if project_ids is not None:
            query = query.where(ServiceRow.project_id.in_(project_ids))
        async with self._database.session() as session:
            return {(project, state): count for project, state, count in await session.execute(query)}

    async def recent(self, project_ids: Collection[str]) -> tuple[models.Service, ...]:
        """Services of some projects, what changed last first: one query."""
        query = (
            select(ServiceRow)
            .where(ServiceRow.project_id.in_(project_ids), ServiceRow.deleted_at.is_(None))
            .order_by(ServiceRow.state_since.desc(), ServiceRow.id)
            .limit(MOST_RECENT)
        )
        async with self._database.session() as session:
            return tuple(_service(row) for row in await session.scalars(query))

    async def count(self, project_id: str) -> int:
        """How many services a project has."""
        query = select(func.count()).where(ServiceRow.project_id == project_id, ServiceRow.deleted_at.is_(None))
        async with self._database.session() as session:
            return await session.scalar(query) or 0

    async def all(self) -> tuple[Record, ...]:
        """Every service that is not deleted."""
        async with self._database.session() as session:
            rows = await session.scalars(select(ServiceRow).where(ServiceRow.deleted_at.is_(None)))
            return tuple(_record(row) for row in rows)

    async def revision(self, service_id: str, number: int) -> models.Revision:
        """One revision of a service, which is there as long as the service is."""
        async with self._database.session() as session:
            row = await session.get_one(RevisionRow, (service_id, number))
        return models.Revision(
            service_id=row.service_id,
            number=row.number,
            manifests=tuple(json.loads(row.manifests)),
            images=tuple(json.loads(row.images)),
            hosts=tuple(json.loads(row.hosts)),
        )

    async def change(self, service_id: str, **values: object) -> models.Service | None:
        """Set columns of a service that is not deleted; None where it is."""
        async with self._database.session() as session:
            row = await session.get(ServiceRow, service_id)
            if row is None or row.deleted_at is not None:
                return None
            for name, value in values.items():
                setattr(row, name, value)
        return _service(row)

    async def move(self, service_id: str, *, state: models.State, message: str, at: datetime) -> bool:
        """Set a state and its message; True where something changed. The moment stays where only the words changed."""
        async with self._database.session() as session:
            row = await session.get(ServiceRow, service_id)
            if row is None or row.deleted_at is not None or (row.state == state and row.message == message):
                return False
            if row.state != state:
                row.state_since = at
            row.state, row.message = state, message
        return True

    async def forget(self, service_id: str, *, at: datetime) -> None:
        """Mark a service deleted, and drop what it rendered."""
        async with self._database.session() as session:
            await session.execute(
                update(ServiceRow)
                .where(ServiceRow.id == service_id, ServiceRow.deleted_at.is_(None))
                .values(deleted_at=at, handle=None, vault_accessor=None, notes="", values="{}")
            )
            await session.execute(
                RevisionRow.__table__.delete().where(RevisionRow.service_id == service_id)  # type: ignore[attr-defined]
            )

    async def tell(self, event: models.ServiceEvent) -> None:
        """Keep an event; the oldest go past MAX_EVENTS."""
        async with self._database.session() as session:
            session.add(
                EventRow(service_id=event.service_id, at=event.at, kind=event.kind.value, detail=event.detail[:2000])
            )
            await session.flush()
            oldest = (
                select(EventRow.id)
                .where(EventRow.service_id == event.service_id)
                .order_by(EventRow.id.desc())
                .offset(MAX_EVENTS)
            )
            ids = tuple(await session.scalars(oldest))
            if ids:
                await session.execute(EventRow.__table__.delete().where(EventRow.id.in_(ids)))  # type: ignore[attr-defined]

    async def events(self, service_id: str) -> tuple[models.ServiceEvent, ...]:
        """What happened, newest first."""
        query = select(EventRow).where(EventRow.service_id == service_id).order_by(EventRow.id.desc())
        async with self._database.session() as session:
            rows = await session.scalars(query.limit(MAX_EVENTS))
            return tuple(
                models.ServiceEvent(
                    service_id=row.service_id, at=row.at, kind=models.EventKind(row.kind), detail=row.detail
                )
                for row in rows
            )


def encode_handle(handle: contract.Handle) -> str:
    """A handle as JSON."""
    return json.dumps({field.name: getattr(handle, field.name) for field in fields(handle)}, default=dict)


def _row(service: models.Service, *, key: str | None, accessor: str) -> ServiceRow:
    return ServiceRow(
        id=service.id,
        project_id=service.project_id,
        owner_id=service.owner_id,
        name=service.name,
        catalog=service.catalog,
        chart=service.chart,
        chart_version=service.chart_version,
        launch_key=key,
        desired=service.desired.value,
        state=service.state.value,
        message=service.message,
        revision=service.revision,
        vault_accessor=accessor,
        requests_cpu=service.requests.cpu,
        requests_memory=service.requests.memory_bytes,
        limits_cpu=service.limits.cpu,
        limits_memory=service.limits.memory_bytes,
        openable=service.openable,
        values=_json(service.values),
        notes=service.notes,
        created_at=service.created_at,
        state_since=service.state_since,
        expires_at=service.expires_at,
    )


def _revision_row(revision: models.Revision) -> RevisionRow:
    return RevisionRow(
        service_id=revision.service_id,
        number=revision.number,
        manifests=_json(revision.manifests),
        images=_json(revision.images),
        hosts=_json(revision.hosts),
    )


def _service(row: ServiceRow) -> models.Service:
    return models.Service(
        id=row.id,
        project_id=row.project_id,
        owner_id=row.owner_id,
        name=row.name,
        catalog=row.catalog,
        chart=row.chart,
        chart_version=row.chart_version,
        desired=models.Desired(row.desired),
        state=models.State(row.state),
        message=row.message,
        revision=row.revision,
        created_at=row.created_at,
        state_since=row.state_since,
        expires_at=row.expires_at,
        requests=contract.Resources(cpu=row.requests_cpu, memory_bytes=row.requests_memory),
        limits=contract.Resources(cpu=row.limits_cpu, memory_bytes=row.limits_memory),
        openable=row.openable,
        values=cast("Mapping[str, object]", json.loads(row.values)),
        notes=row.notes,
        handle=None if row.handle is None else contract.Handle(**json.loads(row.handle)),
    )


def _record(row: ServiceRow) -> Record:
    return Record(
        service=_service(row),
        applied_revision=row.applied_revision,
        vault_accessor=row.vault_accessor,
        warned_at=row.warned_at,
    )


def _json(value: Mapping[str, object] | Sequence[object]) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
