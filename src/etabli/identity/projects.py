"""Projects: each person's own, and those that people share. Who may do what is asked here, and nowhere else.

A project that one is not in answers as one that does not exist. An administrator of the lab is in no project by that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, departures, models, queries
from etabli.identity.data_classes import DataClasses
from etabli.identity.store import MembershipRow, ProjectRow, UserRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

LONGEST_DESCRIPTION = 10_000  # Characters: some pages of Markdown; more belongs in a repository.


@dataclass(frozen=True)
class Details:
    """What owners say of a project, and may change."""

    name: str
    description: str = ""  # Markdown.
    data_class: str = ""  # Empty: the lab's first.


class Projects:
    """The projects of the lab, and who is in them."""

    def __init__(self, *, database: Database, clock: Clock, classes: DataClasses) -> None:
        self._database = database
        self._clock = clock
        self.classes = classes

    async def require(
        self, *, user_id: str, project_id: str, at_least: models.Role = models.Role.VIEWER
    ) -> models.Access:
        """The project, as that person may use it.

        NotFound where they are not in it, or there is none; Forbidden where their role is less than `at_least`, or where it is
        archived and they would change it.
        """
        async with self._database.session() as session:
            return await require(session, user_id=user_id, project_id=project_id, at_least=at_least)

    async def require_slug(
        self, *, user_id: str, slug: str, at_least: models.Role = models.Role.VIEWER
    ) -> models.Access:
        """The same, by the project's slug."""
        async with self._database.session() as session:
            found = await session.scalar(select(ProjectRow.id).where(ProjectRow.slug == slug))
            return await require(session, user_id=user_id, project_id=found or "", at_least=at_least)

    async def get(self, *, project_id: str) -> models.Project:
        """A project by id, asked by the lab itself, for no one. NotFound where there is none."""
        async with self._database.session() as session:
            row = await session.get(ProjectRow, project_id)
            if row is None:
                raise _not_found()
            return row.read()

    async def list(self, *, user_id: str, archived: bool = False) -> tuple[models.Access, ...]:
        """The projects that a person is in, their own first: those that are archived, or those that are not."""
        async with self._database.session() as session:
            return tuple(await queries.accesses(session, user_id, archived=archived))

    async def archived(self) -> frozenset[str]:
        """The ids of every archived project, for the lab itself."""
        async with self._database.session() as session:
            return frozenset(await queries.archived_projects(session))

    async def personal(self, *, user_id: str) -> models.Project:
        """A person's own project."""
        statement = (
            select(ProjectRow)
            .join(MembershipRow, MembershipRow.project_id == ProjectRow.id)
            .where(MembershipRow.user_id == user_id, ProjectRow.kind == models.ProjectKind.PERSONAL.value)
        )
        async with self._database.session() as session:
            row = (await session.scalars(statement)).one_or_none()
            if row is None:
                raise _not_found()
            return row.read()

    async def create(
        self, *, by: models.User, name: str, slug: str | None = None, description: str = "", data_class: str = ""
    ) -> models.Project:
        """Make a shared project that `by` owns. Invalid by field; Conflict where `slug` was ever used.

        An empty `slug` is made from the name. `description` is Markdown; an empty `data_class` is the lab's first.
        """
        said = self._checked(Details(name=name, description=description, data_class=data_class))
        name = said.name
        async with self._database.session() as session:
            now = self._clock.now()
            taken = await accounts.take_slug(session, slug or None, name=name, fallback="project", now=now)
            project = await accounts.create_project(
                session,
                slug=taken,
                name=name,
                kind=models.ProjectKind.SHARED,
                owner=by.id,
                now=now,
                description=said.description,
                data_class=said.data_class or self.classes.default.id,
            )
        log.info("project created", project=project.id, by=by.id)
        return project

    async def describe(self, *, by: models.User, project_id: str, details: Details) -> models.Project:
        """Change what a project that `by` owns says of itself; its slug stays. Invalid by field."""
        said = self._checked(details)
        async with self._database.session() as session:
            row = await _owned(session, by=by, project_id=project_id)
            row.name, row.description = said.name, said.description
            row.data_class = said.data_class or row.data_class
            return row.read()

    async def archive(self, *, by: models.User, project_id: str) -> models.Project:
        """Close a shared project that `by` owns: it can be read, no more worked in. Its services' tokens buy nothing meanwhile."""
        async with self._database.session() as session:
            row = await owned_shared(session, by=by, project_id=project_id)
            now = self._clock.now()
            row.archived_at = now
            await departures.note_all(session, project_id=project_id, after=models.Role.VIEWER, now=now)
            closed = row.read()
        log.info("project archived", project=project_id, by=by.id)
        return closed

    async def reopen(self, *, by: models.User, project_id: str) -> models.Project:
        """Work in an archived project again; of one that is not archived, nothing changes. For its owners."""
        async with self._database.session() as session:
            access = await queries.access(session, by.id, project_id)
            if access is None:
                raise _not_found()
            if not access.is_owner:
                raise _forbidden(models.Role.OWNER)
            row = await session.get_one(ProjectRow, project_id)
            row.archived_at = None
            await departures.note_all(session, project_id=project_id, after=None, now=self._clock.now())
            opened = row.read()
        log.info("project reopened", project=project_id, by=by.id)
        return opened

    async def members(self, *, by: models.User, project_id: str) -> tuple[models.Member, ...]:
        """Who is in a project that `by` is in, by name."""
        async with self._database.session() as session:
            await require(session, user_id=by.id, project_id=project_id, at_least=models.Role.VIEWER)
            return tuple(await queries.members(session, project_id))

    async def set_member(self, *, by: models.User, project_id: str, slug: str, role: models.Role) -> None:
        """Take the person `slug` into a shared project that `by` owns, or change their role.

        NotFound where there is no such person; Conflict where the project would be left without an owner.
        """
        async with self._database.session() as session:
            await owned_shared(session, by=by, project_id=project_id)
            user_id = await session.scalar(select(UserRow.id).where(UserRow.slug == slug))
            if user_id is None:
                raise errors.NotFound(
                    f"no person is called `{slug[:40]}`", hint="ask them the name they sign in with, or send a link"
                )
            await put_member(session, project_id=project_id, user_id=user_id, role=role, now=self._clock.now())
        log.info("member set", project=project_id, user=user_id, role=role, by=by.id)

    async def set_role(self, *, by: models.User, project_id: str, user_id: str, role: models.Role) -> None:
        """Change the role of a member of a shared project that `by` owns.

        NotFound where they are no member; Conflict where the project would be left without an owner.
        """
        async with self._database.session() as session:
            await owned_shared(session, by=by, project_id=project_id)
            await _change_role(session, project_id=project_id, user_id=user_id, role=role, now=self._clock.now())
        log.info("member set", project=project_id, user=user_id, role=role, by=by.id)

    async def hand_over(self, *, by: models.User, project_id: str, user_id: str) -> None:
        """Make another member an owner, and `by`, who is one, a member: at once, so that the project never lacks one.

        NotFound where that person is no member; Conflict where they are `by`.
        """
        async with self._database.session() as session:
            await owned_shared(session, by=by, project_id=project_id)
            if user_id == by.id:
                raise errors.Conflict("it is yours already", hint="choose another member", field="user")
            now = self._clock.now()
            await _change_role(session, project_id=project_id, user_id=user_id, role=models.Role.OWNER, now=now)
            await _change_role(session, project_id=project_id, user_id=by.id, role=models.Role.MEMBER, now=now)
        log.info("project handed over", project=project_id, user=user_id, by=by.id)

    async def remove_member(self, *, by: models.User, project_id: str, user_id: str) -> None:
        """Take somebody out of a shared project: an owner does it to anyone, anyone to themselves.

        Conflict where the project would be left without an owner. Not being in it is well.
        """
        async with self._database.session() as session:
            needed = models.Role.VIEWER if user_id == by.id else models.Role.OWNER
            access = await queries.access(session, by.id, project_id)
            if access is None:
                raise _not_found()
            if not access.role.covers(needed):
                raise _forbidden(needed)
            roles = await queries.lock_members(session, project_id)
            if user_id in roles:
                _keep_an_owner({**roles, user_id: None})
                await session.delete(await session.get_one(MembershipRow, (user_id, project_id)))
                await departures.note(
                    session,
                    project_id=project_id,
                    user_id=user_id,
                    before=roles[user_id],
                    after=None,
                    now=self._clock.now(),
                )
        log.info("member removed", project=project_id, user=user_id, by=by.id)

    def _checked(self, details: Details) -> Details:
        name, description = accounts.tidy(details.name), details.description.replace("\r\n", "\n").strip()
        accounts.refuse(
            {
                "name": accounts.name_problem(name),
                "description": None
                if len(description) <= LONGEST_DESCRIPTION
                else f"at most {LONGEST_DESCRIPTION} characters",
                "data_class": self.classes.problem(details.data_class),
            }
        )
        return Details(name=name, description=description, data_class=details.data_class)


