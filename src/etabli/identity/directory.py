"""The people and the projects of the lab as its administrators look for them: by a word, by state, a page at a time.

Everything here is for administrators: each use case asks, and is Forbidden to others.
"""

import unicodedata
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import models, queries
from etabli.identity.factor_store import PasskeyRow, TotpRow
from etabli.identity.outside.store import OutsideIdentityRow
from etabli.identity.people import require_admin
from etabli.identity.store import MembershipRow, ProjectRow, SessionRow, UserRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

PAGE = 50
LONGEST_WORD = 100


@dataclass(frozen=True)
class Found:
    """A person in a list."""

    user: models.User
    projects: int
    sessions: int  # Open now.
    last_seen_at: datetime | None  # By a browser; None for who never signed in.


@dataclass(frozen=True)
class Profile:
    """All that identity knows of one person, for administrators. Never what they prove themselves with."""

    found: Found
    accesses: tuple[models.Access, ...]  # Archived projects too.
    ways: tuple[str, ...]  # How they sign in: `password`, `passkey`, `code` (beside), `outside`.


@dataclass(frozen=True)
class FoundProject:
    """A project in a list."""

    project: models.Project
    members: int
    owners: tuple[str, ...]  # Slugs.


@dataclass(frozen=True)
class Asked:
    """What to look for."""

    word: str = ""
    state: str = ""  # People: `suspended`, `administrators`. Projects: `archived`, `shared`, `personal`.
    after: str = ""  # The id of the last one of the page before.


