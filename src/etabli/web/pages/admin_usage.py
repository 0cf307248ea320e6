"""What was consumed by the whole lab, for administrators."""

from fastapi import Request
from starlette.responses import Response

from etabli.admin.usage import Report
from etabli.web import plots, shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router(shell.AdminRoute)
SPANS = (7, 30, 90, 365)
DEFAULT = 30


@router.get("/admin/usage")
async def usage_page(request: Request, found: Person, days: str = "", by: str = "project") -> Response:
    """Of the whole lab."""
    rooms: Rooms = request.app.state.rooms
    span = span_of(days)
    report = await rooms.admin.usage.of_lab(by=found.user, days=span)
    by = by if by in ("project", "person") else "project"
    context = {**shown(report, span), "by": by, "shares": report.shares(by)}
    return shell.page(request, found, "admin/usage.html", context)


@router.get("/admin/usage.csv")
async def usage_csv(request: Request, found: Person, days: str = "") -> Response:
    """The same, for a spreadsheet."""
    rooms: Rooms = request.app.state.rooms
    return as_csv(await rooms.admin.usage.of_lab(by=found.user, days=span_of(days)))


def as_csv(report: Report) -> Response:
    """A report as a file."""
    name = f"usage-{report.since.isoformat()}-{report.until.isoformat()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(report.csv(), media_type="text/csv; charset=utf-8", headers=headers)


def shown(report: Report, span: int) -> dict[str, object]:
    """What the pages of usage show of a report."""
    by_day = report.by_day
    return {
        "report": report,
        "span": span,
        "spans": SPANS,
        "cpu": plots.of_days([(day, amount.cpu_hours) for day, amount in by_day]),
        "memory": plots.of_days([(day, amount.memory_gib_hours) for day, amount in by_day]),
        "by_day": tuple(reversed(by_day)),
    }


def span_of(days: str) -> int:
    """How many days a page shows."""
    return int(days) if days.isdecimal() and len(days) < 5 and int(days) in SPANS else DEFAULT
