"""Services, for programs: the same use cases as the pages."""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import datetime
from functools import partial

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from etabli.engines import contract
from etabli.kernel import errors
from etabli.services import models
from etabli.web import audited, live
from etabli.web.api import answers, shared
from etabli.web.hub import Hub
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shared.router("services")


@router.get("/services")
async def list_services(request: Request, found: Person, project: str | None = None) -> list[answers.Service]:
    """The services of a project, newest first; of one's own by default."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, project)
    services = await rooms.services.list(user_id=found.user.id, project_id=access.project.id)
    return [answer(rooms, found, service) for service in services]


@router.post("/services", status_code=201)
async def launch(request: Request, found: Person, asked: answers.LaunchRequest) -> answers.Service:
    """Launch a service: stored when this answers, starting after."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, asked.project)
    wanted = models.Launch(
        project_id=access.project.id,
        catalog=asked.catalog or await _catalog_of(rooms, asked.chart),
        chart=asked.chart,
        name=asked.name,
        version=asked.version,
        values=asked.values,
        key=asked.key,
    )
    launched = await rooms.services.launch(user_id=found.user.id, launch=wanted)
    chart = f"{launched.catalog}/{launched.chart}"
    audited.note(request, target_kind="service", target=launched.id, project=access.project.slug, chart=chart)
    return answer(rooms, found, launched)


@router.get("/services/{service_id}")
async def get(request: Request, found: Person, service_id: str) -> answers.Service:
    """One service."""
    rooms: Rooms = request.app.state.rooms
    return answer(rooms, found, await rooms.services.get(user_id=found.user.id, service_id=service_id))


@router.patch("/services/{service_id}")
async def change(request: Request, found: Person, service_id: str, asked: answers.ServiceChange) -> answers.Service:
    """Rename it, or move its end."""
    rooms: Rooms = request.app.state.rooms
    user_id = found.user.id
    service = await rooms.services.get(user_id=user_id, service_id=service_id)
    if asked.name is not None:
        service = await rooms.services.rename(user_id=user_id, service_id=service_id, name=asked.name)
    if asked.expires_at is not None:
        until = _aware(asked.expires_at)
        service = await rooms.services.extend(user_id=user_id, service_id=service_id, until=until)
    return answer(rooms, found, service)


@router.post("/services/{service_id}/stop")
async def stop(request: Request, found: Person, service_id: str) -> answers.Service:
    """Pause it."""
    rooms: Rooms = request.app.state.rooms
    return answer(rooms, found, await rooms.services.stop(user_id=found.user.id, service_id=service_id))


@router.post("/services/{service_id}/resume")
async def resume(request: Request, found: Person, service_id: str) -> answers.Service:
    """Start it again."""
    rooms: Rooms = request.app.state.rooms
    return answer(rooms, found, await rooms.services.resume(user_id=found.user.id, service_id=service_id))


@router.post("/services/{service_id}/extend")
async def extend(request: Request, found: Person, service_id: str) -> answers.Service:
    """Give it the lab's full lifetime again, from now."""
    rooms: Rooms = request.app.state.rooms
    return answer(rooms, found, await rooms.services.extend(user_id=found.user.id, service_id=service_id))


@router.delete("/services/{service_id}", status_code=204)
async def delete(request: Request, found: Person, service_id: str) -> Response:
    """Delete it and all that it made; accepted now, done after."""
    rooms: Rooms = request.app.state.rooms
    await rooms.services.delete(user_id=found.user.id, service_id=service_id)
    return Response(status_code=204)


@router.get("/services/{service_id}/history")
async def history(request: Request, found: Person, service_id: str) -> list[answers.ServiceEvent]:
    """What happened to it, newest first."""
    rooms: Rooms = request.app.state.rooms
    events = await rooms.services.events(user_id=found.user.id, service_id=service_id)
    return [answers.ServiceEvent(at=event.at, kind=event.kind.value, detail=event.detail) for event in events]


@router.get("/services/{service_id}/logs", response_class=StreamingResponse)
async def logs(request: Request, found: Person, service_id: str, follow: bool = False) -> Response:
    """What it wrote, a line each as text; with `follow`, on as it writes."""
    rooms: Rooms = request.app.state.rooms
    service = await rooms.services.get(user_id=found.user.id, service_id=service_id)
    text = _text(rooms.services.logs(user_id=found.user.id, service_id=service_id, follow=follow))
    content = _guarded(request, found, service.project_id, text)
    return StreamingResponse(content, media_type="text/plain; charset=utf-8")


@router.get("/events", response_class=StreamingResponse)
async def follow_events(request: Request, found: Person, project: str | None = None) -> Response:
    """The project's services as they change: server-sent events, each a `Service` or, once it is gone, its id alone."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, project)
    changes = _changes(rooms, found, access.project.id)
    return live.response(_guarded(request, found, access.project.id, changes))


def _guarded(
    request: Request, found: Visitor, project: str, messages: AsyncGenerator[str, None]
) -> AsyncGenerator[str, None]:
    """What a browser's session, or a program's token, follows ends with it; the operator's goes on."""
    hub: Hub = request.app.state.hub
    rooms: Rooms = request.app.state.rooms
    if found.bearer is not None:
        is_open = partial(rooms.identity.access_tokens.is_open, token_id=found.bearer.token.id)
        return live.while_good(messages, is_open)
    if found.session is None:
        return messages
    return hub.guarded(messages, session_id=found.session.id, project=project)


def answer(rooms: Rooms, found: Visitor, service: models.Service) -> answers.Service:
    """A service as programs read it."""
    slugs = {access.project.id: access.project.slug for access in found.accesses}
    return answers.Service(
        id=service.id,
        project=slugs.get(service.project_id, ""),
        name=service.name,
        catalog=service.catalog,
        chart=service.chart,
        chart_version=service.chart_version,
        state=service.state.value,
        message=service.message,
        created_at=service.created_at,
        state_since=service.state_since,
        expires_at=service.expires_at,
        requests=answers.Resources.model_validate(service.requests),
        limits=answers.Resources.model_validate(service.limits),
        page=f"{rooms.lab.origin}/services/{service.id}/open",
    )


async def _catalog_of(rooms: Rooms, chart: str) -> str:
    for listing in await rooms.catalog.listings():
        if any(entry.name == chart for entry in listing.entries):
            return listing.id
    raise errors.NotFound(f"there is no chart `{chart[:80]}`", hint="see what the catalogue holds")


async def _changes(rooms: Rooms, found: Visitor, project_id: str) -> AsyncGenerator[str, None]:
    sent: dict[str, str] = {}

    async def now() -> dict[str, str]:
        services = await rooms.services.list(user_id=found.user.id, project_id=project_id)
        return {service.id: answer(rooms, found, service).model_dump_json() for service in services}

    async for current in live.states(rooms.events, project=project_id, subject=None, read=now):
        for service_id, body in current.items():
            if sent.get(service_id) != body:
                yield f"event: service\n{live.message(body)}"
        for service_id in sent.keys() - current.keys():
            yield f"event: gone\n{live.message(json.dumps({'id': service_id}))}"
        if current == sent:
            yield live.STILL_HERE
        sent = current


async def _text(lines: AsyncIterator[contract.LogLine]) -> AsyncGenerator[str, None]:
    async for line in lines:
        yield line.text + "\n"


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise errors.Invalid("a moment needs its time zone", fields={"expires_at": "such as 2026-12-01T18:00:00Z"})
    return moment
