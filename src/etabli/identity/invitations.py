"""Links that let people in: the administrator's one-time link, and invitations with a number of uses and an end.

The first link is made where nobody has an account, and kept in a 0600 file until somebody does, so that whoever starts the lab is
shown the same one each time. A use is taken in the unit of work that writes the account: a link with one use, used twice at once,
makes one account.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, models, opaque, projects, queries
from etabli.identity.passwords import Passwords
from etabli.identity.people import require_admin
from etabli.identity.store import FIRST_INVITATION, InvitationRow, ProjectRow, UserRow
from etabli.kernel import errors, files, ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

FIRST_LINK_FILE = "first-link"
MOST_USES = 1000
LONGEST = timedelta(days=90)


class Invitations:
    """Lets people in."""

    def __init__(self, *, database: Database, clock: Clock, passwords: Passwords, keys: Path) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._file = keys / FIRST_LINK_FILE

    async def first_link(self) -> str | None:
        """The token of the link that makes the administrator; None once anybody has an account."""
        async with self._database.session() as session:
            if await queries.has_people(session):
                await asyncio.to_thread(self._file.unlink, missing_ok=True)
                return None
            token = (await asyncio.to_thread(files.write_once, self._file, opaque.new())).decode()
            row = await session.get(InvitationRow, FIRST_INVITATION)
            if row is None:
                row = InvitationRow(
                    id=FIRST_INVITATION, uses=1, used=0, makes_admin=True, created_at=self._clock.now(), token_hash=""
                )
                session.add(row)
            row.token_hash = opaque.digest(token)
        return token

    async def invite(
        self,
        *,
        by: models.User,
        lifetime: timedelta,
        uses: int = 1,
        project_id: str | None = None,
        role: models.Role = models.Role.MEMBER,
        makes_admin: bool = False,
        email: str | None = None,
    ) -> models.Invited:
        """Make an invitation: to the lab (by an administrator), or to a shared project (by its owner), as `role`.

        One that names an e-mail makes the account of that e-mail, and is good once. Invalid by field where `uses` or `lifetime` are
        out of bounds.
        """
        email = (email or "").strip().lower() or None
        accounts.refuse(
            {
                "email": accounts.email_problem(email),
                "uses": None if 1 <= uses <= MOST_USES else f"from 1 to {MOST_USES}",
                "lifetime": None if timedelta() < lifetime <= LONGEST else f"up to {LONGEST.days} days",
            }
        )
        if project_id is None or makes_admin:
            require_admin(by)
        now, token = self._clock.now(), opaque.new()
        row = InvitationRow(
            id=ids.new_id(),
            token_hash=opaque.digest(token),
            uses=1 if email else uses,
            used=0,
            expires_at=now + lifetime,
            email=email,
            project_id=project_id,
            role=None if project_id is None else role.value,
            makes_admin=makes_admin,
            created_by=by.id,
            created_at=now,
        )
        async with self._database.session() as session:
            if project_id is not None:
                await projects.owned_shared(session, by=by, project_id=project_id)
            session.add(row)
            await session.flush()
            invitation = await _read(session, row)
        log.info("invitation made", invitation=row.id, by=by.id, project=project_id)
        return models.Invited(token=token, invitation=invitation)

    async def offer(self, *, email: str, lifetime: timedelta, by: models.User | None = None) -> models.Invited:
        """An invitation to the lab that makes one account, of that e-mail, asked by the lab itself. It is to be sent there."""
        now, token = self._clock.now(), opaque.new()
        row = InvitationRow(
            id=ids.new_id(),
            token_hash=opaque.digest(token),
            uses=1,
            used=0,
            expires_at=now + lifetime,
            makes_admin=False,
            email=email,
            created_by=by.id if by else None,
            created_at=now,
        )
        async with self._database.session() as session:
            session.add(row)
        log.info("invitation made", invitation=row.id, by=by.id if by else None)
        return models.Invited(token=token, invitation=row.read(None))

    async def look(self, *, token: str) -> models.Invitation:
        """What a link offers. NotFound where it offers nothing any more."""
        async with self._database.session() as session:
            row = await queries.live_invitation(session, opaque.digest(token), now=self._clock.now())
            return await _read(session, await _usable(session, row))

    async def join(self, *, token: str, form: accounts.Form) -> models.User:
        """Make the account that a link offers, with its personal project, and its place in the link's project.

        NotFound where the link offers nothing any more; Invalid by field; Conflict where the e-mail or the slug is taken.
        """
        offered = await self.look(token=token)  # Before any hash is computed: only who holds a link costs us one.
        form = form if offered.email is None else replace(form, email=offered.email)
        checked = accounts.checked(form, passwords=self._passwords)
        password_hash = await self._passwords.hash(checked.password)
        now = self._clock.now()
        async with accounts.unique_email(), self._database.session() as session:
            used = await queries.use_invitation(session, opaque.digest(token), now=now)
            row = await _usable(session, used)
            user = await accounts.create(
                session, checked, password_hash=password_hash, is_admin=row.makes_admin, now=now
            )
            if row.email is not None and row.created_by is None:
                # The lab itself made this link and sent it there, and nobody else saw it: they hold the mailbox.
                (await session.get_one(UserRow, user.id)).email_verified_at = now
            await self._enter(session, row, user.id)
        await asyncio.to_thread(self._file.unlink, missing_ok=True)
        log.info("account created", user=user.id, invitation=row.id)
        return user

    async def accept(self, *, token: str, user: models.User) -> models.Project:
        """Bring somebody who has an account into the link's project. A better role that they have is kept, and no use is taken.

        NotFound where the link offers nothing any more, or no project.
        """
        now = self._clock.now()
        async with self._database.session() as session:
            row = await _usable(session, await queries.live_invitation(session, opaque.digest(token), now=now))
            if row.project_id is None or row.role is None:
                raise _spent()
            access = await queries.access(session, user.id, row.project_id)
            if access is not None and access.role.covers(models.Role(row.role)):
                return access.project
            await _usable(session, await queries.use_invitation(session, opaque.digest(token), now=now))
            await self._enter(session, row, user.id)
            return (await session.get_one(ProjectRow, row.project_id)).read()

    async def list(self, *, by: models.User, project_id: str | None = None) -> tuple[models.Invitation, ...]:
        """Invitations that can still be used: to a project that `by` owns, or, for an administrator, to the lab."""
        now = self._clock.now()
        async with self._database.session() as session:
            if project_id is None:
                require_admin(by)
            else:
                await projects.owned_shared(session, by=by, project_id=project_id)
            statement = queries.live_invitations(now).where(
                InvitationRow.project_id == project_id, InvitationRow.id != FIRST_INVITATION
            )
            return tuple([await _read(session, row) for row in (await session.scalars(statement)).all()])

    async def end(self, *, by: models.User, invitation_id: str, project_id: str | None = None) -> None:
        """Take an invitation back: of that project, where one is named.

        NotFound where there is none that `by` may know of; already ended is well.
        """
        async with self._database.session() as session:
            row = await session.get(InvitationRow, invitation_id)
            if row is not None and project_id not in (None, row.project_id):
                row = None
            if row is None or row.id == FIRST_INVITATION or not await _may_end(session, row, by):
                raise errors.NotFound("no such invitation")
            row.ended_at = row.ended_at or self._clock.now()

    async def sweep(self) -> None:
        """Write down which invitations have expired."""
        async with self._database.session() as session:
            await queries.end_expired_invitations(session, now=self._clock.now())

    async def _enter(self, session: AsyncSession, row: InvitationRow, user_id: str) -> None:
        if row.project_id is None or row.role is None:
            return
        role = models.Role(row.role)
        await projects.put_member(session, project_id=row.project_id, user_id=user_id, role=role, now=self._clock.now())


async def _usable(session: AsyncSession, row: InvitationRow | None) -> InvitationRow:
    """The invitation, or NotFound: also for a first link where somebody has an account, and for an archived project."""
    if row is None or (row.id == FIRST_INVITATION and await queries.has_people(session)):
        raise _spent()
    if row.project_id is not None and (await session.get_one(ProjectRow, row.project_id)).archived_at is not None:
        raise _spent()
    return row


async def _may_end(session: AsyncSession, row: InvitationRow, by: models.User) -> bool:
    if by.is_admin:
        return True
    access = None if row.project_id is None else await queries.access(session, by.id, row.project_id)
    return access is not None and access.role is models.Role.OWNER


async def _read(session: AsyncSession, row: InvitationRow) -> models.Invitation:
    project = None if row.project_id is None else await session.get_one(ProjectRow, row.project_id)
    return row.read(project.read() if project else None)


def _spent() -> errors.NotFound:
    return errors.NotFound("this link is not good any more", hint="ask for a new one")
