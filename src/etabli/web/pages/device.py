"""Where a person says yes or no to a program that asks for a token: `etabli login` on another machine (RFC 8628).

Two steps, so that nobody agrees to what they did not read: the code, typed; then what asks, from where, for what.
"""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import limits
from etabli.kernel import errors
from etabli.web import problems, shell
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT
from etabli.web.visitors import Person, Proven, Visitor

router = shell.router()


@router.get("/device")
async def device_page(request: Request, found: Person, code: str = "", done: str = "") -> Response:
    """Where the code is typed; a link may have filled it in, and agrees to nothing."""
    return _page(request, found, code=code[:TEXT], done=done)


@router.post("/device")
async def answer_device(
    request: Request, found: Proven, code: Annotated[str, Form()] = "", decision: Annotated[str, Form()] = ""
) -> Response:
    """What the program behind the code asks; or yes to it, or no."""
    rooms: Rooms = request.app.state.rooms
    address = request.state.caller.address
    try:
        if decision in ("yes", "no"):
            agreed = decision == "yes"
            await rooms.identity.devices.decide(code=code, by=found.user, agreed=agreed, address=address)
            return shell.go("/device", done=decision)
        question = await rooms.identity.devices.look(code=code, by=found.user, address=address)
    except errors.NotFound as error:
        return _page(request, found, code=code[:TEXT], error=error)
    elsewhere = question.address != limits.normal_address(address)
    return shell.page(
        request, found, "device_decide.html", {"code": code[:TEXT], "question": question, "elsewhere": elsewhere}
    )


def _page(
    request: Request, found: Visitor, *, code: str = "", done: str = "", error: errors.EtabliError | None = None
) -> Response:
    context = {"code": code, "done": done, "error": error}
    return shell.page(
        request, found, "device.html", context, status=200 if error is None else problems.status_of(error)
    )
