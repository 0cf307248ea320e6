"""The audit log, for programs of administrators."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import Query, Request
from pydantic import BaseModel, Field

from etabli.audit import models, service
from etabli.kernel import errors
from etabli.web.api import shared
from etabli.web.rooms import Rooms

router = shared.admin_router()


class Actor(BaseModel):
    """Who acted, and by what."""

    kind: str
    by: str
    id: str
    name: str


class AuditRecord(BaseModel):
    """One record."""

    number: int
    at: datetime
    actor: Actor
    action: str
    outcome: str
    target_kind: str
    target: str
    project: str
    address: str
    detail: Mapping[str, str]
    digest: str = Field(description="SHA-256 of the record and of the digest before it.")


class AuditPage(BaseModel):
    """Records, newest first."""

    records: list[AuditRecord]
    before: int | None = Field(description="What to ask for as `before` to go on; none at the end.")


class AuditVerdict(BaseModel):
    """Whether the log is as it was written."""

    holds: bool
    rows: int
    first_wrong: int | None
    reason: str


class AuditExport(BaseModel):
    """One day that was copied to the lab's own bucket."""

    day: str
    object_key: str
    digest: str
    rows: int
    exported_at: datetime


@router.get("/audit")
async def search_audit(
    request: Request,
    who: str = Query("", max_length=40),
    what: str = Query("", max_length=100),
    target: str = Query("", max_length=100),
    project: str = Query("", max_length=40),
    outcome: models.Outcome | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    before: int | None = Query(None, ge=0, le=2**31 - 1),
    limit: int = Query(service.PAGE, ge=1, le=service.LONGEST_PAGE),
) -> AuditPage:
    """What was done, newest first: by whom, from the beginning of an action's name, in a project, between two moments."""
    rooms: Rooms = request.app.state.rooms
    query = models.Query(
        who=who,
        what=what,
        target=target,
        project=project,
        outcome=outcome.value if outcome else "",
        since=_aware("since", since),
        until=_aware("until", until),
        before=before,
    )
    found = await rooms.audit.search(query, limit=limit)
    records = [_record(record) for record in found]
    return AuditPage(records=records, before=records[-1].number if len(records) == limit else None)


@router.get("/audit/verify")
async def verify_audit(request: Request) -> AuditVerdict:
    """Whether every record is as it was written, and none is missing."""
    rooms: Rooms = request.app.state.rooms
    verdict = await rooms.audit.verify()
    return AuditVerdict(holds=verdict.holds, rows=verdict.rows, first_wrong=verdict.first_wrong, reason=verdict.reason)


@router.get("/audit/exports")
async def audit_exports(request: Request) -> list[AuditExport]:
    """The days that were copied, newest first."""
    rooms: Rooms = request.app.state.rooms
    return [_export(export) for export in await rooms.audit.exports()]


@router.post("/audit/exports")
async def export_audit(request: Request) -> list[AuditExport]:
    """Copy what is not copied yet to the lab's own bucket, today's records too; what was copied now."""
    rooms: Rooms = request.app.state.rooms
    return [_export(export) for export in await rooms.audit.export(rooms.shelf, today_too=True)]


def _record(record: models.Record) -> AuditRecord:
    entry = record.entry
    return AuditRecord(
        number=record.number,
        at=record.at,
        actor=Actor(kind=entry.actor.kind.value, by=entry.actor.by.value, id=entry.actor.id, name=entry.actor.name),
        action=entry.action,
        outcome=entry.outcome.value,
        target_kind=entry.target_kind,
        target=entry.target,
        project=entry.project,
        address=entry.address,
        detail=entry.detail,
        digest=record.digest,
    )


def _export(export: models.Export) -> AuditExport:
    return AuditExport(
        day=export.day,
        object_key=export.object_key,
        digest=export.digest,
        rows=export.rows,
        exported_at=export.exported_at,
    )


def _aware(field: str, moment: datetime | None) -> datetime | None:
    if moment is not None and moment.tzinfo is None:
        raise errors.Invalid(
            "a moment needs its time zone",
            hint="as in 2026-11-24T10:00:00Z",
            fields={field: "its time zone is missing"},
        )
    return moment
