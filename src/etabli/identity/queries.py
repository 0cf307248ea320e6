"""The statements of identity, named for what they answer. Each runs inside the caller's unit of work.

What must happen once (a use of an invitation, of a code) is an UPDATE guarded by its own condition, whose row count says who was
first; what is counted is locked before it is read. So two portals over one PostgreSQL are as safe as one over SQLite.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, Select, bindparam, delete, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql.dml import Delete, Update

from etabli.identity import models, store
from etabli.identity.store import CodeRow, InvitationRow, MembershipRow, ProjectRow, RateLimitRow, SessionRow, UserRow
from etabli.identity.token_store import ServiceAccountRow
from etabli.kernel.database import UtcDateTime


async def count(session: AsyncSession, statement: Update | Delete) -> int:
    """Run a statement that changes rows; how many it changed."""
    result: CursorResult[Any] = await session.execute(statement)  # type: ignore[assignment] # DML answers a cursor.
    return result.rowcount


# People.

_TAKE_SLUG = text(
    "insert into used_slugs (slug, taken_at) values (:slug, :now) on conflict (slug) do nothing"
).bindparams(bindparam("now", type_=UtcDateTime))


async def person_by_login(session: AsyncSession, login: str) -> UserRow | None:
    """Who signs in as `login`: their slug or their e-mail, in lower case."""
    found = await session.scalars(select(UserRow).where(or_(UserRow.slug == login, UserRow.email == login)))
    return found.one_or_none()


async def has_people(session: AsyncSession) -> bool:
    """Whether anybody has an account."""
    return await session.scalar(select(UserRow.id).limit(1)) is not None


async def slugs_like(session: AsyncSession, base: str) -> set[str]:
    """The slugs ever used that begin with `base`."""
    return set(await session.scalars(select(store.UsedSlugRow.slug).where(store.UsedSlugRow.slug.startswith(base))))


async def take_slug(session: AsyncSession, slug: str, *, now: datetime) -> bool:
    """Take a slug for good; False where it was ever used."""
    result: CursorResult[Any] = await session.execute(_TAKE_SLUG, {"slug": slug, "now": now})  # type: ignore[assignment] # As above.
    return result.rowcount == 1


async def count_admins(session: AsyncSession) -> int:
    """Administrators who can sign in. Their rows are locked first: two cannot suspend each other at once."""
    await session.execute(update(UserRow).where(UserRow.is_admin).values(is_admin=True))
    statement = select(func.count()).where(UserRow.is_admin, UserRow.disabled_at.is_(None))
    return await session.scalar(statement) or 0


# Sessions.


async def session_by_hash(session: AsyncSession, token_hash: str) -> tuple[SessionRow, UserRow] | None:
    """A session that nobody ended, and who it is of."""
    statement = (
        select(SessionRow, UserRow)
        .join(UserRow, UserRow.id == SessionRow.user_id)
        .where(SessionRow.token_hash == token_hash, SessionRow.ended_at.is_(None), UserRow.disabled_at.is_(None))
    )
    found = (await session.execute(statement)).one_or_none()
    return None if found is None else (found[0], found[1])


async def knows_address(session: AsyncSession, user_id: str, address: str) -> bool:
    """Whether that person ever signed in from there."""
    statement = select(SessionRow.id).where(SessionRow.user_id == user_id, SessionRow.address == address).limit(1)
    return await session.scalar(statement) is not None


async def end_sessions(session: AsyncSession, user_id: str, *, now: datetime, keep: str | None = None) -> int:
    """End the sessions of a person, but `keep`; how many ended."""
    statement = update(SessionRow).where(SessionRow.user_id == user_id, SessionRow.ended_at.is_(None))
    if keep is not None:
        statement = statement.where(SessionRow.id != keep)
    return await count(session, statement.values(ended_at=now))


# Projects.


async def access(session: AsyncSession, user_id: str, project_id: str) -> models.Access | None:
    """That project as that person may use it; None where they are not in it."""
    statement = (
        select(ProjectRow, MembershipRow.role, MembershipRow.created_at)
        .join(MembershipRow, MembershipRow.project_id == ProjectRow.id)
        .where(ProjectRow.id == project_id, MembershipRow.user_id == user_id)
    )
    found = (await session.execute(statement)).one_or_none()
    if found is not None:
        return _access(*found)
    return next((one for one in await _of_service_account(session, user_id) if one.project.id == project_id), None)


async def accesses(session: AsyncSession, user_id: str, *, archived: bool = False) -> list[models.Access]:
    """The projects that a person is in: their own first, then by name; those that are archived, or those that are not."""
    closed = ProjectRow.archived_at.is_not(None) if archived else ProjectRow.archived_at.is_(None)
    statement = (
        select(ProjectRow, MembershipRow.role, MembershipRow.created_at)
        .join(MembershipRow, MembershipRow.project_id == ProjectRow.id)
        .where(MembershipRow.user_id == user_id, closed)
        .order_by(ProjectRow.kind, ProjectRow.name, ProjectRow.id)
    )
    found = [_access(*row) for row in await session.execute(statement)]
    if found or archived:
        return found
    return [one for one in await _of_service_account(session, user_id) if one.project.archived_at is None]


async def _of_service_account(session: AsyncSession, account_id: str) -> list[models.Access]:
    """The one project that a service account is in; none for who is no service account."""
    statement = (
        select(ProjectRow, ServiceAccountRow.role, ServiceAccountRow.created_at)
        .join(ServiceAccountRow, ServiceAccountRow.project_id == ProjectRow.id)
        .where(ServiceAccountRow.id == account_id, ServiceAccountRow.ended_at.is_(None))
    )
    return [_access(*row) for row in await session.execute(statement)]


async def archived_projects(session: AsyncSession) -> list[str]:
    """The ids of the projects that are closed."""
    return list(await session.scalars(select(ProjectRow.id).where(ProjectRow.archived_at.is_not(None))))


def _access(row: ProjectRow, role: str, since: datetime) -> models.Access:
    return models.Access(project=row.read(), role=models.Role(role), since=since)


async def lock_members(session: AsyncSession, project_id: str) -> dict[str, models.Role]:
    """The roles in a project by person, held until the unit of work ends: the last owner cannot leave twice."""
    await session.execute(update(ProjectRow).where(ProjectRow.id == project_id).values(kind=ProjectRow.kind))
    statement = select(MembershipRow.user_id, MembershipRow.role).where(MembershipRow.project_id == project_id)
    return {user_id: models.Role(role) for user_id, role in await session.execute(statement)}


async def members(session: AsyncSession, project_id: str) -> list[models.Member]:
    """Who is in a project, by name."""
    statement = (
        select(UserRow, MembershipRow.role, MembershipRow.created_at)
        .join(MembershipRow, MembershipRow.user_id == UserRow.id)
        .where(MembershipRow.project_id == project_id)
        .order_by(UserRow.name, UserRow.id)
    )
    found = await session.execute(statement)
    return [models.Member(user=row.read(), role=models.Role(role), since=since) for row, role, since in found]


# Invitations.


def live_invitations(now: datetime) -> Select[InvitationRow]:
    """The invitations that can still be used."""
    return select(InvitationRow).where(*_live(now)).order_by(InvitationRow.created_at, InvitationRow.id)


async def live_invitation(session: AsyncSession, token_hash: str, *, now: datetime) -> InvitationRow | None:
    """The invitation behind a token, while it can still be used."""
    statement = live_invitations(now).where(InvitationRow.token_hash == token_hash)
    return (await session.scalars(statement)).one_or_none()


async def use_invitation(session: AsyncSession, token_hash: str, *, now: datetime) -> InvitationRow | None:
    """Take one use of an invitation; None where there is none left, or it ended."""
    this = InvitationRow.token_hash == token_hash
    if not await count(session, update(InvitationRow).where(this, *_live(now)).values(used=InvitationRow.used + 1)):
        return None
    return (await session.scalars(select(InvitationRow).where(this))).one()


async def end_expired_invitations(session: AsyncSession, *, now: datetime) -> int:
    """Write down which invitations have expired: the clock going back does not open them again."""
    expired = (InvitationRow.ended_at.is_(None), InvitationRow.expires_at <= now)
    return await count(session, update(InvitationRow).where(*expired).values(ended_at=now))


def _live(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (
        InvitationRow.ended_at.is_(None),
        InvitationRow.used < InvitationRow.uses,
        or_(InvitationRow.expires_at.is_(None), InvitationRow.expires_at > now),
    )


# Authorization codes.


async def use_code(session: AsyncSession, code_hash: str, *, client_id: str, now: datetime) -> CodeRow | None:
    """Spend a code of that client. None where there is none, or where it was spent before: then what it bought is revoked."""
    mine = (CodeRow.code_hash == code_hash, CodeRow.client_id == client_id)
    if await count(session, update(CodeRow).where(*mine, CodeRow.used_at.is_(None)).values(used_at=now)):
        return (await session.scalars(select(CodeRow).where(*mine))).one()
    await session.execute(update(CodeRow).where(*mine, CodeRow.revoked_at.is_(None)).values(revoked_at=now))
    return None


async def drop_codes(session: AsyncSession, *, before: datetime) -> int:
    """Forget the codes that expired before then."""
    return await count(session, delete(CodeRow).where(CodeRow.expires_at < before))


# Limits.

_MAKE_LEVEL = text(
    "insert into rate_limits (key, level, updated_at) values (:key, 0, :now) on conflict (key) do nothing"
).bindparams(bindparam("now", type_=UtcDateTime))


async def lock_level(session: AsyncSession, key: str, *, now: datetime) -> tuple[float, datetime]:
    """How full a bucket was, and when; held until the unit of work ends."""
    # The insert takes SQLite's one write lock, even when it inserts nothing; FOR UPDATE takes PostgreSQL's on the row.
    await session.execute(_MAKE_LEVEL, {"key": key, "now": now})
    statement = select(RateLimitRow.level, RateLimitRow.updated_at).where(RateLimitRow.key == key).with_for_update()
    level, since = (await session.execute(statement)).one()
    return level, since


async def set_level(session: AsyncSession, key: str, *, level: float, now: datetime) -> None:
    """How full a bucket is now."""
    await session.execute(update(RateLimitRow).where(RateLimitRow.key == key).values(level=level, updated_at=now))


async def drop_levels(session: AsyncSession, *, before: datetime) -> int:
    """Forget the buckets that nobody touched since then."""
    return await count(session, delete(RateLimitRow).where(RateLimitRow.updated_at < before))
