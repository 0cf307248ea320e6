"""The audit log, for administrators: searched, paged, proved, copied."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from fastapi import Request
from starlette.responses import Response

from etabli.audit import models, service
from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router(shell.AdminRoute)
TEXT = 100


@dataclass(frozen=True)
class Asked:
    """What was typed."""

    who: str
    what: str
    project: str
    target: str
    since: str
    until: str
    outcome: str

    @property
    def is_given(self) -> bool:
        """Whether anything was."""
        return any(vars(self).values())


@router.get("/admin/audit")
async def audit_page(request: Request, found: Person) -> Response:
    """What was done, newest first."""
    return await _page(request, found)


@router.post("/admin/audit/verify")
async def verify(request: Request, found: Person) -> Response:
    """Whether the log is as it was written."""
    rooms: Rooms = request.app.state.rooms
    return await _page(request, found, verdict=await rooms.audit.verify())


@router.post("/admin/audit/export")
async def export(request: Request, found: Person) -> Response:
    """Copy what is not copied yet, today's records too."""
    rooms: Rooms = request.app.state.rooms
    made = await rooms.audit.export(rooms.shelf, today_too=True)
    return await _page(request, found, copied=len(made))


async def _page(
    request: Request, found: Visitor, *, verdict: models.Verdict | None = None, copied: int | None = None
) -> Response:
    rooms: Rooms = request.app.state.rooms
    asked = Asked(**{name: request.query_params.get(name, "")[:TEXT].strip() for name in Asked.__annotations__})
    query, faults = _query(asked, before=request.query_params.get("before", ""))
    records = () if faults else await rooms.audit.search(query, limit=service.PAGE + 1)
    return shell.page(
        request,
        found,
        "admin/audit.html",
        {
            "asked": asked,
            "faults": faults,
            "records": records[: service.PAGE],
            "older": _older(asked, records),
            "exports": await rooms.audit.exports(),
            "verdict": verdict,
            "copied": copied,
        },
        status=422 if faults else 200,
    )


def _query(asked: Asked, *, before: str) -> tuple[models.Query, dict[str, str]]:
    faults: dict[str, str] = {}
    since, until = _day("since", asked.since, faults), _day("until", asked.until, faults)
    known = {outcome.value for outcome in models.Outcome}
    query = models.Query(
        who=asked.who,
        what=asked.what,
        target=asked.target,
        project=asked.project,
        outcome=asked.outcome if asked.outcome in known else "",
        since=since,
        until=None if until is None else until + timedelta(days=1),
        before=int(before) if before.isdecimal() and len(before) < 10 else None,
    )
    return query, faults


def _day(field: str, text: str, faults: dict[str, str]) -> datetime | None:
    if not text:
        return None
    try:
        day = datetime.fromisoformat(text).replace(tzinfo=UTC, hour=0, minute=0, second=0, microsecond=0)
    except ValueError:
        faults[field] = "a day such as 2026-11-24"
        return None
    if not 1970 < day.year < 9999:
        faults[field] = "a day such as 2026-11-24"
        return None
    return day


def _older(asked: Asked, records: tuple[models.Record, ...]) -> str:
    """The address of the next page; empty at the end."""
    if len(records) <= service.PAGE:
        return ""
    given = {name: value for name, value in vars(asked).items() if value}
    return "/admin/audit?" + urlencode({**given, "before": records[service.PAGE - 1].number})
