"""Projects: those that one is in, one of them with who and what is there, and what its owners may change of it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import models
from etabli.identity.projects import LONGEST_DESCRIPTION, Details
from etabli.kernel import errors
from etabli.web import audited, problems, shell, visitors
from etabli.web.pages import services
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Person, Visitor

router = shell.router()
Text = Annotated[str, Form()]
LONG = LONGEST_DESCRIPTION * 2  # Characters of a description that are read before it is refused.
DAYS = (1, 7, 30, 90)  # How long a link may be good.


@dataclass(frozen=True)
class Given:
    """What the form of an invitation asks for."""

    role: str = models.Role.MEMBER
    days: int = 7
    uses: str = "1"


@router.get("/projects")
async def list_page(request: Request, found: Person, done: str = "") -> Response:
    """My projects, those that are archived apart."""
    rooms: Rooms = request.app.state.rooms
    closed = await rooms.identity.projects.list(user_id=found.user.id, archived=True)
    return shell.page(request, found, "projects.html", {"closed": closed, "done": done})


@router.get("/projects/new")
async def create_page(request: Request, found: Person) -> Response:
    """What a new project needs."""
    return _form(request, found, "project_new.html", given=Details(name=""), slug="", error=None)


@router.post("/projects")
async def create_project(
    request: Request, found: Person, name: Text = "", slug: Text = "", description: Text = "", data_class: Text = ""
) -> Response:
    """Make a project, and go on in it; a fault keeps what was typed."""
    rooms: Rooms = request.app.state.rooms
    given = Details(name=name[:TEXT], description=description[:LONG], data_class=data_class[:TEXT])
    try:
        made = await rooms.identity.projects.create(
            by=found.user,
            name=given.name,
            slug=slug[:TEXT].strip(),
            description=given.description,
            data_class=given.data_class,
        )
    except (errors.Invalid, errors.Conflict) as error:
        return _form(request, found, "project_new.html", given=given, slug=slug[:TEXT], error=error)
    audited.note(request, target_kind="project", target=made.slug, project=made.slug)
    return entering(made, done="created")


@router.get("/projects/{slug}")
async def one_page(request: Request, found: Person, slug: str, done: str = "") -> Response:
    """One project: what it is for, what runs there, who is in it."""
    return await _page(request, found, await _access(request, found, slug), done=done)


@router.get("/projects/{slug}/settings")
async def settings_page(request: Request, found: Person, slug: str, done: str = "") -> Response:
    """What its owners may change."""
    access = await _owned(request, found, slug)
    project = access.project
    given = Details(name=project.name, description=project.description, data_class=project.data_class)
    return await _settings(request, found, access, given=given, error=None, done=done)


@router.post("/projects/{slug}/settings")
async def describe_project(
    request: Request, found: Person, slug: str, name: Text = "", description: Text = "", data_class: Text = ""
) -> Response:
    """Change its name, what it says of itself and its data class."""
    rooms: Rooms = request.app.state.rooms
    access = await _owned(request, found, slug)
    given = Details(name=name[:TEXT], description=description[:LONG], data_class=data_class[:TEXT])
    try:
        await rooms.identity.projects.describe(by=found.user, project_id=access.project.id, details=given)
    except errors.Invalid as error:
        return await _settings(request, found, access, given=given, error=error)
    return shell.go(f"/projects/{slug}", done="described")


@router.post("/projects/{slug}/archive")
async def archive_project(request: Request, found: Person, slug: str) -> Response:
    """Close it: its services stop, nothing is launched, all can be read."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    await rooms.services.grounds.archive(by=found.user, project_id=access.project.id)
    return shell.go(f"/projects/{slug}", done="archived")


@router.post("/projects/{slug}/reopen")
async def reopen_project(request: Request, found: Person, slug: str) -> Response:
    """Open it again."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    await rooms.services.grounds.reopen(by=found.user, project_id=access.project.id)
    return shell.go(f"/projects/{slug}", done="reopened")


@router.post("/projects/{slug}/hand-over")
async def hand_over_project(request: Request, found: Person, slug: str, user: Text = "") -> Response:
    """Make another member its owner, and oneself a member."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    await rooms.identity.projects.hand_over(by=found.user, project_id=access.project.id, user_id=user)
    audited.note(request, to=user)
    return shell.go(f"/projects/{slug}", done="handed-over")


@router.post("/projects/{slug}/leave")
async def leave_project(request: Request, found: Person, slug: str) -> Response:
    """Go out of it. The last owner cannot, and is told what to do first."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    try:
        await rooms.identity.projects.remove_member(by=found.user, project_id=access.project.id, user_id=found.user.id)
    except errors.Conflict as error:
        return await _page(request, found, access, error=error)
    return shell.go("/projects", done="left")


@router.post("/projects/{slug}/members/{user_id}/role")
async def change_role(request: Request, found: Person, slug: str, user_id: str, role: Text = "") -> Response:
    """Give a member another role."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    try:
        await rooms.identity.projects.set_role(
            by=found.user, project_id=access.project.id, user_id=user_id, role=_role(role)
        )
    except errors.Conflict as error:
        return await _page(request, found, access, error=error)
    audited.note(request, member=user_id, role=role)
    return shell.go(f"/projects/{slug}", done="role")


