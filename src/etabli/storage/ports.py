"""What storage needs from others."""

from datetime import timedelta
from typing import Protocol

from etabli.identity.models import Audience, Project, ServiceIdentity, User


class Issuer(Protocol):
    """Says who a subject is, in a token."""

    async def issue(self, *, subject: User | Project, audience: Audience, lifetime: timedelta) -> str:
        """A token of this person or project for one part. Forbidden where they are suspended or archived."""
        ...


class ServiceTokens(Protocol):
    """Knows services by their tokens."""

    async def check(self, *, token: str, project_id: str) -> ServiceIdentity:
        """The service behind a token that comes from the network of `project_id`. NotFound where the two do not agree."""
        ...