async def put_member(session: AsyncSession, *, project_id: str, user_id: str, role: models.Role, now: datetime) -> None:
    """Give somebody a role in a project, whoever asks. Conflict where the project would be left without an owner."""
    roles = await queries.lock_members(session, project_id)
    _keep_an_owner({**roles, user_id: role})
    await departures.note(
        session, project_id=project_id, user_id=user_id, before=roles.get(user_id), after=role, now=now
    )
    if user_id in roles:
        (await session.get_one(MembershipRow, (user_id, project_id))).role = role.value
        return
    session.add(MembershipRow(user_id=user_id, project_id=project_id, role=role.value, created_at=now))


async def _change_role(
    session: AsyncSession, *, project_id: str, user_id: str, role: models.Role, now: datetime
) -> None:
    if user_id not in await queries.lock_members(session, project_id):
        raise errors.NotFound("no such member", hint="see who is in the project")
    await put_member(session, project_id=project_id, user_id=user_id, role=role, now=now)
    await session.flush()


async def owned_shared(session: AsyncSession, *, by: models.User, project_id: str) -> ProjectRow:
    """A shared project that `by` owns; NotFound or Forbidden else."""
    row = await _owned(session, by=by, project_id=project_id)
    if row.kind == models.ProjectKind.PERSONAL.value:
        raise errors.Forbidden("a personal project is its person's alone", hint="create a project to share")
    return row


