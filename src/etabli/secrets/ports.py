"""What the vault needs from others."""

from datetime import timedelta
from typing import Protocol

from etabli.identity.models import Audience, Project, User


class Issuer(Protocol):
    """Says who a subject is, in a token."""

    async def issue(self, *, subject: User | Project, audience: Audience, lifetime: timedelta) -> str:
        """A token of this person or project for one part. Forbidden where they are suspended or archived."""
        ...
