"""The use cases of services."""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime

from etabli.engines import contract
from etabli.services import models


class Services:
    """SIGNATURES (being filled in): launch, list, open, stop, resume, rename, extend, delete, follow."""

    async def launch(self, *, user_id: str, launch: models.Launch) -> models.Service:
        """Validate, render, store; starting goes on in the background. Invalid names the fields; QuotaExceeded, NotFound, Unavailable."""
        raise AssertionError

    async def list(self, *, user_id: str, project_id: str) -> tuple[models.Service, ...]:
        """Services of a project, newest first; NotFound where the person is no member."""
        raise AssertionError

    async def get(self, *, user_id: str, service_id: str) -> models.Service:
        """One service; ServiceNotFound alike for none and for another's."""
        raise AssertionError

    async def events(self, *, user_id: str, service_id: str) -> tuple[models.ServiceEvent, ...]:
        """What happened to it, newest first, at most 200."""
        raise AssertionError

    async def address(self, *, user_id: str, session_id: str, service_id: str, to: str = "/") -> str:
        """The URL that opens it, one-time code included; NotOpenable where it has none or is not ready."""
        raise AssertionError

    async def address_of_host(self, *, user_id: str, session_id: str, host: str, to: str = "/") -> str:
        """The same for who came by the service's own address; ServiceNotFound alike for none and for another's."""
        raise AssertionError

    async def stop(self, *, user_id: str, service_id: str) -> models.Service:
        """Pause it: volumes and home stay, what was installed in its environment goes."""
        raise AssertionError

    async def resume(self, *, user_id: str, service_id: str) -> models.Service:
        """Start it again from the same revision."""
        raise AssertionError

    async def rename(self, *, user_id: str, service_id: str, name: str) -> models.Service:
        """Change what people read; 1 to 100 characters, no control characters."""
        raise AssertionError

    async def extend(self, *, user_id: str, service_id: str, until: datetime | None = None) -> models.Service:
        """Move its end: to `until`, or by the lab's default from now."""
        raise AssertionError

    async def delete(self, *, user_id: str, service_id: str) -> None:
        """Delete it and all that the engine made; accepted at once, done in the background."""
        raise AssertionError

    def logs(self, *, user_id: str, service_id: str, follow: bool = False) -> AsyncIterator[contract.LogLine]:
        """What it wrote, oldest first."""
        raise AssertionError

    async def status(self, *, user_id: str, service_id: str) -> contract.Status:
        """The last status seen of its pods (never waits on the engine)."""
        raise AssertionError

    def usage(self, *, service_id: str) -> contract.Usage | None:
        """Cores and memory last seen, from memory; None where not known."""
        raise AssertionError

    async def free(self) -> contract.Health:
        """What the engine holds and may still grant, for forms; a value at most some seconds old."""
        raise AssertionError

    async def context(self, *, user_id: str, project_id: str) -> Mapping[str, object]:
        """The chart context that a form for this person and project is computed with."""
        raise AssertionError
