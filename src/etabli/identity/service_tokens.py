"""What a running service proves itself with: one token per service, which ends with it, and holds for its project alone."""

import structlog
from sqlalchemy import select

from etabli.identity import models, opaque
from etabli.identity.store import ProjectRow, ServiceTokenRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()


class ServiceTokens:
    """The tokens of running services."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def issue(self, *, service_id: str, project_id: str) -> str:
        """A fresh token for a service, without a newline; the one before it ends. Forbidden where the project is archived."""
        token = opaque.new()
        async with self._database.session() as session:
            project = await session.get(ProjectRow, project_id)
            if project is None:
                raise errors.NotFound("no such project")
            if project.archived_at is not None:
                raise errors.Forbidden("this project is archived", hint="work goes on in another project")
            row = await session.get(ServiceTokenRow, service_id)
            if row is not None and row.project_id != project_id:
                raise errors.Conflict("a service never changes its project")
            row = row or ServiceTokenRow(service_id=service_id, project_id=project_id)
            row.token_hash, row.created_at, row.ended_at = opaque.digest(token), self._clock.now(), None
            session.add(row)
        log.info("service token issued", service=service_id, project=project_id)
        return token

    async def check(self, *, token: str, project_id: str) -> models.ServiceIdentity:
        """The service behind a token that comes from the ground of `project_id`.

        NotFound where the two do not agree, and while the project is archived.
        """
        statement = (
            select(ServiceTokenRow.service_id, ProjectRow)
            .join(ProjectRow, ProjectRow.id == ServiceTokenRow.project_id)
            .where(
                ServiceTokenRow.token_hash == opaque.digest(token),
                ServiceTokenRow.project_id == project_id,
                ServiceTokenRow.ended_at.is_(None),
                ProjectRow.archived_at.is_(None),
            )
        )
        async with self._database.session() as session:
            found = (await session.execute(statement)).one_or_none()
            if found is None:
                raise errors.NotFound("this token buys nothing here", hint="restart the service to give it a new one")
            return models.ServiceIdentity(service_id=found[0], project=found[1].read())

    async def end(self, *, service_id: str) -> None:
        """The service's token buys nothing any more. Already ended, or never issued, is well."""
        async with self._database.session() as session:
            row = await session.get(ServiceTokenRow, service_id)
            if row is not None and row.ended_at is None:
                row.ended_at = self._clock.now()
                log.info("service token ended", service=service_id)
