"""What a project may have: so many services, so many cores and so much memory at once.

The lab's settings give the same to every project; an administrator may give one project otherwise. A person's own quota is that of
their personal project. What counts is what services that are to run may use at most (their limits; their requests where a chart sets
none); a paused service counts as one of the services, and uses nothing.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, String, func, select
from sqlalchemy.orm import Mapped, mapped_column

from etabli.engines.contract import Resources
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database, Table
from etabli.services import models
from etabli.services.settings import ServicesSettings
from etabli.services.store import ServiceRow

GIB = 1 << 30
MOST_SERVICES = 10_000
MOST_CORES = 100_000.0
MOST_MEMORY = 1 << 50  # Bytes.


class QuotaRow(Table):
    """What one project has otherwise than the settings give."""

    __tablename__ = "project_quotas"

    project_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    services: Mapped[int | None]
    cores: Mapped[float | None]
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    changed_at: Mapped[datetime]
    changed_by: Mapped[str] = mapped_column(String(16))


@dataclass(frozen=True)
class Limits:
    """What a project may have; None is what the settings give where this is a project's own, and no limit where it holds."""

    services: int | None = None
    cores: float | None = None
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Quota:
    """What holds for a project, and what it has."""

    holds: Limits
    own: Limits  # What an administrator gave this project.
    services: int  # That it has now, paused ones included.
    cores: float  # That its services which are to run may use.
    memory_bytes: int


class Quotas:
    """Knows what projects may have, and have."""

    def __init__(self, *, database: Database, clock: Clock, settings: ServicesSettings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._coming: dict[str, list[Place]] = {}  # Launches that were admitted and are not stored yet, by project.

    async def of(self, *, project_id: str) -> Quota:
        """What holds for a project now."""
        async with self._database.session() as session:
            row = await session.get(QuotaRow, project_id)
            mine = (ServiceRow.project_id == project_id, ServiceRow.deleted_at.is_(None))
            count = await session.scalar(select(func.count()).select_from(ServiceRow).where(*mine)) or 0
            columns = (
                ServiceRow.limits_cpu,
                ServiceRow.requests_cpu,
                ServiceRow.limits_memory,
                ServiceRow.requests_memory,
            )
            running = ServiceRow.desired == models.Desired.RUNNING.value
            used = (await session.execute(select(*columns).where(*mine, running))).all()
        own = Limits() if row is None else Limits(row.services, row.cores, row.memory_bytes)
        return Quota(
            holds=self._holding(own),
            own=own,
            services=count,
            cores=sum(limits or requests for limits, requests, _, _ in used),
            memory_bytes=sum(limits or requests for _, _, limits, requests in used),
        )

    async def set(self, *, project_id: str, own: Limits, by: str) -> Quota:
        """Give a project its own limits; None is the settings' again. Invalid by field. What runs already is not touched."""
        faults = {
            name: text
            for name, value, most, text in (
                ("services", own.services, MOST_SERVICES, f"from 0 to {MOST_SERVICES}"),
                ("cores", own.cores, MOST_CORES, f"from 0 to {MOST_CORES:.0f}"),
                ("memory", own.memory_bytes, MOST_MEMORY, "from 0 to 1048576 GiB"),
            )
            if value is not None and not 0 <= value <= most
        }
        if faults:
            raise errors.Invalid("a quota is wrong", hint="see each field", fields=faults)
        row = QuotaRow(
            project_id=project_id,
            services=own.services,
            cores=own.cores,
            memory_bytes=own.memory_bytes,
            changed_at=self._clock.now(),
            changed_by=by,
        )
        async with self._database.session() as session:
            await session.merge(row)
        return await self.of(project_id=project_id)

    async def admit(self, *, project_id: str, asked: Resources, is_new: bool) -> "Place":
        """Take a place for a service that will use `asked`. QuotaExceeded, saying what is free, where it does not fit.

        The place is kept until it is left: two launches at once do not both take the last one.
        """
        place = Place(self._coming, project_id, asked)
        try:
            quota = await self.of(project_id=project_id)
            _check(quota, coming=place.before(), asked=asked, is_new=is_new)
        except BaseException:
            place.leave()
            raise
        return place

    def _holding(self, own: Limits) -> Limits:
        given = self._settings
        return Limits(
            services=given.per_project if own.services is None else own.services,
            cores=(given.cores_per_project or None) if own.cores is None else own.cores,
            memory_bytes=(
                (int(given.memory_gib_per_project * GIB) or None) if own.memory_bytes is None else own.memory_bytes
            ),
        )


class Place:
    """A launch under way. Leave it once it is stored, or given up."""

    def __init__(self, coming: "dict[str, list[Place]]", project_id: str, asked: Resources) -> None:
        self._coming, self._project_id, self.asked = coming, project_id, asked
        coming.setdefault(project_id, []).append(self)

    def before(self) -> list[Resources]:
        """What others ask who came first and are not stored yet."""
        waiting = self._coming[self._project_id]
        return [place.asked for place in waiting[: waiting.index(self)]]

    def leave(self) -> None:
        """It is counted where it is stored, from now on."""
        waiting = self._coming[self._project_id]
        waiting.remove(self)
        if not waiting:
            del self._coming[self._project_id]


def weight(*, limits: Resources, requests: Resources) -> Resources:
    """What a service counts for: what it may use at most."""
    return Resources(cpu=limits.cpu or requests.cpu, memory_bytes=limits.memory_bytes or requests.memory_bytes)


def _check(quota: Quota, *, coming: list[Resources], asked: Resources, is_new: bool) -> None:
    holds = quota.holds
    count = quota.services + len(coming)
    if is_new and holds.services is not None and count >= holds.services:
        raise errors.QuotaExceeded(
            f"this project has {count} services already", hint="delete one that is not used any more"
        )
    hint = "pause a service, ask for less, or ask an administrator for more"
    if holds.cores is not None:
        free = max(0.0, holds.cores - quota.cores - sum(one.cpu for one in coming))
        if asked.cpu > free + 1e-9:
            raise errors.QuotaExceeded(
                f"this asks for {asked.cpu:g} cores, and {free:g} of the project's {holds.cores:g} are free", hint=hint
            )
    if holds.memory_bytes is not None:
        left = max(0, holds.memory_bytes - quota.memory_bytes - sum(one.memory_bytes for one in coming))
        if asked.memory_bytes > left:
            raise errors.QuotaExceeded(
                f"this asks for {asked.memory_bytes / GIB:.3g} GiB of memory, and {left / GIB:.3g} of the project's "
                f"{holds.memory_bytes / GIB:.3g} are free",
                hint=hint,
            )
