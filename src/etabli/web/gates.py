"""What whoever comes in must do before anything else: accept the terms of use, and show the second factor that the lab asks of them.

Pages lead to where it is done, the API answers 403 with the reason. The operator is not asked: they set the lab up. Services that run
go on. Who has a passkey shows it: a password alone must not be enough to set another second factor up.
"""

from fastapi import Request

from etabli.identity import models
from etabli.web import problems, visitors
from etabli.web.rooms import Rooms
from etabli.web.visitors import Anyone, Visitor

# To do it, or to leave.
ALWAYS = ("/sign-in", "/sign-out", "/language", "/look", "/welcome", "/reset", "/prove", "/terms", "/api/v1/terms")
SET_UP = "/account/security"
FACTORS = 2


async def check(request: Request) -> None:
    """GateClosed where something is to be done first, by whoever asks."""
    if request.url.path.startswith(ALWAYS):
        return
    found = await visitors.visitor(request)
    await _check_terms(request, found)
    if lacks_factor(request, found):
        await _check_factor(request, found)


async def current_user(request: Request, found: Anyone) -> models.User | None:
    """Who is signed in, for pages of other rooms. GateClosed as `check`."""
    await check(request)
    return found.someone


def lacks_factor(request: Request, found: Visitor) -> bool:
    """Whether the lab asks a second factor of who is signed in, and this session has shown one alone."""
    rooms: Rooms = request.app.state.rooms
    if found.someone is None or found.session is None or found.session.factors >= FACTORS:
        return False
    return rooms.identity.codes.is_required(found.someone)


async def _check_terms(request: Request, found: Visitor) -> None:
    rooms: Rooms = request.app.state.rooms
    is_program = found.bearer is not None and found.bearer.is_service_account
    if found.someone is None or found.is_operator or is_program:
        return
    if await rooms.identity.terms.is_due(user_id=found.user.id):
        raise problems.GateClosed(
            "this lab's terms of use are to be accepted first", hint="read them at /terms", page="/terms"
        )


async def _check_factor(request: Request, found: Visitor) -> None:
    rooms: Rooms = request.app.state.rooms
    ways = await rooms.identity.people.ways(user_id=found.user.id)
    if ways.passkeys:
        raise problems.GateClosed("this lab asks a second factor of you", hint="show your passkey", page="/prove")
    if not request.url.path.startswith(SET_UP):
        raise problems.GateClosed(
            "this lab asks a second factor of you", hint="set one up in your account", page=f"{SET_UP}/codes"
        )
