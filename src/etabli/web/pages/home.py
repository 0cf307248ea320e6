"""Home: signed out, what the lab is and how to get in; signed in, what runs, what ends soon, what was used last, the first steps."""

import secrets
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.catalog import links
from etabli.services import models
from etabli.services.recent import Recent
from etabli.web import shell
from etabli.web.pages import catalog as catalog_page
from etabli.web.pages import services
from etabli.web.rooms import Rooms
from etabli.web.visitors import Anyone, Person, Visitor

router = shell.router()
SHOWN = 4  # Services on the page: the rest is one click away.
RECENT = 3
CHARTS = 6  # Of the catalogue, signed out.
SOON = timedelta(days=1)
TIGHT = 0.8  # The share of the machine, or of what a project may have, past which it is worth a line.
TEXT = 200


@dataclass(frozen=True)
class Again:
    """What was used last: one click launches it as it was, or opens its form where it had secrets."""

    recent: Recent
    form: str  # The form's address, filled.


@dataclass(frozen=True)
class Tight:
    """Something that will soon be short."""

    kind: str  # `cpu`, `memory`, `services`.
    used: float
    whole: float


@router.get("/")
async def home(request: Request, found: Anyone) -> Response:
    """The first page."""
    if found.someone is None:
        return await _outside(request, found)
    rooms: Rooms = request.app.state.rooms
    project = found.project.project
    rows = await services.rows(request, found)
    used = await rooms.services.used_last(user_id=found.user.id, project_id=project.id)
    may_change = found.may_change(project.id)
    return shell.page(
        request,
        found,
        "home.html",
        {
            "rows": rows[:SHOWN],
            "total": len(rows),
            "ready": sum(row.service.state is models.State.READY for row in rows),
            "soon": [row.service for row in rows if may_change and _ends_soon(rooms, row.service)],
            "again": [Again(one, _form(one)) for one in used[:RECENT]] if may_change else [],
            "again_key": secrets.token_urlsafe(12),
            "tight": await _tight(rooms, len(rows)),
            "steps": await _steps(rooms, found, used, has_services=bool(rows)),
        },
    )


@router.post("/again")
async def launch_again(
    request: Request,
    found: Person,
    catalog: Annotated[str, Form()] = "",
    chart: Annotated[str, Form()] = "",
    key: Annotated[str, Form()] = "",
) -> Response:
    """Launch what was used last, as it was."""
    rooms: Rooms = request.app.state.rooms
    service = await rooms.services.launch_again(
        user_id=found.user.id,
        project_id=found.project.project.id,
        catalog=catalog[:TEXT],
        chart=chart[:TEXT],
        key=key[:TEXT] or None,
    )
    return shell.go(f"/services/{service.id}")


@router.post("/first-steps/hide")
async def hide_first_steps(request: Request, found: Person) -> Response:
    """Show them no more."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.profiles.hide_first_steps(user_id=found.user.id)
    return shell.go("/")


async def _outside(request: Request, found: Visitor) -> Response:
    rooms: Rooms = request.app.state.rooms
    listings = [listing for listing in await rooms.catalog.listings() if listing.public]
    charts = [chart for listing in listings for chart in catalog_page.shown(listing, found.language, []).charts]
    good = [chart for chart in charts if not chart.problem]
    takes_requests = rooms.identity.requests.are_open
    context = {"charts": good[:CHARTS], "more": len(good) - CHARTS, "takes_requests": takes_requests}
    return shell.page(request, found, "home_outside.html", context)


def _ends_soon(rooms: Rooms, service: models.Service) -> bool:
    running = service.state not in (models.State.STOPPED, models.State.DELETING)
    return running and service.expires_at is not None and service.expires_at - rooms.clock.now() <= SOON


def _form(one: Recent) -> str:
    changes = tuple(((name,), value) for name, value in one.values.items())
    query = links.write(links.Link(name=one.name, version=one.version, changes=changes))
    return f"/launcher/{one.catalog}/{one.chart}" + (f"?{query}" if query else "")


async def _tight(rooms: Rooms, count: int) -> list[Tight]:
    """What is nearly used up; nothing where all is well."""
    health = await rooms.services.free()
    total, reserved = health.total, health.reserved
    wholes = [
        Tight("cpu", reserved.cpu, total.cpu),
        Tight("memory", reserved.memory_bytes, total.memory_bytes),
        Tight("services", count, rooms.services.most_per_project),
    ]
    return [one for one in wholes if one.whole and one.used / one.whole >= TIGHT]


async def _steps(
    rooms: Rooms, found: Visitor, used: tuple[Recent, ...], *, has_services: bool
) -> list[tuple[str, bool]]:
    """The first steps and whether each is done; none once all are, or where the person sent them away."""
    if found.user.first_steps_hidden:
        return []
    facts = await rooms.identity.first_steps.facts(user_id=found.user.id)
    steps = [
        ("launch", has_services or bool(used)),
        ("open", any(one.was_opened for one in used)),
        ("invite", facts.has_company),
        ("passkey", facts.has_passkey),
    ]
    return [] if all(done for _, done in steps) else steps
