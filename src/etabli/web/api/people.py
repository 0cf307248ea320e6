"""Invitations: who is let in, and where."""

from datetime import timedelta

from fastapi import Request
from pydantic import BaseModel, Field

from etabli.identity import models
from etabli.web import audited
from etabli.web.api import shared
from etabli.web.pages.asking import link_of, send_invitation
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.router("people")


class InvitationRequest(BaseModel):
    """Whom to let in: into the lab, or into a shared project that one owns."""

    project: str | None = Field(default=None, description="The slug of a shared project; none: the lab alone.")
    role: models.Role = Field(default=models.Role.MEMBER, description="In that project.")
    days: int = Field(default=7, ge=1, le=90, description="How long the link is good.")
    uses: int = Field(default=1, ge=1, le=1000, description="How many people it lets in.")
    email: str | None = Field(default=None, description="Whose account it makes; the link is sent there if it can be.")
    administrator: bool = Field(default=False, description="Whether it makes administrators of the lab.")


class InvitationAnswer(BaseModel):
    """An invitation just made. The link is shown this once."""

    id: str
    link: str
    uses: int
    sent: bool = Field(default=False, description="Whether it was sent to that e-mail.")


@router.post("/invitations", status_code=201)
async def invite(request: Request, found: Person, asked: InvitationRequest) -> InvitationAnswer:
    """Make a link that lets people in. Administrators invite to the lab, owners to their project."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, asked.project) if asked.project else None
    invited = await rooms.identity.invitations.invite(
        by=found.user,
        lifetime=timedelta(days=asked.days),
        uses=asked.uses,
        project_id=access.project.id if access else None,
        role=asked.role,
        makes_admin=asked.administrator,
        email=asked.email,
    )
    audited.note(
        request,
        target_kind="invitation",
        target=invited.invitation.id,
        project=access.project.slug if access else "",
        administrator=str(asked.administrator).lower(),
    )
    sent = bool(invited.invitation.email) and await send_invitation(
        rooms, request.app.state.renderer, invited, inviter=found.user.name, code=found.language
    )
    left = invited.invitation.uses_left
    return InvitationAnswer(id=invited.invitation.id, link=link_of(rooms, invited), uses=left, sent=sent)
