"""People, projects and their quotas, for programs of administrators."""

from datetime import datetime

from fastapi import Query, Request
from pydantic import BaseModel, Field

from etabli.admin import people as use_cases
from etabli.admin import projects as projects_cases
from etabli.identity import directory
from etabli.services.quotas import GIB, Limits, Quota
from etabli.web import audited
from etabli.web.api import shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person as Known

router = shared.admin_router()
Word = Query("", max_length=directory.LONGEST_WORD)
After = Query("", max_length=32, description="The `after` of the page before.")


class Someone(BaseModel):
    """A person, in a list."""

    id: str
    slug: str
    name: str
    email: str | None
    is_admin: bool
    suspended_at: datetime | None
    created_at: datetime
    last_seen_at: datetime | None
    sessions: int
    projects: int


class PeoplePage(BaseModel):
    """People, by name."""

    people: list[Someone]
    after: str | None = Field(description="What to ask for as `after` to go on; none at the end.")


class QuotaLimits(BaseModel):
    """Limits; null is the lab's default in what is given, and no limit in what holds."""

    model_config = {"extra": "forbid"}

    services: int | None = Field(default=None, ge=0, le=10_000, strict=True)
    cores: float | None = Field(default=None, ge=0, le=100_000, allow_inf_nan=False, strict=True)
    memory_gib: float | None = Field(default=None, ge=0, le=1_048_576, allow_inf_nan=False, strict=True)


class QuotaAnswer(BaseModel):
    """What a project may have, and has."""

    holds: QuotaLimits
    own: QuotaLimits
    services: int
    cores: float
    memory_gib: float


class Membership(BaseModel):
    """A project that a person is in, or a person who is in a project."""

    slug: str
    role: str


class WholePerson(Someone):
    """One person."""

    memberships: list[Membership]
    signs_in_by: list[str]
    quota: QuotaAnswer = Field(description="Of their personal project.")
    services: list[str] = Field(description="Ids of those that they launched, newest first.")


class Suspension(BaseModel):
    """Why somebody is kept out, and what becomes of the services of their personal project."""

    model_config = {"extra": "forbid"}

    reason: str = Field(max_length=1000)
    stop_services: bool = False


class SomeProject(BaseModel):
    """A project."""

    id: str
    slug: str
    name: str
    kind: str
    created_at: datetime
    archived_at: datetime | None
    owners: list[str]
    members: int
    services: int
    ready: int


class ProjectsPage(BaseModel):
    """Projects, by name."""

    projects: list[SomeProject]
    after: str | None


@router.get("/people")
async def list_people(
    request: Request, found: Known, search: str = Word, state: str = Query("", max_length=20), after: str = After
) -> PeoplePage:
    """People whose name, slug or e-mail holds a word; `state`: `suspended` or `administrators`."""
    rooms: Rooms = request.app.state.rooms
    asked = directory.Asked(word=search, state=state, after=after)
    people = await rooms.admin.people.search(by=found.user, asked=asked)
    shown = people[: directory.PAGE]
    more = len(people) > directory.PAGE
    return PeoplePage(people=[_someone(one) for one in shown], after=shown[-1].user.id if more else None)


@router.get("/people/{who}")
async def get_person(request: Request, found: Known, who: str) -> WholePerson:
    """One person, by slug."""
    rooms: Rooms = request.app.state.rooms
    return _whole(await rooms.admin.people.get(by=found.user, slug=who))


@router.post("/people/{who}/suspend")
async def suspend(request: Request, found: Known, who: str, asked: Suspension) -> WholePerson:
    """Keep somebody out: sessions and tokens end at once."""
    rooms: Rooms = request.app.state.rooms
    paused = await rooms.admin.people.suspend(
        by=found.user, slug=who, stop_services=asked.stop_services, reason=asked.reason
    )
    audited.note(request, reason=asked.reason, services=f"{paused} paused" if asked.stop_services else "kept")
    return await get_person(request, found, who)


