"""What becomes of a project's services when the project is closed or opened again.

Closing is stored first; services are stopped after, and again at each turn of the reconciler, so that a kill in between leaves
nothing running. A closed project's services keep their volumes for as long as it is closed: data stay.
"""

import structlog

from etabli.identity.models import User
from etabli.services import ports, reconcile

log = structlog.get_logger()


class Grounds:
    """The use cases of a project that also touch its services."""

    def __init__(self, people: ports.People, *, reconciler: reconcile.Reconciler) -> None:
        self._people = people
        self._reconciler = reconciler

    async def archive(self, *, by: User, project_id: str) -> None:
        """Close a shared project that `by` owns: its services are stopped, nothing is launched there, all can be read."""
        await self._people.archive(by=by, project_id=project_id)
        await self._reconciler.archived.close()

    async def reopen(self, *, by: User, project_id: str) -> None:
        """Open an archived project that `by` owns. Its services stay stopped, and are kept as long as any that was just stopped."""
        await self._people.reopen(by=by, project_id=project_id)
        await self._reconciler.archived.count_again(project_id)
