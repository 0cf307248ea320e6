"""Passkeys on pages: what the browser is asked, and forms that carry what it answers.

`static/passkeys.js` stands between: it fetches the options, asks the browser, puts the answer into the form and sends it. A challenge
is bound to the visit that asked for it by the token that its forms carry, which no other origin can read.
"""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import errors as identity_errors
from etabli.identity import passkeys
from etabli.kernel import errors
from etabli.web import shell, visitors
from etabli.web.pages import account_security, entrance
from etabli.web.pages.entrance import NextField
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT
from etabli.web.visitors import Anyone, Person, Proven

router = shell.router()
Credential = Annotated[str, Form()]


@router.post("/sign-in/passkey/options")
async def passkey_options(request: Request, found: Anyone) -> Response:
    """What to ask the browser, to sign in."""
    rooms: Rooms = request.app.state.rooms
    return _json(await rooms.identity.passkeys.ask(visit=found.csrf))


@router.post("/sign-in/passkey")
async def sign_in_with_passkey(
    request: Request, found: Anyone, credential: Credential = "", onward: NextField = "/"
) -> Response:
    """Open a session for who has the passkey, or say that it opens nothing."""
    rooms: Rooms = request.app.state.rooms
    path = visitors.local_path(onward)
    try:
        opened = await rooms.identity.passkeys.sign_in(
            visit=found.csrf,
            credential=credential,
            address=request.state.caller.address,
            user_agent=request.headers.get("user-agent", ""),
        )
    except (identity_errors.WrongPasskey, errors.Forbidden) as error:
        return entrance.sign_in_form(request, found, path=path, error=error)
    return entrance.entered(request, found, opened, path)


@router.post("/prove/passkey/options")
async def proof_options(request: Request, found: Person) -> Response:
    """What to ask the browser, to prove again who is signed in."""
    rooms: Rooms = request.app.state.rooms
    return _json(await rooms.identity.passkeys.ask(visit=found.csrf, purpose=passkeys.PROVE))


@router.post("/account/security/passkeys/options")
async def new_passkey_options(request: Request, found: Proven) -> Response:
    """What to ask the browser, to make a passkey."""
    rooms: Rooms = request.app.state.rooms
    return _json(await rooms.identity.passkeys.offer(user=found.user, visit=found.csrf))


@router.post("/account/security/passkeys")
async def add_passkey(
    request: Request, found: Proven, credential: Credential = "", passkey: Annotated[str, Form()] = ""
) -> Response:
    """Keep a passkey that the browser made."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.passkeys.add(user=found.user, visit=found.csrf, credential=credential, name=passkey[:TEXT])
    except (identity_errors.WrongPasskey, errors.Invalid, errors.Conflict) as error:
        return await account_security.page(request, found, error=error)
    return shell.go("/account/security", done="passkey")


@router.post("/account/security/passkeys/{passkey_id}/remove")
async def remove_passkey(
    request: Request, found: Proven, passkey_id: str, really: Annotated[str, Form()] = ""
) -> Response:
    """Forget a passkey; asked again where nothing else lets its person in."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.passkeys.remove(user_id=found.user.id, passkey_id=passkey_id, even_last=bool(really))
    except errors.Conflict as error:
        return await account_security.page(request, found, error=error, last=passkey_id)
    return shell.go("/account/security", done="removed")


def _json(text: str) -> Response:
    return Response(text, media_type="application/json")
