"""Announcements, for programs of administrators."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from etabli.admin import announcements as use_cases
from etabli.kernel import errors
from etabli.web import audited
from etabli.web.api import shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()


class AnnouncementRequest(BaseModel):
    """What to tell. A language left empty shows the other one."""

    model_config = {"extra": "forbid"}

    level: use_cases.Level = use_cases.Level.INFO
    en: str = Field(default="", max_length=20_000, description="Markdown, in English.")
    fr: str = Field(default="", max_length=20_000, description="Markdown, in French.")
    starts_at: datetime | None = Field(default=None, description="With a time zone; now if left out.")
    ends_at: datetime | None = Field(default=None, description="With a time zone; until it is taken back if left out.")
    dismissable: bool = True


class AnnouncementAnswer(BaseModel):
    """An announcement."""

    id: str
    level: use_cases.Level
    en: str
    fr: str
    starts_at: datetime
    ends_at: datetime | None
    dismissable: bool
    is_current: bool


@router.get("/announcements")
async def list_announcements(request: Request, found: Person) -> list[AnnouncementAnswer]:
    """All of them, the newest first."""
    rooms: Rooms = request.app.state.rooms
    return [_answer(rooms, one) for one in await rooms.admin.announcements.list(by=found.user)]


@router.post("/announcements", status_code=201)
async def publish_announcement(request: Request, found: Person, asked: AnnouncementRequest) -> AnnouncementAnswer:
    """Tell people."""
    rooms: Rooms = request.app.state.rooms
    made = await rooms.admin.announcements.publish(by=found.user, draft=_draft(asked))
    audited.note(request, target_kind="announcement", target=made.id, level=made.level.value)
    return _answer(rooms, made)


@router.put("/announcements/{announcement_id}")
async def change_announcement(
    request: Request, found: Person, announcement_id: str, asked: AnnouncementRequest
) -> AnnouncementAnswer:
    """Write it anew; who put it away sees it again."""
    rooms: Rooms = request.app.state.rooms
    announcements = rooms.admin.announcements
    draft = _draft(asked)
    return _answer(rooms, await announcements.change(by=found.user, announcement_id=announcement_id, draft=draft))


@router.delete("/announcements/{announcement_id}", status_code=204)
async def end_announcement(request: Request, found: Person, announcement_id: str) -> Response:
    """Take it back."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.announcements.end(by=found.user, announcement_id=announcement_id)
    return Response(status_code=204)


def _draft(asked: AnnouncementRequest) -> use_cases.Draft:
    moments = {"starts_at": asked.starts_at, "ends_at": asked.ends_at}
    naive = [name for name, moment in moments.items() if moment is not None and moment.tzinfo is None]
    if naive:
        raise errors.Invalid(
            "a moment needs its time zone", fields=dict.fromkeys(naive, "such as 2026-12-01T18:00:00Z")
        )
    return use_cases.Draft(
        level=asked.level,
        texts={"en": asked.en, "fr": asked.fr},
        starts_at=asked.starts_at,
        ends_at=asked.ends_at,
        dismissable=asked.dismissable,
    )


def _answer(rooms: Rooms, one: use_cases.Announcement) -> AnnouncementAnswer:
    return AnnouncementAnswer(
        id=one.id,
        level=one.level,
        en=one.texts.get("en", ""),
        fr=one.texts.get("fr", ""),
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        dismissable=one.dismissable,
        is_current=one.is_current(rooms.clock.now()),
    )
