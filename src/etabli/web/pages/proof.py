"""Proving once more who is signed in, before what would let somebody at an unlocked screen take the account over."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import errors as identity_errors
from etabli.kernel import errors
from etabli.web import gates, problems, shell, visitors
from etabli.web.pages.entrance import Next, NextField
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT
from etabli.web.visitors import Person, Visitor

router = shell.router()


@router.get("/prove")
async def proof_page(request: Request, found: Person, onward: Next = "/account/security") -> Response:
    """What one may prove it with."""
    return await _page(request, found, path=visitors.local_path(onward))


@router.post("/prove")
async def prove_by_password(
    request: Request, found: Person, password: Annotated[str, Form()] = "", onward: NextField = "/account/security"
) -> Response:
    """By the password."""
    rooms: Rooms = request.app.state.rooms
    path = visitors.local_path(onward)
    try:
        await rooms.identity.sessions.prove(
            user_id=found.user.id,
            session_id=found.session_id,
            password=password[:TEXT],
            address=request.state.caller.address,
        )
    except identity_errors.WrongCredentials as error:
        return await _page(request, found, path=path, error=error)
    return shell.go(path)


@router.post("/prove/passkey")
async def prove_by_passkey(
    request: Request, found: Person, credential: Annotated[str, Form()] = "", onward: NextField = "/account/security"
) -> Response:
    """By a passkey of theirs."""
    rooms: Rooms = request.app.state.rooms
    path = visitors.local_path(onward)
    try:
        await rooms.identity.passkeys.prove(
            user_id=found.user.id, session_id=found.session_id, visit=found.csrf, credential=credential
        )
    except (identity_errors.WrongPasskey, errors.Forbidden) as error:
        return await _page(request, found, path=path, error=error)
    return shell.go(path)


async def _page(request: Request, found: Visitor, *, path: str, error: errors.EtabliError | None = None) -> Response:
    rooms: Rooms = request.app.state.rooms
    ways = await rooms.identity.people.ways(user_id=found.user.id)
    status = 200 if error is None else problems.status_of(error)
    is_asked = gates.lacks_factor(request, found)
    return shell.page(
        request,
        found,
        "prove.html",
        {"next": path, "ways": ways, "error": error, "is_asked": is_asked},
        status=status,
    )
