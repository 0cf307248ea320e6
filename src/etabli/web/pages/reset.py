"""Where a link leads that lets somebody in again: a new password, and without the factors that they lost where the link allows it."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import audited, shell
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Anyone, Visitor

router = shell.router()


@router.get("/reset")
async def reset_page(request: Request, found: Anyone, token: str = "") -> Response:
    """Where the new password is typed."""
    return await _page(request, found, token=token)


@router.post("/reset")
async def reset_password(
    request: Request,
    found: Anyone,
    token: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    factors: Annotated[str, Form()] = "",
) -> Response:
    """Set it, and sign out everywhere."""
    rooms: Rooms = request.app.state.rooms
    try:
        user = await rooms.identity.resets.use(token=token, password=password[:TEXT], remove_factors=bool(factors))
    except errors.Invalid as error:
        return await _page(request, found, token=token, error=error)
    audited.note(request, actor=user, target_kind="person", target=user.slug, factors="removed" if factors else "kept")
    return shell.go("/sign-in", done="reset")


async def _page(request: Request, found: Visitor, *, token: str, error: errors.Invalid | None = None) -> Response:
    rooms: Rooms = request.app.state.rooms
    reset = await rooms.identity.resets.look(token=token)
    context = {"token": token, "reset": reset, "faults": faults_of(error)}
    return shell.page(request, found, "reset.html", context, status=200 if error is None else 422)
