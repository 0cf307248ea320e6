"""Services of projects that are closed: nothing of them runs, their volumes stay, their vault tokens end.

It stands on what identity stored, and is done again at each turn: a kill in between leaves nothing running.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Protocol

import structlog

from etabli.kernel import clock as clocks
from etabli.kernel import errors, events
from etabli.services import models, ports, store
from etabli.services.settings import ServicesSettings

log = structlog.get_logger()


class Rooms(Protocol):
    """What closing stands on: a part of what reconciling does."""

    @property
    def store(self) -> store.Store: ...
    @property
    def people(self) -> ports.People: ...
    @property
    def belongings(self) -> ports.Belongings: ...
    @property
    def events(self) -> events.Events: ...
    @property
    def clock(self) -> clocks.Clock: ...
    @property
    def settings(self) -> ServicesSettings: ...


class Archived:
    """Closes services, and lets them be resumed. `wake` has the reconciler look at one."""

    def __init__(self, rooms: Rooms, *, wake: Callable[[str], None]) -> None:
        self._rooms = rooms
        self._wake = wake

    async def close(self) -> None:
        """Stop what runs in archived projects, and end its vault tokens. Repeating it is safe.

        A token that the vault cannot end at this moment is ended at a later turn.
        """
        closed = await self._rooms.people.archived()
        records = [record for record in await self._rooms.store.all() if record.service.project_id in closed]
        for record in records:
            service = record.service
            if service.desired is models.Desired.RUNNING or service.expires_at is not None:
                stopped = {} if service.desired is models.Desired.DELETED else {"desired": models.Desired.STOPPED.value}
                await self._rooms.store.change(service.id, expires_at=None, warned_at=None, **stopped)
                self._wake(service.id)
        for record in records:
            if record.vault_accessor is not None:
                await self._end_token(record.service.id, record.vault_accessor)

    async def count_again(self, project_id: str) -> None:
        """Keep the stopped services of a project that was opened again as long as any that was stopped now."""
        kept_until = self._rooms.clock.now() + timedelta(days=self._rooms.settings.kept_days)
        for service in await self._rooms.store.of_project(project_id):
            if service.desired is models.Desired.STOPPED and service.expires_at is None:
                await self._rooms.store.change(service.id, expires_at=kept_until, warned_at=None)
                self._rooms.events.publish(
                    events.Event(
                        topic="service",
                        subject=service.id,
                        project=project_id,
                        detail=models.EventKind.EXTENDED.value,
                    )
                )

    async def _end_token(self, service_id: str, accessor: str) -> None:
        try:
            await self._rooms.belongings.revoke(accessor=accessor)
        except errors.Unavailable as error:
            log.warning("a vault token lives on", service=service_id, reason=error.message)
        else:
            await self._rooms.store.change(service_id, vault_accessor=None)
