"""How the lab's backups stand, for programs of administrators. Taking and restoring them is the operator's, on the lab's machine."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field

from etabli.web.api import shared
from etabli.web.rooms import Rooms

router = shared.admin_router()


class BackupCounts(BaseModel):
    """What the last backup holds, and how much of it was new."""

    buckets: int
    objects: int = Field(description="Versions, marks of deletion included.")
    objects_read: int
    objects_gone: int = Field(description="Deleted by their people while the backup looked.")
    files: int = Field(description="In volumes of services.")
    files_read: int
    bytes_total: int
    bytes_written: int = Field(description="As stored: compressed, encrypted.")


class BackupStanding(BaseModel):
    """How backups stand."""

    configured: bool
    to: str
    every: str
    running: bool
    last_id: str
    last_at: datetime | None = Field(description="When the last whole backup was taken.")
    failed_at: datetime | None
    trouble: str = Field(description="A sentence where something is wrong; empty where all is well.")
    counts: BackupCounts | None


@router.get("/backups")
async def backup_standing(request: Request) -> BackupStanding:
    """When the last backup was taken, of what, and whether something is wrong with them."""
    rooms: Rooms = request.app.state.rooms
    found = rooms.backups.standing()
    return BackupStanding(
        configured=found.configured,
        to=found.to,
        every=found.every,
        running=found.running,
        last_id=found.last_id,
        last_at=found.last_at,
        failed_at=found.failed_at,
        trouble=found.trouble,
        counts=None if found.counts is None else BackupCounts.model_validate(vars(found.counts)),
    )
