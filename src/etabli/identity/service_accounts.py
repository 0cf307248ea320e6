"""A project's non-human members: what acts there when nobody does, with a role, by tokens of its own (`etabli_sat_…`).

A service account is in one project and nowhere else, cannot sign in, owns nothing, and is in no list of people. Owners make and end
it; while its project is archived its tokens buy nothing, and once it is ended they never do again. Its name is never reused: a log
that names it names one.
"""

import re

import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import access_tokens, accounts, models, token_models, tokens
from etabli.identity.projects import require
from etabli.identity.settings import IdentitySettings
from etabli.identity.token_store import AccessTokenRow, ServiceAccountRow
from etabli.kernel import errors, ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

NAME = re.compile(r"[a-z0-9](?:-?[a-z0-9]){0,29}")
MOST = 20  # Live accounts of a project.


class ServiceAccounts:
    """The service accounts of projects."""

    def __init__(self, *, database: Database, clock: Clock, settings: IdentitySettings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    async def create(
        self, *, by: models.User, project_id: str, name: str, role: models.Role
    ) -> token_models.ServiceAccount:
        """Make one, in a project that `by` owns. Invalid by field; Conflict where its name was ever used there."""
        wrong = None if NAME.fullmatch(name) else "1 to 30 of a-z, 0-9 and single dashes"
        unfit = None if role in token_models.SCOPES_OF_ROLE else "viewer or member: owners are people"
        accounts.refuse({"name": wrong, "role": unfit})
        try:
            async with self._database.session() as session:
                access = await _owned(session, by=by, project_id=project_id)
                if len(await _live(session, project_id)) >= MOST:
                    raise errors.QuotaExceeded(
                        f"this project has {MOST} service accounts", hint="end one of them first"
                    )
                row = ServiceAccountRow(
                    id=ids.new_id(),
                    project_id=project_id,
                    slug=f"{name}.{access.project.slug}",
                    name=name,
                    role=role.value,
                    created_by=by.id,
                    created_at=self._clock.now(),
                )
                session.add(row)
                await session.flush()
                made = row.read()
        except IntegrityError as error:
            raise errors.Conflict(
                f"`{name}` was used here already", hint="choose another name", field="name"
            ) from error
        log.info("service account created", account=made.id, project=project_id, by=by.id)
        return made

    async def list(self, *, by: models.User, project_id: str) -> tuple[token_models.ServiceAccount, ...]:
        """Those of a project that `by` is in, by name."""
        async with self._database.session() as session:
            await require(session, user_id=by.id, project_id=project_id, at_least=models.Role.VIEWER)
            return tuple(row.read() for row in await _live(session, project_id))

    async def end(self, *, by: models.User, project_id: str, account_id: str) -> None:
        """End one, for good: its tokens are refused at once. What it launched stays, and belongs to the project."""
        now = self._clock.now()
        async with self._database.session() as session:
            row = await self._found(session, by=by, project_id=project_id, account_id=account_id)
            row.ended_at = now
            its = (AccessTokenRow.service_account_id == account_id, AccessTokenRow.ended_at.is_(None))
            await session.execute(update(AccessTokenRow).where(*its).values(ended_at=now))
        log.info("service account ended", account=account_id, by=by.id)

    async def issue(
        self, *, by: models.User, project_id: str, account_id: str, name: str, days: int
    ) -> token_models.Issued:
        """A token of one, which may do what its role may. Invalid by field."""
        name = accounts.tidy(name)
        accounts.refuse({"name": accounts.name_problem(name), "days": access_tokens.days_problem(days, self._settings)})
        async with self._database.session() as session:
            row = await self._found(session, by=by, project_id=project_id, account_id=account_id)
            return await access_tokens.issue(
                session,
                kind=tokens.Kind.SERVICE_ACCOUNT,
                owner=row.id,
                name=name,
                scopes=token_models.SCOPES_OF_ROLE[models.Role(row.role)],
                days=days,
                now=self._clock.now(),
            )

    async def tokens(
        self, *, by: models.User, project_id: str, account_id: str
    ) -> tuple[token_models.AccessToken, ...]:
        """The good tokens of one, newest first. For owners."""
        async with self._database.session() as session:
            row = await self._found(session, by=by, project_id=project_id, account_id=account_id)
            its = AccessTokenRow.service_account_id == row.id
            return await access_tokens.live(session, its, now=self._clock.now())

    async def end_token(self, *, by: models.User, project_id: str, account_id: str, token_id: str) -> None:
        """End one token. Already ended is well; NotFound where it is not of that account."""
        async with self._database.session() as session:
            account = await self._found(session, by=by, project_id=project_id, account_id=account_id)
            row = await session.get(AccessTokenRow, token_id)
            if row is None or row.service_account_id != account.id:
                raise errors.NotFound("no such token")
            row.ended_at = row.ended_at or self._clock.now()

    async def _found(
        self, session: AsyncSession, *, by: models.User, project_id: str, account_id: str
    ) -> ServiceAccountRow:
        await _owned(session, by=by, project_id=project_id)
        row = await session.get(ServiceAccountRow, account_id)
        if row is None or row.project_id != project_id or row.ended_at is not None:
            raise errors.NotFound("no such service account")
        return row


async def _owned(session: AsyncSession, *, by: models.User, project_id: str) -> models.Access:
    return await require(session, user_id=by.id, project_id=project_id, at_least=models.Role.OWNER)


async def _live(session: AsyncSession, project_id: str) -> list[ServiceAccountRow]:
    statement = (
        select(ServiceAccountRow)
        .where(ServiceAccountRow.project_id == project_id, ServiceAccountRow.ended_at.is_(None))
        .order_by(ServiceAccountRow.name)
    )
    return list(await session.scalars(statement))
