"""The way into a service's own origin: to the portal and back with a one-time code, which buys the cookie of that host."""

from fastapi import Request
from starlette.responses import RedirectResponse, Response

from etabli.door import models
from etabli.services import errors as service_errors
from etabli.web import shell, visitors
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()


@router.get("/open")
async def open_host(request: Request, found: Person, host: str = "", to: str = "/") -> Response:
    """Where the front door sends who has no cookie for `host` yet."""
    rooms: Rooms = request.app.state.rooms
    bare = host.partition(":")[0].lower()
    try:
        address = await rooms.services.address_of_host(
            user_id=found.user.id, session_id=found.session_id, host=bare, to=visitors.local_path(to)
        )
    except service_errors.NotOpenable:
        service_id = await rooms.door.service_of(host=bare)
        return shell.go(f"/services/{service_id}")
    return RedirectResponse(address, status_code=303)


@router.get(models.ENTER_PATH)
async def enter(request: Request, code: str = "", to: str = "/") -> Response:
    """On a service's own host: spend the code, set that host's cookie, go on to the service."""
    rooms: Rooms = request.app.state.rooms
    token = await rooms.door.redeem(code=code, host=request.headers.get("host", ""))
    response = RedirectResponse(visitors.local_path(to), status_code=303)
    response.headers.append("Set-Cookie", models.set_cookie(token))
    return response
