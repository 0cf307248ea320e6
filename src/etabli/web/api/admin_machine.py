"""The lab's own parts, for programs of administrators."""

import asyncio

from fastapi import Request

from etabli.web.api import shared
from etabli.web.api.answers import Answer
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()


class ComponentAnswer(Answer):
    """One supervised process."""

    name: str
    state: str
    ready: bool
    since: str
    version: str
    pid: int | None
    memory_bytes: int | None
    starts: int
    failures: int
    words: str


class SettingAnswer(Answer):
    """One setting; secrets are masked."""

    section: str
    key: str
    value: str
    default: str
    origin: str
    line: int | None
    description: str


@router.get("/components")
async def list_components(request: Request, found: Person) -> list[ComponentAnswer]:
    """How each component stands."""
    rooms: Rooms = request.app.state.rooms
    components = await asyncio.to_thread(lambda: rooms.admin.machine.components(by=found.user))
    return [ComponentAnswer.model_validate(one) for one in components]


@router.get("/settings")
async def list_settings(request: Request, found: Person) -> list[SettingAnswer]:
    """Every setting, with where it comes from."""
    rooms: Rooms = request.app.state.rooms
    return [SettingAnswer.model_validate(one) for one in rooms.admin.machine.settings(by=found.user)]
