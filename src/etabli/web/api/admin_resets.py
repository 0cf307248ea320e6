"""Links for people who cannot get in any more."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field

from etabli.web import audited
from etabli.web.api import shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()


class ResetLinkRequest(BaseModel):
    """What the link may do."""

    remove_factors: bool = Field(
        default=False, description="Whether its person may remove their passkeys and codes by it."
    )


class ResetLinkAnswer(BaseModel):
    """A link just made. It is shown this once."""

    link: str
    expires_at: datetime


@router.post("/people/{person}/reset-link", status_code=201)
async def make_reset_link(request: Request, found: Person, person: str, asked: ResetLinkRequest) -> ResetLinkAnswer:
    """Make a link by which a person chooses a new password; the one before it ends."""
    rooms: Rooms = request.app.state.rooms
    made = await rooms.identity.resets.make(by=found.user, slug=person, removes_factors=asked.remove_factors)
    audited.note(request, factors=str(asked.remove_factors).lower())
    return ResetLinkAnswer(link=f"{rooms.lab.origin}/reset?token={made.token}", expires_at=made.expires_at)
