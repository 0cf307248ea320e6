"""Asking for an account from outside: one page, and one answer whatever the lab knows of who asks."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import models
from etabli.identity.requests import Asking
from etabli.kernel import errors
from etabli.web import letters, shell
from etabli.web.rendering import Renderer
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Anyone, Visitor

router = shell.router()
LONG_TEXT = 4000  # Characters of a message: past it the use case refuses anyway.


@router.get("/ask")
async def ask_page(request: Request, found: Anyone, done: str = "") -> Response:
    """The form. NotFound where the lab takes no requests."""
    rooms: Rooms = request.app.state.rooms
    if not rooms.identity.requests.are_open:
        raise errors.NotFound("this lab takes no requests for accounts", hint="ask an administrator for a link")
    return _page(request, found, done=bool(done))


@router.post("/ask")
async def ask(
    request: Request,
    found: Anyone,
    name: Annotated[str, Form()] = "",
    email: Annotated[str, Form()] = "",
    message: Annotated[str, Form()] = "",
) -> Response:
    """Note the request, or send the link of an open domain; a fault keeps what was typed."""
    rooms: Rooms = request.app.state.rooms
    asking = Asking(name=name[:TEXT], email=email[:TEXT], message=message[:LONG_TEXT], language=found.language)
    try:
        invited = await rooms.identity.requests.ask(asking=asking, address=request.state.caller.address)
        if invited is not None and not await _send(request, invited, found.language):
            await rooms.identity.requests.note(asking=asking)
    except errors.Invalid as error:
        return _page(request, found, asking=asking, faults=faults_of(error))
    return shell.go("/ask", done="1")


async def _send(request: Request, invited: models.Invited, code: str) -> bool:
    rooms: Rooms = request.app.state.rooms
    return await send_invitation(rooms, request.app.state.renderer, invited, inviter="", code=code)


async def send_invitation(
    rooms: Rooms, renderer: Renderer, invited: models.Invited, *, inviter: str, code: str
) -> bool:
    """Whether the link of an invitation could be sent to the e-mail that it is for."""
    assert invited.invitation.email is not None
    message = letters.write(
        renderer,
        "invitation",
        to=invited.invitation.email,
        code=code,
        context={
            "inviter": inviter,
            "project": invited.invitation.project,
            "link": link_of(rooms, invited),
            "expires_at": invited.invitation.expires_at,
        },
    )
    return await letters.sent(rooms.mail, message)


def link_of(rooms: Rooms, invited: models.Invited) -> str:
    """Where an invitation leads."""
    return f"{rooms.lab.origin}/welcome?token={invited.token}"


def _page(
    request: Request,
    found: Visitor,
    *,
    asking: Asking | None = None,
    faults: dict[str, str] | None = None,
    done: bool = False,
) -> Response:
    given = asking or Asking(name="", email="")
    context = {"given": given, "faults": faults or {}, "done": done}
    return shell.page(request, found, "ask.html", context, status=422 if faults else 200)
