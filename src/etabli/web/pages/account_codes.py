"""Turning codes by time on and off, and the recovery codes that are shown this once."""

import io
from collections.abc import Sequence
from typing import Annotated

from fastapi import Form, Request
from markupsafe import Markup
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import problems, shell, visitors
from etabli.web.pages.entrance import Next
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Proven, Visitor

router = shell.router()


@router.get("/account/security/codes")
async def codes_page(request: Request, found: Proven, onward: Next = "/account/security") -> Response:
    """What codes are; while a first one is waited for, what the application is to be told."""
    return await _page(request, found, path=visitors.local_path(onward))


@router.post("/account/security/codes")
async def begin_codes(request: Request, found: Proven) -> Response:
    """Make the secret that the application is to be told."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.codes.begin(user=found.user)
    except errors.Conflict:
        return shell.go("/account/security")
    return shell.go("/account/security/codes")


@router.post("/account/security/codes/confirm")
async def turn_codes_on(request: Request, found: Proven, code: Annotated[str, Form()] = "") -> Response:
    """Turn them on by a first code, and show the recovery codes."""
    rooms: Rooms = request.app.state.rooms
    try:
        fresh = await rooms.identity.codes.confirm(
            user=found.user, session_id=found.session_id, code=code[:TEXT], address=request.state.caller.address
        )
    except errors.Invalid as error:
        return await _page(request, found, path="/account/security", error=error)
    return _recovery(request, found, fresh, is_new=True)


@router.post("/account/security/codes/renew")
async def renew_recovery_codes(request: Request, found: Proven) -> Response:
    """Ten other recovery codes, shown this once."""
    rooms: Rooms = request.app.state.rooms
    return _recovery(request, found, await rooms.identity.codes.renew(user=found.user), is_new=False)


@router.post("/account/security/codes/off")
async def turn_codes_off(request: Request, found: Proven) -> Response:
    """Forget the codes of both kinds."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.codes.turn_off(user=found.user)
    return shell.go("/account/security", done="codes-off")


async def _page(request: Request, found: Visitor, *, path: str, error: errors.EtabliError | None = None) -> Response:
    rooms: Rooms = request.app.state.rooms
    state = await rooms.identity.codes.state(user=found.user)
    if state.since is not None:
        return shell.go(path)
    waiting = await rooms.identity.codes.waiting(user=found.user)
    context = {
        "next": path,
        "waiting": waiting,
        "picture": picture_of(waiting.uri) if waiting else "",
        "is_required": state.is_required,
        "faults": faults_of(error),
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "codes.html", context, status=status)


def picture_of(uri: str) -> Markup:
    """A QR code as inline SVG: dark on white in any theme, which cameras want."""
    import segno  # noqa: PLC0415 - Loaded when somebody first needs one.

    drawn = io.BytesIO()
    segno.make(uri, error="m", micro=False).save(
        drawn, kind="svg", xmldecl=False, svgns=False, svgclass="qr", lineclass=None, scale=5, light="#fff"
    )
    return Markup(drawn.getvalue().decode())


def _recovery(request: Request, found: Visitor, fresh: Sequence[str], *, is_new: bool) -> Response:
    return shell.page(request, found, "recovery_codes.html", {"codes": fresh, "is_new": is_new})
