"""My services, and one service: what runs, where it is, and what can be done with it.

Everything is shown from what is stored; what changes comes by `live`. Logs are the one thing read from the engine, and a page never
waits on them: they come by a stream of their own, or as a text of their own.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import RedirectResponse, Response, StreamingResponse

from etabli.engines import contract
from etabli.kernel import errors
from etabli.services import errors as service_errors
from etabli.services import models
from etabli.web import live, shell, visitors
from etabli.web.hub import Hub
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router()

State = models.State
STEPS = (State.WAITING, State.BUILDING, State.STARTING, State.READY)  # Of a start, in order.
TEXT = 1000


@dataclass(frozen=True)
class Row:
    """One service as a list shows it."""

    service: models.Service
    use: models.Use | None  # None where it was not seen yet.


@router.get("/services")
async def list_page(request: Request, found: Person, done: str = "") -> Response:
    """My services."""
    return shell.page(request, found, "services.html", {"rows": await rows(request, found), "done": done})


@router.get("/services/{service_id}")
async def one_page(request: Request, found: Person, service_id: str, done: str = "") -> Response:
    """One service."""
    context = await details(request, found, service_id)
    return shell.page(request, found, "service.html", {"done": done, **context})


@router.get("/services/{service_id}/open")
async def open_service(request: Request, found: Person, service_id: str, to: str = "/") -> Response:
    """To the service itself, signed in to its origin on the way; to its page where it does not answer yet."""
    rooms: Rooms = request.app.state.rooms
    try:
        address = await rooms.services.address(
            user_id=found.user.id, session_id=found.session_id, service_id=service_id, to=visitors.local_path(to)
        )
    except service_errors.NotOpenable:
        return shell.go(f"/services/{service_id}")
    return RedirectResponse(address, status_code=303)


@router.post("/services/{service_id}/stop")
async def stop(request: Request, found: Person, service_id: str) -> Response:
    """Pause it."""
    rooms: Rooms = request.app.state.rooms
    await rooms.services.stop(user_id=found.user.id, service_id=service_id)
    return shell.go(f"/services/{service_id}")


@router.post("/services/{service_id}/resume")
async def resume(request: Request, found: Person, service_id: str) -> Response:
    """Start it again."""
    rooms: Rooms = request.app.state.rooms
    await rooms.services.resume(user_id=found.user.id, service_id=service_id)
    return shell.go(f"/services/{service_id}")


@router.post("/services/{service_id}/extend")
async def extend(
    request: Request, found: Person, service_id: str, onward: Annotated[str, Form(alias="next")] = ""
) -> Response:
    """Move its end by the lab's default, and go back to where it was asked."""
    rooms: Rooms = request.app.state.rooms
    await rooms.services.extend(user_id=found.user.id, service_id=service_id)
    return shell.go(visitors.local_path(onward, f"/services/{service_id}"), done="extended")


@router.post("/services/{service_id}/rename")
async def rename(request: Request, found: Person, service_id: str, name: Annotated[str, Form()] = "") -> Response:
    """Call it otherwise; a fault keeps what was typed."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.services.rename(user_id=found.user.id, service_id=service_id, name=name[:TEXT])
    except errors.Invalid as error:
        context = await details(request, found, service_id)
        wrong = error.fields.get("name", error.message)
        context |= {"done": "", "name": name[:TEXT], "name_wrong": wrong}
        return shell.page(request, found, "service.html", context, status=422)
    return shell.go(f"/services/{service_id}", done="renamed")


@router.get("/services/{service_id}/delete")
async def delete_page(request: Request, found: Person, service_id: str) -> Response:
    """What goes and what stays, before anything goes."""
    rooms: Rooms = request.app.state.rooms
    service = await rooms.services.get(user_id=found.user.id, service_id=service_id)
    return shell.page(request, found, "service_delete.html", {"service": service})


@router.post("/services/{service_id}/delete")
async def delete(request: Request, found: Person, service_id: str) -> Response:
    """Delete it."""
    rooms: Rooms = request.app.state.rooms
    await rooms.services.delete(user_id=found.user.id, service_id=service_id)
    return shell.go("/services", done="deleted")


@router.get("/services/{service_id}/logs")
async def logs(request: Request, found: Person, service_id: str) -> Response:
    """Everything it wrote, as text."""
    rooms: Rooms = request.app.state.rooms
    await rooms.services.get(user_id=found.user.id, service_id=service_id)
    lines = rooms.services.logs(user_id=found.user.id, service_id=service_id)
    return StreamingResponse(_as_text(lines), media_type="text/plain; charset=utf-8")


@router.get("/services/{service_id}/logs/stream")
async def follow_logs(request: Request, found: Person, service_id: str) -> Response:
    """What it writes, as it writes."""
    rooms: Rooms = request.app.state.rooms
    service = await rooms.services.get(user_id=found.user.id, service_id=service_id)
    hub: Hub = request.app.state.hub
    messages = live.logs(rooms.services.logs(user_id=found.user.id, service_id=service_id, follow=True))
    return live.response(hub.guarded(messages, session_id=found.session_id, project=service.project_id))


async def rows(request: Request, found: Visitor) -> list[Row]:
    """The project's services, newest first, with what they use."""
    rooms: Rooms = request.app.state.rooms
    services = await rooms.services.list(user_id=found.user.id, project_id=found.project.project.id)
    return [row(rooms, service) for service in services]


def row(rooms: Rooms, service: models.Service) -> Row:
    """One service with what it uses."""
    return Row(service=service, use=rooms.services.use(service_id=service.id))


async def details(request: Request, found: Visitor, service_id: str) -> dict[str, object]:
    """All that a page on one service shows."""
    rooms: Rooms = request.app.state.rooms
    service = await rooms.services.get(user_id=found.user.id, service_id=service_id)
    access = await rooms.identity.projects.require(user_id=found.user.id, project_id=service.project_id)
    return {
        "service": service,
        "project": access.project,
        "row": row(rooms, service),
        "events": await rooms.services.events(user_id=found.user.id, service_id=service_id),
        "steps": STEPS,
        "name": service.name,
        "name_wrong": "",
    }


async def _as_text(lines: AsyncIterator[contract.LogLine]) -> AsyncIterator[str]:
    async for line in lines:
        yield line.text + "\n"
