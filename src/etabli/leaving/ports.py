"""What leaving needs of others."""

from typing import Protocol

from etabli.identity.models import Project


class Belongings(Protocol):
    """What a project holds outside the database."""

    async def erase(self, *, project: Project) -> None:
        """Remove its bucket and its vault folder for good; already gone is success. Unavailable where a part is away."""
        ...
