"""Projects, for programs: the same use cases as the pages. People are named by their short names."""

from datetime import datetime, timedelta

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from etabli.identity import models
from etabli.identity.projects import LONGEST_DESCRIPTION, Details
from etabli.kernel import errors
from etabli.web import audited
from etabli.web.api import answers, shared
from etabli.web.classes import Classes
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shared.router("projects")
LONG = LONGEST_DESCRIPTION * 2


class DataClassAnswer(BaseModel):
    """Which data a project may hold, in the reader's language."""

    id: str
    name: str
    sentence: str
    level: str = Field(description="How loudly pages say it: `quiet`, `notice` or `warning`.")


class ProjectDetail(answers.ProjectAnswer):
    """A project, whole."""

    description: str = Field(description="Markdown.")
    data_class: DataClassAnswer
    created_at: datetime
    archived_at: datetime | None
    member_since: datetime
    bucket: str
    vault_folder: str


class ProjectRequest(BaseModel):
    """A shared project to make."""

    model_config = {"extra": "forbid"}

    name: str = Field(max_length=1000)
    slug: str | None = Field(
        default=None, max_length=100, description="Names its bucket, for good; made from the name if left out."
    )
    description: str = Field(default="", max_length=LONG, description="Markdown.")
    data_class: str = Field(default="", max_length=100, description="The lab's first if left out.")


class ProjectChange(BaseModel):
    """What to change of what a project says of itself; what is left out stays."""

    model_config = {"extra": "forbid"}

    name: str | None = Field(default=None, max_length=1000)
    description: str | None = Field(default=None, max_length=LONG)
    data_class: str | None = Field(default=None, max_length=100)


class MemberAnswer(BaseModel):
    """Who is in a project."""

    slug: str
    name: str
    role: str
    since: datetime


class RoleRequest(BaseModel):
    """What a member may do."""

    model_config = {"extra": "forbid"}

    role: models.Role


class HandOverRequest(BaseModel):
    """To whom a project goes."""

    model_config = {"extra": "forbid"}

    member: str = Field(max_length=100, description="The short name of another member.")


class LinkRequest(BaseModel):
    """A link into a project."""

    model_config = {"extra": "forbid"}

    role: models.Role = Field(default=models.Role.MEMBER)
    days: int = Field(default=7, ge=1, le=90, description="How long the link is good.")
    uses: int = Field(default=1, ge=1, le=1000, description="How many people it lets in.")


class LinkAnswer(BaseModel):
    """A link that still opens."""

    id: str
    role: str
    uses_left: int
    expires_at: datetime | None
    link: str | None = Field(default=None, description="The address, when it has just been made: shown this once.")


@router.get("/data-classes")
async def data_classes(request: Request, found: Person) -> list[DataClassAnswer]:
    """Which data a project may hold: the lab's list."""
    rooms: Rooms = request.app.state.rooms
    return [_class(rooms, found, one.id) for one in rooms.identity.projects.classes.all]


@router.get("/projects")
async def list_projects(request: Request, found: Person, archived: bool = False) -> list[answers.ProjectAnswer]:
    """The projects I am in, my own first; or those of them that are archived."""
    rooms: Rooms = request.app.state.rooms
    accesses = await rooms.identity.projects.list(user_id=found.user.id, archived=True) if archived else found.accesses
    return [answers.project(access) for access in accesses]


@router.post("/projects", status_code=201)
async def create_project(request: Request, found: Person, asked: ProjectRequest) -> ProjectDetail:
    """Make a shared project, and own it."""
    rooms: Rooms = request.app.state.rooms
    made = await rooms.identity.projects.create(
        by=found.user,
        name=asked.name,
        slug=asked.slug,
        description=asked.description,
        data_class=asked.data_class,
    )
    audited.note(request, target_kind="project", target=made.slug, project=made.slug)
    return await _detail(request, found, made.slug)


@router.get("/projects/{slug}")
async def get_project(request: Request, found: Person, slug: str) -> ProjectDetail:
    """One project."""
    return await _detail(request, found, slug)


@router.patch("/projects/{slug}")
async def describe_project(request: Request, found: Person, slug: str, asked: ProjectChange) -> ProjectDetail:
    """Change its name, its description or its data class."""
    rooms: Rooms = request.app.state.rooms
    project = (await shared.project_of(request, found, slug)).project
    details = Details(
        name=project.name if asked.name is None else asked.name,
        description=project.description if asked.description is None else asked.description,
        data_class=asked.data_class or project.data_class,
    )
    await rooms.identity.projects.describe(by=found.user, project_id=project.id, details=details)
    return await _detail(request, found, slug)


