"""Services of the whole lab, for administrators, with the names of the people and the projects that they are of."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from etabli.identity import models
from etabli.identity.people import require_admin
from etabli.identity.service import Identity
from etabli.services.models import Service
from etabli.services.oversight import Oversight, Seen
from etabli.services.store import Look

PAGE = 50
NONE = "-"  # No id of anything.


@dataclass(frozen=True)
class Row:
    """A service in a list, its project and who launched it by their slugs."""

    seen: Seen
    project: str
    owner: str


class Services:
    """Every service."""

    def __init__(self, *, identity: Identity, oversight: Oversight) -> None:
        self._identity = identity
        self._oversight = oversight

    async def search(
        self, *, by: models.User, word: str = "", state: str = "", project: str = "", owner: str = "", after: str = ""
    ) -> tuple[Row, ...]:
        """Services that fit, newest first, a page and one more. A project or a person that is not there has none."""
        require_admin(by)
        look = Look(word=word, state=state, after=after, limit=PAGE + 1)
        directory = self._identity.directory
        if project:
            look = replace(look, project_id=await directory.id_of_project(slug=project) or NONE)
        if owner:
            look = replace(look, owner_id=await directory.id_of_person(slug=owner) or NONE)
        return await self._rows(await self._oversight.search(look), by)

    async def get(self, *, by: models.User, service_id: str) -> Row:
        """One service. ServiceNotFound where there is none."""
        require_admin(by)
        (row,) = await self._rows((await self._oversight.get(service_id=service_id),), by)
        return row

    async def states(self, *, by: models.User) -> Mapping[str, int]:
        """How many are in each state."""
        require_admin(by)
        return {state.value: count for state, count in (await self._oversight.states()).items()}

    async def stop(self, *, by: models.User, service_id: str, reason: str) -> Service:
        """Pause it; its people read why."""
        require_admin(by)
        return await self._oversight.stop(service_id=service_id, reason=reason)

    async def extend(self, *, by: models.User, service_id: str, days: int, reason: str) -> Service:
        """Move its end to so many days from now; its people read why."""
        require_admin(by)
        return await self._oversight.extend(service_id=service_id, days=days, reason=reason)

    async def _rows(self, seen: tuple[Seen, ...], by: models.User) -> tuple[Row, ...]:
        slugs = await self._identity.directory.slugs(
            by=by,
            users=frozenset(one.service.owner_id for one in seen),
            projects=frozenset(one.service.project_id for one in seen),
        )
        return tuple(
            Row(one, project=slugs.get(one.service.project_id, ""), owner=slugs.get(one.service.owner_id, ""))
            for one in seen
        )
