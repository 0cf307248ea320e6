"""What administrators do with services of the whole lab: see them, pause them, give them time; with a reason that their people read.

That who calls is an administrator is asked by the room above (`admin`), which knows people; nothing here is reached otherwise.
"""

from dataclasses import dataclass
from datetime import timedelta

import structlog

from etabli.engines.contract import Resources
from etabli.kernel import errors, events
from etabli.services import errors as own
from etabli.services import models, quotas, reconcile, store
from etabli.services.service import Rooms

log = structlog.get_logger()

LONGEST_REASON = 300
MOST_DAYS = 3650


@dataclass(frozen=True)
class Seen:
    """A service, and what it uses now; None where it was not looked at yet."""

    service: models.Service
    use: models.Use | None


@dataclass(frozen=True)
class Load:
    """What one project has."""

    services: int = 0
    ready: int = 0


class Oversight:
    """Services of everybody."""

    def __init__(self, rooms: Rooms, *, reconciler: reconcile.Reconciler) -> None:
        self._rooms = rooms
        self._reconciler = reconciler

    async def search(self, look: store.Look) -> tuple[Seen, ...]:
        """Services that fit, newest first."""
        return tuple(self._seen(service) for service in await self._rooms.store.search(look))

    async def get(self, *, service_id: str) -> Seen:
        """One service. ServiceNotFound where there is none."""
        return self._seen(await self._service(service_id))

    async def loads(self, project_ids: list[str]) -> dict[str, Load]:
        """How many services projects have, and how many answer."""
        loads: dict[str, Load] = {}
        for (project, state), count in (await self._rooms.store.states(project_ids)).items():
            before = loads.get(project, Load())
            ready = count if state == models.State.READY else 0
            loads[project] = Load(services=before.services + count, ready=before.ready + ready)
        return loads

    async def states(self) -> dict[models.State, int]:
        """How many services are in each state."""
        counts = dict.fromkeys(models.State, 0)
        for (_, state), count in (await self._rooms.store.states()).items():
            counts[models.State(state)] += count
        return counts

    async def quota(self, *, project_id: str) -> quotas.Quota:
        """What a project may have, and has."""
        return await self._rooms.quotas.of(project_id=project_id)

    async def set_quota(self, *, project_id: str, own: quotas.Limits, by: str) -> quotas.Quota:
        """Give a project its own limits."""
        return await self._rooms.quotas.set(project_id=project_id, own=own, by=by)

    async def stop(self, *, service_id: str, reason: str) -> models.Service:
        """Pause a service; its people read why, and may resume it. Stopped already is well."""
        reason = clean_reason(reason)
        service = await self._service(service_id)
        if service.desired is not models.Desired.RUNNING:
            return service
        kept_until = self._rooms.clock.now() + timedelta(days=self._rooms.settings.kept_days)
        change = {"desired": models.Desired.STOPPED.value, "expires_at": kept_until, "warned_at": None}
        stopped = await self._change(service, **change)
        await self._tell(stopped, models.EventKind.STOPPED_BY_ADMINISTRATOR, reason)
        self._reconciler.wake(service.id)
        log.info("service stopped by an administrator", service=service.id)
        return stopped

    async def stop_all_of(self, *, project_id: str, reason: str) -> int:
        """Pause every service of a project that is to run; how many."""
        services = await self._rooms.store.of_project(project_id)
        running = [one for one in services if one.desired is models.Desired.RUNNING]
        for service in running:
            await self.stop(service_id=service.id, reason=reason)
        return len(running)

    async def extend(self, *, service_id: str, days: int, reason: str) -> models.Service:
        """Move a service's end to so many days from now; its people read why. Invalid where that is no number of days."""
        reason = clean_reason(reason)
        if not 1 <= days <= MOST_DAYS:
            raise errors.Invalid("a number of days is wrong", fields={"days": f"from 1 to {MOST_DAYS}"})
        service = await self._service(service_id)
        until = self._rooms.clock.now() + timedelta(days=days)
        extended = await self._change(service, expires_at=until, warned_at=None)
        await self._tell(extended, models.EventKind.EXTENDED_BY_ADMINISTRATOR, reason)
        return extended

    async def free(self) -> tuple[Resources, Resources]:
        """What the engine may grant in all, and what is held of it."""
        health = await self._rooms.engine.check()
        return health.total, health.reserved

    def _seen(self, service: models.Service) -> Seen:
        return Seen(service=service, use=self._reconciler.last_use(service.id))

    async def _service(self, service_id: str) -> models.Service:
        service = await self._rooms.store.get(service_id)
        if service is None or service.desired is models.Desired.DELETED:
            raise own.ServiceNotFound(service_id)
        return service

    async def _change(self, service: models.Service, **values: object) -> models.Service:
        changed = await self._rooms.store.change(service.id, **values)
        if changed is None:
            raise own.ServiceNotFound(service.id)
        return changed

    async def _tell(self, service: models.Service, kind: models.EventKind, reason: str) -> None:
        event = models.ServiceEvent(service_id=service.id, at=self._rooms.clock.now(), kind=kind, detail=reason)
        await self._rooms.store.tell(event)
        self._rooms.events.publish(
            events.Event(topic="service", subject=service.id, project=service.project_id, detail=kind.value)
        )


def clean_reason(text: str) -> str:
    """A reason as people will read it: on one line, at most 300 characters. Invalid where there is none."""
    reason = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    if not reason or len(reason) > LONGEST_REASON:
        raise errors.Invalid(
            "say why", hint="the service's people read it", fields={"reason": f"1 to {LONGEST_REASON} characters"}
        )
    return reason
