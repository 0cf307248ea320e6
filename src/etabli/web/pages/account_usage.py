"""What one's own services consumed."""

from fastapi import Request
from starlette.responses import Response

from etabli.web import shell
from etabli.web.pages.admin_usage import as_csv, shown, span_of
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()


@router.get("/account/usage")
async def own_usage_page(request: Request, found: Person, days: str = "") -> Response:
    """One's own."""
    rooms: Rooms = request.app.state.rooms
    span = span_of(days)
    report = await rooms.admin.usage.of_person(user_id=found.user.id, days=span)
    context = {**shown(report, span), "shares": report.shares("project")}
    return shell.page(request, found, "account/usage.html", context)


@router.get("/account/usage.csv")
async def own_usage_csv(request: Request, found: Person, days: str = "") -> Response:
    """The same, for a spreadsheet."""
    rooms: Rooms = request.app.state.rooms
    return as_csv(await rooms.admin.usage.of_person(user_id=found.user.id, days=span_of(days)))