class Directory:
    """Everybody and everything, for administrators."""

    def __init__(self, *, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def people(self, *, by: models.User, asked: Asked, limit: int = PAGE) -> tuple[Found, ...]:
        """People by name, whose name, slug or e-mail holds the word."""
        require_admin(by)
        async with self._database.session() as session:
            start = await session.get(UserRow, asked.after) if asked.after else None
            conditions = _people_where(asked)
            if start is not None:
                later = and_(UserRow.name == start.name, UserRow.id > start.id)
                conditions.append(or_(UserRow.name > start.name, later))
            statement = self._found().where(*conditions).order_by(UserRow.name, UserRow.id).limit(limit)
            rows = (await session.execute(statement)).all()
        return tuple(Found(user.read(), projects or 0, sessions or 0, seen) for user, projects, sessions, seen in rows)

    async def count(self, *, by: models.User, asked: Asked) -> int:
        """How many people fit."""
        require_admin(by)
        async with self._database.session() as session:
            return await session.scalar(select(func.count()).select_from(UserRow).where(*_people_where(asked))) or 0

    async def person(self, *, by: models.User, slug: str) -> Profile:
        """One person. NotFound where there is none."""
        require_admin(by)
        async with self._database.session() as session:
            row = (await session.execute(self._found().where(UserRow.slug == slug))).one_or_none()
            if row is None:
                raise errors.NotFound("no such person")
            user, projects, sessions, seen = row
            statement = (
                select(ProjectRow, MembershipRow.role, MembershipRow.created_at)
                .join(MembershipRow, MembershipRow.project_id == ProjectRow.id)
                .where(MembershipRow.user_id == user.id)
                .order_by(ProjectRow.kind, ProjectRow.name, ProjectRow.id)
            )
            accesses = tuple(
                models.Access(project=project.read(), role=models.Role(role), since=since)
                for project, role, since in await session.execute(statement)
            )
            ways = await _ways(session, user)
        return Profile(Found(user.read(), projects or 0, sessions or 0, seen), accesses, ways)

    async def make_administrator(self, *, by: models.User, slug: str) -> models.User:
        """Give somebody an administrator's rights. Conflict for who is suspended."""
        require_admin(by)
        async with self._database.session() as session:
            row = await _person(session, slug)
            if row.disabled_at is not None:
                raise errors.Conflict("this person is suspended", hint="let them in again first")
            row.is_admin = True
            log.info("administrator made", user=row.id, by=by.id)
            return row.read()

    async def unmake_administrator(self, *, by: models.User, slug: str) -> models.User:
        """Take an administrator's rights back. Conflict for the last one who can sign in."""
        require_admin(by)
        async with self._database.session() as session:
            admins = await queries.count_admins(session)
            row = await _person(session, slug)
            if row.is_admin and row.disabled_at is None and admins == 1:
                raise errors.Conflict("the lab would have no administrator", hint="name another administrator first")
            row.is_admin = False
            log.info("administrator unmade", user=row.id, by=by.id)
            return row.read()

    async def projects(self, *, by: models.User, asked: Asked, limit: int = PAGE) -> tuple[FoundProject, ...]:
        """Projects by name, whose name or slug holds the word."""
        require_admin(by)
        async with self._database.session() as session:
            start = await session.get(ProjectRow, asked.after) if asked.after else None
            conditions = _projects_where(asked)
            if start is not None:
                later = and_(ProjectRow.name == start.name, ProjectRow.id > start.id)
                conditions.append(or_(ProjectRow.name > start.name, later))
            statement = select(ProjectRow).where(*conditions).order_by(ProjectRow.name, ProjectRow.id).limit(limit)
            found = [row.read() for row in await session.scalars(statement)]
            members = (
                select(MembershipRow.project_id, MembershipRow.role, UserRow.slug)
                .join(UserRow, UserRow.id == MembershipRow.user_id)
                .where(MembershipRow.project_id.in_([project.id for project in found]))
                .order_by(UserRow.slug)
            )
            inside = (await session.execute(members)).all()
        return tuple(
            FoundProject(
                project=project,
                members=sum(row.project_id == project.id for row in inside),
                owners=tuple(row.slug for row in inside if row.project_id == project.id and row.role == "owner"),
            )
            for project in found
        )

    async def project(self, *, by: models.User, slug: str) -> tuple[models.Project, tuple[models.Member, ...]]:
        """One project and who is in it. NotFound where there is none."""
        require_admin(by)
        async with self._database.session() as session:
            row = await session.scalar(select(ProjectRow).where(ProjectRow.slug == slug))
            if row is None:
                raise errors.NotFound("no such project")
            return row.read(), tuple(await queries.members(session, row.id))

    async def slugs(self, *, by: models.User, users: frozenset[str], projects: frozenset[str]) -> dict[str, str]:
        """The slugs of people and projects by their ids, for lists that hold ids."""
        require_admin(by)
        async with self._database.session() as session:
            people = await session.execute(select(UserRow.id, UserRow.slug).where(UserRow.id.in_(users)))
            found = {row.id: row.slug for row in people}
            rows = await session.execute(select(ProjectRow.id, ProjectRow.slug).where(ProjectRow.id.in_(projects)))
            return found | {row.id: row.slug for row in rows}

    async def id_of_person(self, *, slug: str) -> str | None:
        """The id of a person; None where there is none."""
        async with self._database.session() as session:
            return await session.scalar(select(UserRow.id).where(UserRow.slug == slug))

    async def id_of_project(self, *, slug: str) -> str | None:
        """The id of a project; None where there is none."""
        async with self._database.session() as session:
            return await session.scalar(select(ProjectRow.id).where(ProjectRow.slug == slug))

    def _found(self) -> Select[UserRow, int | None, int | None, datetime | None]:
        projects = (
            select(func.count())
            .select_from(MembershipRow)
            .join(ProjectRow, ProjectRow.id == MembershipRow.project_id)
            .where(MembershipRow.user_id == UserRow.id, ProjectRow.archived_at.is_(None))
            .correlate(UserRow)
            .scalar_subquery()
        )
        mine = SessionRow.user_id == UserRow.id
        still_open = and_(SessionRow.ended_at.is_(None), SessionRow.expires_at > self._clock.now())
        sessions = select(func.count()).select_from(SessionRow).where(mine, still_open).correlate(UserRow)
        seen = select(func.max(SessionRow.last_seen_at)).where(mine).correlate(UserRow)
        return select(UserRow, projects, sessions.scalar_subquery(), seen.scalar_subquery())


async def _ways(session: AsyncSession, user: UserRow) -> tuple[str, ...]:
    passkey = select(PasskeyRow.id).where(PasskeyRow.user_id == user.id, PasskeyRow.copied_at.is_(None)).limit(1)
    code = select(TotpRow.user_id).where(TotpRow.user_id == user.id, TotpRow.confirmed_at.is_not(None))
    outside = select(OutsideIdentityRow.id).where(OutsideIdentityRow.user_id == user.id).limit(1)
    found = [("password", user.password_hash is not None)]
    for way, statement in (("passkey", passkey), ("code", code), ("outside", outside)):
        found.append((way, await session.scalar(statement) is not None))
    return tuple(way for way, is_there in found if is_there)


async def _person(session: AsyncSession, slug: str) -> UserRow:
    row = await session.scalar(select(UserRow).where(UserRow.slug == slug))
    if row is None:
        raise errors.NotFound("no such person")
    return row


def _people_where(asked: Asked) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if word := asked.word.strip()[:LONGEST_WORD]:
        low = word.lower()
        conditions.append(
            or_(
                UserRow.name.icontains(word, autoescape=True),
                UserRow.slug.contains(_as_slug(low), autoescape=True),
                UserRow.email.contains(low, autoescape=True),
            )
        )
    if asked.state == "suspended":
        conditions.append(UserRow.disabled_at.is_not(None))
    if asked.state == "administrators":
        conditions.append(UserRow.is_admin.is_(True))
    return conditions


def _projects_where(asked: Asked) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if word := asked.word.strip()[:LONGEST_WORD]:
        slug = ProjectRow.slug.contains(_as_slug(word.lower()), autoescape=True)
        conditions.append(or_(ProjectRow.name.icontains(word, autoescape=True), slug))
    if asked.state == "archived":
        conditions.append(ProjectRow.archived_at.is_not(None))
    if asked.state in {"shared", "personal"}:
        conditions += [ProjectRow.kind == asked.state, ProjectRow.archived_at.is_(None)]
    return conditions


def _as_slug(word: str) -> str:
    """The word as a slug would hold it, without accents: `Élodie D` finds `elodie-dupont`."""
    plain = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode()
    return "-".join(plain.split()) or word
