"""Projects, for administrators: all of them, who is in them, what they have and may have."""

from dataclasses import dataclass

from etabli.identity import directory, models
from etabli.identity.people import require_admin
from etabli.identity.service import Identity
from etabli.services.oversight import Load, Oversight, Seen
from etabli.services.quotas import Limits, Quota
from etabli.services.store import Look

MOST_SERVICES = 100


@dataclass(frozen=True)
class Row:
    """A project in a list."""

    found: directory.FoundProject
    load: Load


@dataclass(frozen=True)
class Whole:
    """One project as administrators see it."""

    project: models.Project
    members: tuple[models.Member, ...]
    quota: Quota
    services: tuple[Seen, ...]


class Projects:
    """Every project."""

    def __init__(self, *, identity: Identity, oversight: Oversight) -> None:
        self._identity = identity
        self._oversight = oversight

    async def search(self, *, by: models.User, asked: directory.Asked) -> tuple[Row, ...]:
        """Projects that fit, by name, a page and one more."""
        found = await self._identity.directory.projects(by=by, asked=asked, limit=directory.PAGE + 1)
        loads = await self._oversight.loads([one.project.id for one in found])
        return tuple(Row(found=one, load=loads.get(one.project.id, Load())) for one in found)

    async def get(self, *, by: models.User, slug: str) -> Whole:
        """One project. NotFound where there is none."""
        project, members = await self._identity.directory.project(by=by, slug=slug)
        return Whole(
            project=project,
            members=members,
            quota=await self._oversight.quota(project_id=project.id),
            services=await self._oversight.search(Look(project_id=project.id, limit=MOST_SERVICES)),
        )

    async def set_quota(self, *, by: models.User, slug: str, own: Limits) -> Quota:
        """Give a project its own limits; None is the lab's. Invalid by field. What runs already is not touched."""
        require_admin(by)
        project, _ = await self._identity.directory.project(by=by, slug=slug)
        return await self._oversight.set_quota(project_id=project.id, own=own, by=by.id)