@router.post("/projects/{slug}/archive")
async def archive_project(request: Request, found: Person, slug: str) -> ProjectDetail:
    """Close it: its services stop, nothing is launched, all can be read."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    await rooms.services.grounds.archive(by=found.user, project_id=access.project.id)
    return await _detail(request, found, slug)


@router.post("/projects/{slug}/reopen")
async def reopen_project(request: Request, found: Person, slug: str) -> ProjectDetail:
    """Open it again."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    await rooms.services.grounds.reopen(by=found.user, project_id=access.project.id)
    return await _detail(request, found, slug)


@router.post("/projects/{slug}/hand-over")
async def hand_over_project(request: Request, found: Person, slug: str, asked: HandOverRequest) -> ProjectDetail:
    """Make another member its owner, and oneself a member."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    user_id = await _member(request, found, access, asked.member)
    await rooms.identity.projects.hand_over(by=found.user, project_id=access.project.id, user_id=user_id)
    audited.note(request, to=asked.member)
    return await _detail(request, found, slug)


@router.get("/projects/{slug}/members")
async def list_members(request: Request, found: Person, slug: str) -> list[MemberAnswer]:
    """Who is in it, by name."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    members = await rooms.identity.projects.members(by=found.user, project_id=access.project.id)
    return [
        MemberAnswer(slug=one.user.slug, name=one.user.name, role=one.role.value, since=one.since) for one in members
    ]


@router.put("/projects/{slug}/members/{person}", status_code=204)
async def set_member(request: Request, found: Person, slug: str, person: str, asked: RoleRequest) -> Response:
    """Take somebody who has an account into it, or change their role."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    await rooms.identity.projects.set_member(by=found.user, project_id=access.project.id, slug=person, role=asked.role)
    audited.note(request, member=person, role=asked.role.value)
    return Response(status_code=204)


@router.delete("/projects/{slug}/members/{person}", status_code=204)
async def remove_member(request: Request, found: Person, slug: str, person: str) -> Response:
    """Take a member out; or, by one's own name, leave."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    user_id = found.user.id if person == found.user.slug else await _member(request, found, access, person)
    await rooms.identity.projects.remove_member(by=found.user, project_id=access.project.id, user_id=user_id)
    audited.note(request, member=person)
    return Response(status_code=204)


@router.get("/projects/{slug}/invitations")
async def list_invitations(request: Request, found: Person, slug: str) -> list[LinkAnswer]:
    """The links into it that still open; for its owners."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    links = await rooms.identity.invitations.list(by=found.user, project_id=access.project.id)
    return [_link(one) for one in links]


@router.post("/projects/{slug}/invitations", status_code=201)
async def invite_to_project(request: Request, found: Person, slug: str, asked: LinkRequest) -> LinkAnswer:
    """Make a link that brings people into it."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    invited = await rooms.identity.invitations.invite(
        by=found.user,
        lifetime=timedelta(days=asked.days),
        uses=asked.uses,
        project_id=access.project.id,
        role=asked.role,
    )
    audited.note(request, invitation=invited.invitation.id, role=asked.role.value)
    return _link(invited.invitation, link=f"{rooms.lab.origin}/welcome?token={invited.token}")


@router.delete("/projects/{slug}/invitations/{invitation_id}", status_code=204)
async def end_invitation(request: Request, found: Person, slug: str, invitation_id: str) -> Response:
    """Take a link back."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    await rooms.identity.invitations.end(by=found.user, invitation_id=invitation_id, project_id=access.project.id)
    return Response(status_code=204)


async def _member(request: Request, found: Visitor, access: models.Access, slug: str) -> str:
    rooms: Rooms = request.app.state.rooms
    for member in await rooms.identity.projects.members(by=found.user, project_id=access.project.id):
        if member.user.slug == slug:
            return member.user.id
    raise errors.NotFound("no such member", hint="see who is in the project")


async def _detail(request: Request, found: Visitor, slug: str) -> ProjectDetail:
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    project = access.project
    return ProjectDetail(
        **answers.project(access).model_dump(),
        description=project.description,
        data_class=_class(rooms, found, project.data_class),
        created_at=project.created_at,
        archived_at=project.archived_at,
        member_since=access.since,
        bucket=project.slug,
        vault_folder=f"kv/{project.slug}/",
    )


def _class(rooms: Rooms, found: Visitor, class_id: str) -> DataClassAnswer:
    known = rooms.identity.projects.classes
    shown = Classes(known, found.language).shown(known.named(class_id))
    return DataClassAnswer(id=shown.id, name=shown.name, sentence=shown.sentence, level=shown.level.value)


def _link(invitation: models.Invitation, *, link: str | None = None) -> LinkAnswer:
    assert invitation.role is not None  # It names a project.
    return LinkAnswer(
        id=invitation.id,
        role=invitation.role.value,
        uses_left=invitation.uses_left,
        expires_at=invitation.expires_at,
        link=link,
    )
