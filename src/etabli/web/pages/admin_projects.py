"""Projects, for administrators: all of them, who is in them, what they use and may use."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import directory
from etabli.kernel import errors
from etabli.web import audited, problems, shell
from etabli.web.pages.admin_quota import Typed, limits_of, typed_of
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router(shell.AdminRoute)
TEXT = 1000
STATES = ("", "shared", "personal", "archived")


@router.get("/admin/projects")
async def projects_page(
    request: Request, found: Person, search: str = "", state: str = "", after: str = ""
) -> Response:
    """Every project, by name."""
    rooms: Rooms = request.app.state.rooms
    asked = directory.Asked(word=search[:TEXT], state=state if state in STATES else "", after=after[:32])
    rows = await rooms.admin.projects.search(by=found.user, asked=asked)
    context = {
        "rows": rows[: directory.PAGE],
        "asked": asked,
        "next": rows[directory.PAGE - 1].found.project.id if len(rows) > directory.PAGE else "",
    }
    return shell.page(request, found, "admin/projects.html", context)


@router.get("/admin/projects/{slug}")
async def project_page(request: Request, found: Person, slug: str, done: str = "") -> Response:
    """One project."""
    return await _page(request, found, slug, done=done)


@router.post("/admin/projects/{slug}/quota")
async def set_quota(
    request: Request,
    found: Person,
    slug: str,
    services: Annotated[str, Form()] = "",
    cores: Annotated[str, Form()] = "",
    memory: Annotated[str, Form()] = "",
) -> Response:
    """Give the project its own quota; a fault keeps what was typed."""
    rooms: Rooms = request.app.state.rooms
    typed = Typed(services=services[:TEXT], cores=cores[:TEXT], memory=memory[:TEXT])
    try:
        await rooms.admin.projects.set_quota(by=found.user, slug=slug, own=limits_of(typed))
    except errors.Invalid as error:
        return await _page(request, found, slug, typed=typed, error=error)
    audited.note(request, services=services or "default", cores=cores or "default", memory=memory or "default")
    return shell.go(f"/admin/projects/{slug}", done="quota")


async def _page(
    request: Request,
    found: Visitor,
    slug: str,
    *,
    done: str = "",
    typed: Typed | None = None,
    error: errors.Invalid | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    whole = await rooms.admin.projects.get(by=found.user, slug=slug)
    context = {
        "whole": whole,
        "project": whole.project,
        "quota": whole.quota,
        "typed": typed or typed_of(whole.quota.own),
        "quota_faults": {} if error is None else dict(error.fields),
        "done": done,
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "admin/project.html", context, status=status)
