"""The account's notifications: what the lab tells by e-mail."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.mail.models import Notice
from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()
OF_ADMINISTRATORS = frozenset({Notice.ACCOUNT_ASKED})


@router.get("/account/notifications")
async def notifications_page(request: Request, found: Person, done: str = "") -> Response:
    """What I am told by e-mail."""
    rooms: Rooms = request.app.state.rooms
    unwanted = await rooms.mail.unwanted(user_id=found.user.id)
    context = {
        "done": done,
        "sends": rooms.mail.is_set_up,
        "notices": [(notice.value, notice not in unwanted) for notice in _offered(is_admin=found.user.is_admin)],
    }
    return shell.page(request, found, "account/notifications.html", context)


@router.post("/account/notifications")
async def choose_notifications(
    request: Request, found: Person, notice: Annotated[list[str] | None, Form()] = None
) -> Response:
    """Choose what I am told by e-mail."""
    rooms: Rooms = request.app.state.rooms
    wanted = {one for one in Notice if one.value in (notice or ())}
    await rooms.mail.choose(user_id=found.user.id, wanted=wanted)
    return shell.go("/account/notifications", done="saved")


def _offered(*, is_admin: bool) -> tuple[Notice, ...]:
    return tuple(notice for notice in Notice if is_admin or notice not in OF_ADMINISTRATORS)
