"""How the lab's backups stand, for administrators. Taking and restoring them is the operator's, on the lab's machine."""

from fastapi import Request
from starlette.responses import Response

from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router(shell.AdminRoute)


@router.get("/admin/backups")
async def backups_page(request: Request, found: Person) -> Response:
    """When the last one was taken, of what, and what is wrong."""
    rooms: Rooms = request.app.state.rooms
    return shell.page(request, found, "admin/backups.html", {"standing": rooms.backups.standing()})
