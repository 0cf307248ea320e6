"""Requests for an account, and the mail server, for administrators' programs."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field

from etabli.identity import models
from etabli.mail.models import Message
from etabli.web import audited, letters
from etabli.web.api import answers, shared
from etabli.web.pages.asking import link_of, send_invitation
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()
LONGEST = 1000  # Characters of a reason.


class RequestAnswer(answers.Answer):
    """Somebody outside who asked for an account."""

    id: str
    name: str
    email: str
    message: str
    created_at: datetime


class ApprovalAnswer(BaseModel):
    """The link that answers a request. It is shown this once."""

    link: str
    email: str
    sent: bool = Field(description="Whether it was sent to that e-mail; else it is to be given by hand.")


class Refusal(BaseModel):
    """Why a request is refused."""

    reason: str = Field(default="", max_length=LONGEST, description="In words that the person will read.")


class MailTest(BaseModel):
    """Where to send a message that says nothing."""

    to: str = Field(max_length=254)


class MailOutcome(BaseModel):
    """What the mail server answered."""

    problem: str = Field(description="Empty where it took the message.")


class Kept(answers.Answer):
    """A message that waits for the mail server, or that was given up."""

    id: str
    to: str
    subject: str
    created_at: datetime
    attempts: int
    problem: str
    given_up_at: datetime | None


@router.get("/requests")
async def account_requests(request: Request, found: Person) -> list[RequestAnswer]:
    """Requests for an account that wait, oldest first."""
    rooms: Rooms = request.app.state.rooms
    waiting = await rooms.identity.requests.list(by=found.user)
    return [RequestAnswer.model_validate(one) for one in waiting]


@router.post("/requests/{request_id}/approve")
async def approve_account_request(request: Request, found: Person, request_id: str) -> ApprovalAnswer:
    """Answer a request with a link that makes one account, of that e-mail."""
    rooms: Rooms = request.app.state.rooms
    asked, invited = await rooms.identity.requests.approve(by=found.user, request_id=request_id)
    audited.note(request, target_kind="request", target=asked.id, invitation=invited.invitation.id)
    renderer = request.app.state.renderer
    sent = await send_invitation(rooms, renderer, invited, inviter=found.user.name, code=asked.language)
    return ApprovalAnswer(link=link_of(rooms, invited), email=asked.email, sent=sent)


@router.post("/requests/{request_id}/refuse", status_code=204)
async def refuse_account_request(request: Request, found: Person, request_id: str, refusal: Refusal) -> None:
    """Answer a request with no; the person is told where the lab sends e-mail."""
    rooms: Rooms = request.app.state.rooms
    asked = await rooms.identity.requests.refuse(by=found.user, request_id=request_id)
    await letters.sent(rooms.mail, refusal_letter(request, asked, refusal.reason))


@router.post("/mail/test")
async def send_test_message(request: Request, found: Person, asked: MailTest) -> MailOutcome:
    """Send a message that says nothing, and tell what the mail server answered."""
    rooms: Rooms = request.app.state.rooms
    return MailOutcome(problem=await rooms.mail.test(to=asked.to))


@router.get("/mail")
async def mail_that_waits(request: Request, found: Person) -> list[Kept]:
    """Messages that the mail server has not taken."""
    rooms: Rooms = request.app.state.rooms
    return [Kept.model_validate(one) for one in await rooms.mail.waiting()]


def refusal_letter(request: Request, asked: models.AccountRequest, reason: str) -> Message:
    """What whoever is refused reads, in their language."""
    context = {"request": asked, "reason": reason.strip()[:LONGEST]}
    return letters.write(
        request.app.state.renderer, "request_refused", to=asked.email, code=asked.language, context=context
    )
