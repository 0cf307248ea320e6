"""The account's security: the password."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import errors as identity_errors
from etabli.kernel import errors
from etabli.web import problems, shell
from etabli.web.pages.entrance import TEXT, faults_of
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router()


@router.get("/account/security")
async def security_page(request: Request, found: Person, done: str = "") -> Response:
    """How I sign in."""
    return _page(request, found, done=done)


@router.post("/account/password")
async def change_password(
    request: Request, found: Person, current: Annotated[str, Form()] = "", new: Annotated[str, Form()] = ""
) -> Response:
    """Change the password, and sign out everywhere else."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.people.change_password(
            user_id=found.user.id,
            current=current[:TEXT],
            new=new[:TEXT],
            address=request.state.caller.address,
            session_id=found.session_id,
        )
    except identity_errors.WrongCredentials as error:
        return _page(request, found, faults={"current": error.message}, error=error)
    except errors.Invalid as error:
        return _page(request, found, faults=faults_of(error), error=error)
    return shell.go("/account/security", done="password")


def _page(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    faults: dict[str, str] | None = None,
    error: errors.EtabliError | None = None,
) -> Response:
    context = {"done": done, "faults": faults or {}}
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "account/security.html", context, status=status)