@router.post("/people/{who}/restore")
async def restore(request: Request, found: Known, who: str) -> WholePerson:
    """Let somebody in again."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.people.restore(by=found.user, slug=who)
    return await get_person(request, found, who)


@router.delete("/people/{who}/sessions")
async def sign_out_everywhere(request: Request, found: Known, who: str) -> WholePerson:
    """End every session of somebody."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.people.end_sessions(by=found.user, slug=who)
    return await get_person(request, found, who)


@router.put("/people/{who}/administrator")
async def make_administrator(request: Request, found: Known, who: str) -> Someone:
    """Give somebody an administrator's rights."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.people.make_administrator(by=found.user, slug=who)
    return await get_person(request, found, who)


@router.delete("/people/{who}/administrator", status_code=204)
async def unmake_administrator(request: Request, found: Known, who: str) -> None:
    """Take them back; not from the last one."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.people.unmake_administrator(by=found.user, slug=who)


@router.get("/projects")
async def list_projects(
    request: Request, found: Known, search: str = Word, state: str = Query("", max_length=20), after: str = After
) -> ProjectsPage:
    """Projects whose name or slug holds a word; `state`: `shared`, `personal` or `archived`."""
    rooms: Rooms = request.app.state.rooms
    asked = directory.Asked(word=search, state=state, after=after)
    rows = await rooms.admin.projects.search(by=found.user, asked=asked)
    shown = rows[: directory.PAGE]
    projects = [_project(row) for row in shown]
    more = len(rows) > directory.PAGE
    return ProjectsPage(projects=projects, after=shown[-1].found.project.id if more else None)


@router.get("/projects/{slug}/quota")
async def get_quota(request: Request, found: Known, slug: str) -> QuotaAnswer:
    """What a project may have, and has; a person's own is that of the project of their slug."""
    rooms: Rooms = request.app.state.rooms
    return _quota((await rooms.admin.projects.get(by=found.user, slug=slug)).quota)


@router.put("/projects/{slug}/quota")
async def set_quota(request: Request, found: Known, slug: str, asked: QuotaLimits) -> QuotaAnswer:
    """Give a project its own limits; null is the lab's default."""
    rooms: Rooms = request.app.state.rooms
    memory = None if asked.memory_gib is None else int(asked.memory_gib * GIB)
    own = Limits(services=asked.services, cores=asked.cores, memory_bytes=memory)
    quota = await rooms.admin.projects.set_quota(by=found.user, slug=slug, own=own)
    given = {name: "default" if value is None else str(value) for name, value in asked.model_dump().items()}
    audited.note(request, services=given["services"], cores=given["cores"], memory_gib=given["memory_gib"])
    return _quota(quota)


def _someone(found: directory.Found) -> Someone:
    user = found.user
    return Someone(
        id=user.id,
        slug=user.slug,
        name=user.name,
        email=user.email,
        is_admin=user.is_admin,
        suspended_at=user.disabled_at,
        created_at=user.created_at,
        last_seen_at=found.last_seen_at,
        sessions=found.sessions,
        projects=found.projects,
    )


def _whole(person: use_cases.Person) -> WholePerson:
    profile = person.profile
    return WholePerson(
        **_someone(profile.found).model_dump(),
        memberships=[Membership(slug=one.project.slug, role=one.role.value) for one in profile.accesses],
        signs_in_by=list(profile.ways),
        quota=_quota(person.quota),
        services=[service.id for service in person.services],
    )


def _project(row: projects_cases.Row) -> SomeProject:
    project = row.found.project
    return SomeProject(
        id=project.id,
        slug=project.slug,
        name=project.name,
        kind=project.kind.value,
        created_at=project.created_at,
        archived_at=project.archived_at,
        owners=list(row.found.owners),
        members=row.found.members,
        services=row.load.services,
        ready=row.load.ready,
    )


def _quota(quota: Quota) -> QuotaAnswer:
    return QuotaAnswer(
        holds=_limits(quota.holds),
        own=_limits(quota.own),
        services=quota.services,
        cores=quota.cores,
        memory_gib=quota.memory_bytes / GIB,
    )


def _limits(limits: Limits) -> QuotaLimits:
    memory = None if limits.memory_bytes is None else limits.memory_bytes / GIB
    return QuotaLimits(services=limits.services, cores=limits.cores, memory_gib=memory)
