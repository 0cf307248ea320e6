"""What ends at once when somebody loses rights in a project, beyond what is asked at each request anyway.

Keys of S3 that they already have are shut out of the bucket by its policy, until none of them can be alive; and the connections
that the front door holds to the project's services are hung up on, websockets too: whoever is still in the project comes back by
themselves, and the others are refused. It stands on what identity wrote down, so that a portal that was killed in between does it
when it starts; a part that does not answer is asked again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from etabli.engines import contract
from etabli.identity import models
from etabli.identity.service import Identity
from etabli.identity.standing import TOPIC
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.events import Event, Events
from etabli.storage.service import Storage

log = structlog.get_logger()

PERIOD = timedelta(minutes=1)  # Between two looks where nothing is heard: what grows old is forgotten then.


@dataclass
class Departures:
    """Follows who left, and ends what they still hold."""

    identity: Identity
    storage: Storage
    engine: contract.Engine
    clock: Clock
    _shut_out: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)  # As the store has it.
    _hung_up: set[models.Departure] = field(default_factory=set)

    async def follow(self, events: Events) -> None:
        """Look whenever people's standing may have changed, and now and then."""
        changed = asyncio.Event()

        def hear(event: Event) -> None:
            if event.topic == TOPIC:
                changed.set()

        events.subscribe(hear)
        while True:
            changed.clear()
            try:
                await self.look()
            except Exception:
                log.exception("departures were not followed")
            waiting = asyncio.ensure_future(changed.wait())
            sleeping = asyncio.ensure_future(self.clock.sleep(PERIOD))
            try:
                await asyncio.wait((waiting, sleeping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                waiting.cancel()
                sleeping.cancel()

    async def look(self) -> None:
        """Do what is to be done for each project, once."""
        known = await self.identity.departures.all()
        for project_id in known.keys() | self._shut_out.keys():
            try:
                await self._one(project_id, known.get(project_id, ()))
            except errors.Unavailable as error:
                log.warning("a departure waits", project=project_id, reason=error.message)

    async def _one(self, project_id: str, departures: Sequence[models.Departure]) -> None:
        fresh = [departure for departure in departures if departure not in self._hung_up]
        if fresh and isinstance(self.engine, contract.CanHangUp):
            await self.engine.hang_up(project_id)
        self._hung_up.update(fresh)
        oldest = self.clock.now() - self.storage.longest_keys
        alive = [departure for departure in departures if departure.at > oldest]
        gone = tuple(one.user_id for one in alive if one.role is None)
        demoted = tuple(one.user_id for one in alive if one.role is not None)
        if self._shut_out.get(project_id) != (gone, demoted):
            project = await self.identity.projects.get(project_id=project_id)
            await self.storage.shut_out(project=project, gone=gone, demoted=demoted)
            self._shut_out[project_id] = (gone, demoted)
        if len(alive) < len(departures):
            await self.identity.departures.forget(project_id=project_id, before=oldest)
            self._hung_up.difference_update(set(departures) - set(alive))
        if not alive:
            self._shut_out.pop(project_id, None)