@router.post("/projects/{slug}/members/{user_id}/remove")
async def remove_member(request: Request, found: Person, slug: str, user_id: str) -> Response:
    """Take a member out; for them it is at once as if there were no such project."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    try:
        await rooms.identity.projects.remove_member(by=found.user, project_id=access.project.id, user_id=user_id)
    except errors.Conflict as error:
        return await _page(request, found, access, error=error)
    audited.note(request, member=user_id)
    return shell.go(f"/projects/{slug}", done="removed")


@router.post("/projects/{slug}/invitations")
async def invite_to_project(
    request: Request, found: Person, slug: str, role: Text = "", days: Text = "7", uses: Text = "1"
) -> Response:
    """Make a link that brings people into the project, and show it, this once."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    given = Given(role=role, days=int(days) if days.isdecimal() and int(days) in DAYS else 7, uses=uses[:TEXT])
    try:
        invited = await rooms.identity.invitations.invite(
            by=found.user,
            lifetime=timedelta(days=given.days),
            uses=int(uses) if uses.isdecimal() and len(uses) < 6 else 0,
            project_id=access.project.id,
            role=_role(role),
        )
    except errors.Invalid as error:
        return await _page(request, found, access, error=error, given=given)
    audited.note(request, invitation=invited.invitation.id, role=role)
    return await _page(request, found, access, link=f"{rooms.lab.origin}/welcome?token={invited.token}", given=given)


@router.post("/projects/{slug}/invitations/{invitation_id}/end")
async def end_invitation(request: Request, found: Person, slug: str, invitation_id: str) -> Response:
    """Take a link back."""
    rooms: Rooms = request.app.state.rooms
    access = await _access(request, found, slug)
    await rooms.identity.invitations.end(by=found.user, invitation_id=invitation_id, project_id=access.project.id)
    return shell.go(f"/projects/{slug}", done="link-ended")


def entering(project: models.Project, *, done: str) -> Response:
    """On to a project's page, the project chosen."""
    response = shell.go(f"/projects/{project.slug}", done=done)
    visitors.set_cookie(response, visitors.PROJECT_COOKIE, project.slug)
    return response


async def _access(request: Request, found: Visitor, slug: str) -> models.Access:
    rooms: Rooms = request.app.state.rooms
    return await rooms.identity.projects.require_slug(user_id=found.user.id, slug=slug)


async def _owned(request: Request, found: Visitor, slug: str) -> models.Access:
    rooms: Rooms = request.app.state.rooms
    return await rooms.identity.projects.require_slug(user_id=found.user.id, slug=slug, at_least=models.Role.OWNER)


def _role(text: str) -> models.Role:
    try:
        return models.Role(text)
    except ValueError as error:
        raise errors.Invalid(
            "there is no such role", hint="choose viewer, member or owner", fields={"role": "viewer, member or owner"}
        ) from error


def _form(
    request: Request,
    found: Visitor,
    template: str,
    *,
    given: Details,
    slug: str,
    error: errors.EtabliError | None,
) -> Response:
    return shell.page(
        request,
        found,
        template,
        {"given": given, "slug": slug, "error": error, "faults": faults_of(error)},
        status=200 if error is None else problems.status_of(error),
    )


async def _settings(
    request: Request,
    found: Visitor,
    access: models.Access,
    *,
    given: Details,
    error: errors.EtabliError | None,
    done: str = "",
) -> Response:
    rooms: Rooms = request.app.state.rooms
    members = await rooms.identity.projects.members(by=found.user, project_id=access.project.id)
    return shell.page(
        request,
        found,
        "project_settings.html",
        {
            "access": access,
            "project": access.project,
            "others": [member for member in members if member.user.id != found.user.id],
            "given": given,
            "error": error,
            "faults": faults_of(error),
            "done": done,
        },
        status=200 if error is None else problems.status_of(error),
    )


async def _page(
    request: Request,
    found: Visitor,
    access: models.Access,
    *,
    done: str = "",
    link: str = "",
    given: Given = Given(),
    error: errors.EtabliError | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    project, identity = access.project, rooms.identity
    manages = access.is_owner and project.is_shared and project.archived_at is None
    invitations = await identity.invitations.list(by=found.user, project_id=project.id) if manages else ()
    running = await rooms.services.list(user_id=found.user.id, project_id=project.id)
    return shell.page(
        request,
        found,
        "project.html",
        {
            "access": access,
            "project": project,
            "members": await identity.projects.members(by=found.user, project_id=project.id),
            "manages": manages,
            "invitations": invitations,
            "rows": [services.row(rooms, service) for service in running],
            "done": done,
            "link": link,
            "given": given,
            "days": DAYS,
            "error": error,
            "faults": faults_of(error),
        },
        status=200 if error is None else problems.status_of(error),
    )
