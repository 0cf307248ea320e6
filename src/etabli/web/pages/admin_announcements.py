"""Announcements, as administrators write them."""

from dataclasses import dataclass
from datetime import UTC, datetime

from fastapi import Request
from starlette.responses import Response

from etabli.admin.announcements import Announcement, Draft, Level
from etabli.kernel import errors
from etabli.web import audited, problems, shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router(shell.AdminRoute)
TEXT = 20_000


@dataclass(frozen=True)
class Typed:
    """The form's fields."""

    level: str = Level.INFO.value
    text_en: str = ""
    text_fr: str = ""
    starts_at: str = ""
    ends_at: str = ""
    dismissable: bool = True


@router.get("/admin/announcements")
async def announcements_page(request: Request, found: Person, done: str = "") -> Response:
    """All of them, and a form for one more."""
    return await _page(request, found, done=done)


@router.get("/admin/announcements/{announcement_id}")
async def announcement_page(request: Request, found: Person, announcement_id: str) -> Response:
    """One of them, to change."""
    rooms: Rooms = request.app.state.rooms
    one = await rooms.admin.announcements.get(by=found.user, announcement_id=announcement_id)
    return await _page(request, found, chosen=one, typed=_typed(one))


@router.post("/admin/announcements")
async def publish_announcement(request: Request, found: Person) -> Response:
    """Tell people."""
    rooms: Rooms = request.app.state.rooms
    typed = await _read(request)
    try:
        made = await rooms.admin.announcements.publish(by=found.user, draft=_draft(typed))
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, found, typed=typed, error=error)
    audited.note(request, target_kind="announcement", target=made.id, level=made.level.value)
    return shell.go("/admin/announcements", done="published")


@router.post("/admin/announcements/{announcement_id}")
async def change_announcement(request: Request, found: Person, announcement_id: str) -> Response:
    """Write it anew."""
    rooms: Rooms = request.app.state.rooms
    typed = await _read(request)
    one = await rooms.admin.announcements.get(by=found.user, announcement_id=announcement_id)
    try:
        draft = _draft(typed)
        await rooms.admin.announcements.change(by=found.user, announcement_id=announcement_id, draft=draft)
    except errors.Invalid as error:
        return await _page(request, found, chosen=one, typed=typed, error=error)
    return shell.go("/admin/announcements", done="changed")


@router.post("/admin/announcements/{announcement_id}/end")
async def end_announcement(request: Request, found: Person, announcement_id: str) -> Response:
    """Take it back."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.announcements.end(by=found.user, announcement_id=announcement_id)
    return shell.go("/admin/announcements", done="ended")


async def _page(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    chosen: Announcement | None = None,
    typed: Typed | None = None,
    error: errors.EtabliError | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    faults = dict(error.fields) if isinstance(error, errors.Invalid) else {}
    context = {
        "announcements": await rooms.admin.announcements.list(by=found.user),
        "now": rooms.clock.now(),
        "chosen": chosen,
        "typed": typed or Typed(),
        "faults": faults,
        "error": error if not faults else None,
        "done": done,
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "admin/announcements.html", context, status=status)


async def _read(request: Request) -> Typed:
    form = await request.form()
    given = {name: str(form.get(name, ""))[:TEXT] for name in ("level", "text_en", "text_fr", "starts_at", "ends_at")}
    return Typed(**given, dismissable=form.get("dismissable") == "true")


def _draft(typed: Typed) -> Draft:
    """Invalid by field where a moment is none, or the level is not known."""
    faults: dict[str, str] = {}
    starts_at, ends_at = _moment("starts_at", typed.starts_at, faults), _moment("ends_at", typed.ends_at, faults)
    if typed.level not in set(Level):
        faults["level"] = "is missing"
    if faults:
        raise errors.Invalid("an announcement is wrong", hint="see each field", fields=faults)
    return Draft(
        level=Level(typed.level),
        texts={"en": typed.text_en, "fr": typed.text_fr},
        starts_at=starts_at,
        ends_at=ends_at,
        dismissable=typed.dismissable,
    )


def _moment(field: str, text: str, faults: dict[str, str]) -> datetime | None:
    if not text.strip():
        return None
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        faults[field] = "a moment such as 2026-11-24T18:00"
        return None


def _typed(one: Announcement) -> Typed:
    return Typed(
        level=one.level.value,
        text_en=one.texts.get("en", ""),
        text_fr=one.texts.get("fr", ""),
        starts_at=f"{one.starts_at:%Y-%m-%dT%H:%M}",
        ends_at=f"{one.ends_at:%Y-%m-%dT%H:%M}" if one.ends_at else "",
        dismissable=one.dismissable,
    )
