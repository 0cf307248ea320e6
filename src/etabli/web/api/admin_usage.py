"""What was consumed by the whole lab, for programs of administrators."""

import datetime as time

from fastapi import Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from etabli.admin.usage import MOST_DAYS, Amount, Report
from etabli.web.api import shared
from etabli.web.pages.admin_usage import as_csv
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()
Days = Query(30, ge=1, le=MOST_DAYS, description="The last days, today included.")


class UsageAmount(BaseModel):
    """What was consumed."""

    cpu_hours: float
    memory_gib_hours: float
    gpu_hours: float = Field(description="0 where no engine has graphics processors.")


class UsageDay(UsageAmount):
    """On one day."""

    day: time.date


class UsageShare(UsageAmount):
    """By one project, or one person."""

    name: str
    storage_bytes: int | None


class UsageReport(BaseModel):
    """Over some days, both ends included."""

    since: time.date
    until: time.date
    total: UsageAmount
    days: list[UsageDay]
    projects: list[UsageShare]
    people: list[UsageShare]


@router.get("/usage")
async def get_usage(request: Request, found: Person, days: int = Days) -> UsageReport:
    """Of the whole lab."""
    rooms: Rooms = request.app.state.rooms
    return answer(await rooms.admin.usage.of_lab(by=found.user, days=days))


@router.get("/usage.csv", response_class=Response)
async def get_usage_csv(request: Request, found: Person, days: int = Days) -> Response:
    """Of the whole lab, a line for each day, project and person."""
    rooms: Rooms = request.app.state.rooms
    return as_csv(await rooms.admin.usage.of_lab(by=found.user, days=days))


def answer(report: Report) -> UsageReport:
    """A report as programs read it."""
    return UsageReport(
        since=report.since,
        until=report.until,
        total=UsageAmount(**_amount(report.total)),
        days=[UsageDay(day=day, **_amount(amount)) for day, amount in report.by_day],
        projects=_shares(report, "project"),
        people=_shares(report, "person"),
    )


def _shares(report: Report, by: str) -> list[UsageShare]:
    return [
        UsageShare(name=share.name, storage_bytes=share.storage_bytes, **_amount(share.amount))
        for share in report.shares(by)
    ]


def _amount(amount: Amount) -> dict[str, float]:
    return {
        "cpu_hours": amount.cpu_hours,
        "memory_gib_hours": amount.memory_gib_hours,
        "gpu_hours": amount.gpu_hours,
    }
