"""The use cases of leaving: what an account's end would do, asking for it, carrying it out.

Asking shuts the person out at once and stores that the account ends. Then, in this order and each as often as need be: their own
project's services are deleted; its bucket and vault folder are erased; all that is under their id is dropped, and their name with it.
"""

import structlog

from etabli.identity.models import Project, ProjectKind, Role, User
from etabli.identity.service import Identity
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.leaving import models, ports
from etabli.leaving.export import Export
from etabli.leaving.store import Store
from etabli.services.service import Services

log = structlog.get_logger()


class Leaving:
    """Ends accounts."""

    def __init__(
        self, *, identity: Identity, services: Services, belongings: ports.Belongings, store: Store, clock: Clock
    ) -> None:
        self._identity, self._services, self._belongings = identity, services, belongings
        self._store, self._clock = store, clock
        self.export = Export(identity=identity, services=services, store=store)

    async def consequences(self, *, user: User) -> models.Consequences:
        """What the end of that person's account would do."""
        accesses = await self._identity.projects.list(user_id=user.id)
        leaves: list[str] = []
        to_hand_over: list[str] = []
        services: list[str] = []
        for access in accesses:
            if access.project.kind is ProjectKind.PERSONAL:
                found = await self._services.list(user_id=user.id, project_id=access.project.id)
                services += [service.name for service in found]
                continue
            members = await self._identity.projects.members(by=user, project_id=access.project.id)
            owners = [member for member in members if member.role is Role.OWNER]
            is_last = access.role is Role.OWNER and len(owners) == 1
            (to_hand_over if is_last else leaves).append(access.project.name)
        return models.Consequences(
            services=tuple(services),
            slug=user.slug,
            leaves=tuple(leaves),
            to_hand_over=tuple(to_hand_over),
            is_last_administrator=await self._identity.endings.is_last_administrator(user_id=user.id),
        )

    async def leave(self, *, user: User, typed: str) -> None:
        """End that person's own account: shut out at once, all else in the background.

        Invalid where `typed` is not their short name; Conflict where a project would have no owner, or the lab no administrator.
        """
        if typed.strip() != user.slug:
            raise errors.Invalid("your account is as it was", fields={"slug": "type your short name to confirm"})
        found = await self.consequences(user=user)
        if found.to_hand_over:
            raise errors.Conflict(
                f"`{found.to_hand_over[0]}` would have no owner", hint="make another member an owner, or archive it"
            )
        await self._identity.endings.shut_out(user_id=user.id)
        await self._store.begin(user_id=user.id, at=self._clock.now())
        log.info("account ends", user=user.id)

    async def tend(self) -> None:
        """Carry out the ends that were asked for, as far as they go now. To be called every minute."""
        for user_id in await self._store.begun():
            try:
                await self._end(user_id)
            except errors.Unavailable as error:
                log.info("an account's end waits", user=user_id, reason=error.message)

    async def _end(self, user_id: str) -> None:
        project = await self._own(user_id)
        if project is not None:
            services = await self._services.list(user_id=user_id, project_id=project.id)
            for service in services:
                if service.state.value != "deleting":
                    await self._services.delete(user_id=user_id, service_id=service.id)
            if services:
                return  # The engine takes them down; the next turn goes on.
            await self._belongings.erase(project=project)
            await self._identity.endings.close(project_id=project.id)
        await self._store.drop(user_id=user_id)
        await self._identity.endings.forget(user_id=user_id)
        await self._store.finish(user_id=user_id, at=self._clock.now())
        log.info("account ended", user=user_id)

    async def _own(self, user_id: str) -> Project | None:
        """Their own project; None once it is closed, and they are out of it."""
        accesses = await self._identity.projects.list(user_id=user_id)
        own = (access.project for access in accesses if access.project.kind is ProjectKind.PERSONAL)
        return next(own, None)
