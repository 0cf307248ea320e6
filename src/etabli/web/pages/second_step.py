"""The second step of a sign-in: a code, once the first factor was good."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import problems, shell, visitors
from etabli.web.pages import entrance
from etabli.web.pages.entrance import Next, NextField
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Anyone, Visitor

router = shell.router()


@router.get("/sign-in/second")
async def second_step_page(request: Request, found: Anyone, onward: Next = "/") -> Response:
    """Where the code is typed; the sign-in page for who did not come from there."""
    path = visitors.local_path(onward)
    if found.someone is not None:
        return shell.go(path)
    return await _page(request, found, path=path)


@router.post("/sign-in/second")
async def finish_sign_in(
    request: Request, found: Anyone, code: Annotated[str, Form()] = "", onward: NextField = "/"
) -> Response:
    """Open the session; how many recovery codes are left, where it was one."""
    rooms: Rooms = request.app.state.rooms
    path = visitors.local_path(onward)
    try:
        entered = await rooms.identity.codes.finish(
            step=request.cookies.get(visitors.STEP_COOKIE, ""),
            code=code[:TEXT],
            address=request.state.caller.address,
            user_agent=request.headers.get("user-agent", ""),
        )
    except errors.Invalid as error:
        return await _page(request, found, path=path, error=error)
    except errors.NotFound as error:
        return entrance.sign_in_form(request, found, path=path, error=error)
    response = entrance.entered(request, found, entered.opened, path)
    if entered.recovery_left is None:
        return response
    shown = shell.page(request, found, "recovered.html", {"next": path, "left": entered.recovery_left})
    for name, value in response.headers.items():
        if name == "set-cookie":
            shown.headers.append(name, value)
    return shown


async def _page(request: Request, found: Visitor, *, path: str, error: errors.EtabliError | None = None) -> Response:
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.codes.who(step=request.cookies.get(visitors.STEP_COOKIE, ""))
    except errors.NotFound as over:
        return entrance.sign_in_form(request, found, path=path, error=over)
    context = {"next": path, "faults": faults_of(error)}
    return shell.page(
        request, found, "second_step.html", context, status=200 if error is None else problems.status_of(error)
    )
