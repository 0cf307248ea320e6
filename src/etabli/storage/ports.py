"""What storage needs from others."""

from datetime import timedelta
from typing import Protocol

from etabli.identity.models import Audience, ServiceIdentity


class Issuer(Protocol):
    """Says who a subject is, in a token."""

    async def issue(self, *, subject: str, audience: Audience, lifetime: timedelta) -> str:
        """An ID token of the user or project whose id is `subject`. NotFound where there is none."""
        ...


class ServiceTokenChecker(Protocol):
    """Knows services by their tokens."""

    async def check_service_token(self, *, token: str, project_id: str) -> ServiceIdentity:
        """The service behind a token that comes from the network of `project_id`. NotFound where the two do not agree."""
        ...
