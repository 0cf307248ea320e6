"""People, for administrators: found, seen whole, suspended, let in again, made administrators."""

from dataclasses import dataclass

from etabli.door.service import Door
from etabli.identity import directory, models
from etabli.identity.people import require_admin
from etabli.identity.service import Identity
from etabli.services.models import Service
from etabli.services.oversight import Oversight, clean_reason
from etabli.services.quotas import Quota
from etabli.services.store import Look

MOST_SERVICES = 100  # That one person's page lists.


@dataclass(frozen=True)
class Person:
    """One person as administrators see them."""

    profile: directory.Profile
    personal: models.Project
    quota: Quota  # Of their personal project: what they have for themselves.
    services: tuple[Service, ...]  # That they launched, in any project, newest first.
    sessions: tuple[models.Session, ...]


class People:
    """Everybody."""

    def __init__(self, *, identity: Identity, door: Door, oversight: Oversight) -> None:
        self._identity = identity
        self._door = door
        self._oversight = oversight

    async def search(self, *, by: models.User, asked: directory.Asked) -> tuple[directory.Found, ...]:
        """People who fit, by name, a page and one more."""
        return await self._identity.directory.people(by=by, asked=asked, limit=directory.PAGE + 1)

    async def count(self, *, by: models.User, asked: directory.Asked) -> int:
        """How many fit."""
        return await self._identity.directory.count(by=by, asked=asked)

    async def get(self, *, by: models.User, slug: str) -> Person:
        """One person. NotFound where there is none."""
        profile = await self._identity.directory.person(by=by, slug=slug)
        user_id = profile.found.user.id
        personal = await self._identity.projects.personal(user_id=user_id)
        seen = await self._oversight.search(Look(owner_id=user_id, limit=MOST_SERVICES))
        return Person(
            profile=profile,
            personal=personal,
            quota=await self._oversight.quota(project_id=personal.id),
            services=tuple(one.service for one in seen),
            sessions=await self._identity.sessions.list(user_id=user_id),
        )

    async def suspend(self, *, by: models.User, slug: str, stop_services: bool, reason: str) -> int:
        """Keep somebody out: sessions and tokens end at once, at the portal and at every service. How many services were paused.

        Where asked, the services of their personal project are paused too: those of shared projects are the projects' own. Conflict
        for the last administrator.
        """
        require_admin(by)
        reason = clean_reason(reason)
        profile = await self._identity.directory.person(by=by, slug=slug)
        user_id = profile.found.user.id
        sessions = await self._identity.sessions.list(user_id=user_id)
        await self._identity.people.suspend(by=by, user_id=user_id)
        for session in sessions:
            await self._door.end_session(session_id=session.id)
        if not stop_services:
            return 0
        personal = await self._identity.projects.personal(user_id=user_id)
        return await self._oversight.stop_all_of(project_id=personal.id, reason=reason)

    async def restore(self, *, by: models.User, slug: str) -> models.User:
        """Let a suspended person in again; what was paused stays so until they resume it."""
        profile = await self._identity.directory.person(by=by, slug=slug)
        return await self._identity.people.restore(by=by, user_id=profile.found.user.id)

    async def end_sessions(self, *, by: models.User, slug: str) -> int:
        """Sign somebody out everywhere; how many sessions ended."""
        profile = await self._identity.directory.person(by=by, slug=slug)
        user_id = profile.found.user.id
        for session in await self._identity.sessions.list(user_id=user_id):
            await self._door.end_session(session_id=session.id)
        return await self._identity.sessions.end_all(user_id=user_id)

    async def make_administrator(self, *, by: models.User, slug: str) -> models.User:
        """Give somebody an administrator's rights."""
        return await self._identity.directory.make_administrator(by=by, slug=slug)

    async def unmake_administrator(self, *, by: models.User, slug: str) -> models.User:
        """Take them back. Conflict for the last one."""
        return await self._identity.directory.unmake_administrator(by=by, slug=slug)
