"""How one proves who one is: the password and the passkeys of an account."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import errors as identity_errors
from etabli.kernel import errors
from etabli.web import problems, shell, visitors
from etabli.web.browsers import device
from etabli.web.pages import outside
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Person, Visitor

router = shell.router()


@router.get("/account/security")
async def security_page(request: Request, found: Person, done: str = "") -> Response:
    """What lets me in."""
    return await page(request, found, done=done)


@router.post("/account/password")
async def change_password(
    request: Request, found: Person, current: Annotated[str, Form()] = "", new: Annotated[str, Form()] = ""
) -> Response:
    """Change the password, or choose a first one after a fresh proof, and sign out everywhere else."""
    rooms: Rooms = request.app.state.rooms
    ways = await rooms.identity.people.ways(user_id=found.user.id)
    if not ways.password:
        return await _choose_password(request, await visitors.proven(request, found), new[:TEXT])
    try:
        await rooms.identity.people.change_password(
            user_id=found.user.id,
            current=current[:TEXT],
            new=new[:TEXT],
            address=request.state.caller.address,
            session_id=found.session_id,
        )
    except identity_errors.WrongCredentials as error:
        return await page(request, found, faults={"current": error.message}, error=error)
    except errors.Invalid as error:
        return await page(request, found, error=error)
    return shell.go("/account/security", done="password")


async def _choose_password(request: Request, found: Visitor, new: str) -> Response:
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.people.choose_password(user_id=found.user.id, new=new, session_id=found.session_id)
    except errors.Invalid as error:
        return await page(request, found, error=error)
    return shell.go("/account/security", done="password")


async def page(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    error: errors.EtabliError | None = None,
    faults: dict[str, str] | None = None,
    last: str = "",
) -> Response:
    """The whole page; `last` is the passkey that one asked to remove although nothing else lets one in."""
    rooms: Rooms = request.app.state.rooms
    return shell.page(
        request,
        found,
        "account/security.html",
        {
            "done": done,
            "error": error,
            "faults": faults if faults is not None else faults_of(error),
            "ways": await rooms.identity.people.ways(user_id=found.user.id),
            "passkeys": await rooms.identity.passkeys.list(user_id=found.user.id),
            "second": await rooms.identity.codes.state(user=found.user),
            "offers_codes": rooms.identity.codes.is_offered,
            "last": last,
            "outside": await outside.shown(request, found),
            "here": device(request.headers.get("user-agent", "")),
        },
        status=200 if error is None else problems.status_of(error),
    )