async def require(session: AsyncSession, *, user_id: str, project_id: str, at_least: models.Role) -> models.Access:
    """`Projects.require`, inside a unit of work."""
    access = await queries.access(session, user_id, project_id)
    if access is None:
        raise _not_found()
    if not access.role.covers(at_least):
        raise _forbidden(at_least)
    if access.project.archived_at is not None and at_least is not models.Role.VIEWER:
        raise errors.Forbidden("this project is archived", hint="one of its owners can open it again")
    return access


async def _owned(session: AsyncSession, *, by: models.User, project_id: str) -> ProjectRow:
    await require(session, user_id=by.id, project_id=project_id, at_least=models.Role.OWNER)
    return await session.get_one(ProjectRow, project_id)


def _keep_an_owner(roles: Mapping[str, models.Role | None]) -> None:
    if models.Role.OWNER not in roles.values():
        raise errors.Conflict(
            "the project would have no owner", hint="hand it over to another member first, or archive it"
        )


def _not_found() -> errors.NotFound:
    return errors.NotFound("no such project", hint="choose one of your projects")


def _forbidden(needed: models.Role) -> errors.Forbidden:
    article = "an" if needed is models.Role.OWNER else "a"
    return errors.Forbidden(f"this takes {article} {needed} of the project", hint="ask an owner of the project")
