"""The lab's own parts, for administrators: how its components stand, its settings and where each comes from."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from itertools import groupby

from fastapi import Request
from starlette.responses import Response

from etabli.admin.machine import Component
from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router(shell.AdminRoute)


@router.get("/admin/components")
async def components_page(request: Request, found: Person) -> Response:
    """How each component stands."""
    rooms: Rooms = request.app.state.rooms
    components = await asyncio.to_thread(lambda: rooms.admin.machine.components(by=found.user))
    context = {"components": [(one, _since(one)) for one in components], "kinds": KINDS}
    return shell.page(request, found, "admin/components.html", context)


@router.get("/admin/settings")
async def settings_page(request: Request, found: Person, changed: str = "") -> Response:
    """Every setting, with its origin; with `changed`, those alone that are not the default."""
    rooms: Rooms = request.app.state.rooms
    shown = rooms.admin.machine.settings(by=found.user)
    if changed:
        shown = tuple(one for one in shown if one.origin != "default")
    sections = [(name, list(group)) for name, group in groupby(shown, key=lambda one: one.section)]
    return shell.page(request, found, "admin/settings.html", {"sections": sections, "changed": bool(changed)})


KINDS: Mapping[str, str] = {"running": "good", "starting": "moving", "backoff": "bad", "fatal": "bad", "stopped": ""}


def _since(component: Component) -> datetime | None:
    try:
        return datetime.fromisoformat(component.since)
    except ValueError:
        return None
