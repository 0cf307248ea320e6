"""Services of the whole lab, for administrators: seen with what they use, paused or given time, with a reason."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.admin import services as use_cases
from etabli.kernel import errors
from etabli.services import models
from etabli.web import audited, problems, shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router(shell.AdminRoute)
TEXT = 1000
WORD = 100
STATES = frozenset(state.value for state in models.State)
DAYS = "7"


@router.get("/admin/services")
async def services_page(request: Request, found: Person) -> Response:
    """Every service, newest first."""
    rooms: Rooms = request.app.state.rooms
    given = request.query_params
    asked = {name: given.get(name, "")[:WORD].strip() for name in ("search", "project", "owner", "state")}
    if asked["state"] not in STATES:
        asked["state"] = ""
    rows = await rooms.admin.services.search(
        by=found.user,
        word=asked["search"],
        state=asked["state"],
        project=asked["project"],
        owner=asked["owner"],
        after=given.get("after", "")[:32],
    )
    context = {
        "rows": rows[: use_cases.PAGE],
        "asked": asked,
        "counts": await rooms.admin.services.states(by=found.user),
        "states": tuple(models.State),
        "free": await rooms.services.free(),
        "next": rows[use_cases.PAGE - 1].seen.service.id if len(rows) > use_cases.PAGE else "",
    }
    return shell.page(request, found, "admin/services.html", context)


@router.get("/admin/services/{service_id}")
async def service_page(request: Request, found: Person, service_id: str, done: str = "") -> Response:
    """One service."""
    return await _page(request, found, service_id, done=done)


@router.post("/admin/services/{service_id}/stop")
async def stop(request: Request, found: Person, service_id: str, reason: Annotated[str, Form()] = "") -> Response:
    """Pause it; its people read why."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.admin.services.stop(by=found.user, service_id=service_id, reason=reason[:TEXT])
    except errors.Invalid as error:
        return await _page(request, found, service_id, error=error, typed={"reason": reason[:TEXT]})
    audited.note(request, reason=reason)
    return shell.go(f"/admin/services/{service_id}", done="stopped")


@router.post("/admin/services/{service_id}/extend")
async def extend(
    request: Request,
    found: Person,
    service_id: str,
    days: Annotated[str, Form()] = "",
    reason: Annotated[str, Form()] = "",
) -> Response:
    """Move its end; its people read why."""
    rooms: Rooms = request.app.state.rooms
    number = int(days) if days.isdecimal() and len(days) < 6 else 0
    try:
        await rooms.admin.services.extend(by=found.user, service_id=service_id, days=number, reason=reason[:TEXT])
    except errors.Invalid as error:
        typed = {"extend_reason": reason[:TEXT], "days": days[:TEXT]}
        faults = {"extend_reason" if name == "reason" else name: text for name, text in error.fields.items()}
        return await _page(request, found, service_id, error=error, typed=typed, faults=faults)
    audited.note(request, reason=reason, days=str(number))
    return shell.go(f"/admin/services/{service_id}", done="extended")


async def _page(
    request: Request,
    found: Visitor,
    service_id: str,
    *,
    done: str = "",
    error: errors.Invalid | None = None,
    typed: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    row = await rooms.admin.services.get(by=found.user, service_id=service_id)
    if faults is None:
        faults = {} if error is None else dict(error.fields)
    context = {
        "row": row,
        "service": row.seen.service,
        "use": row.seen.use,
        "done": done,
        "typed": {"reason": "", "extend_reason": "", "days": DAYS, **(typed or {})},
        "faults": faults,
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "admin/service.html", context, status=status)
