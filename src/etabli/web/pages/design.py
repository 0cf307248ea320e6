"""The page that shows every part that pages are made of, in each state: for who works on the lab's pages, its administrator."""

from fastapi import Request
from starlette.responses import Response

from etabli.identity import models
from etabli.kernel import errors
from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()


@router.get("/design")
async def design_page(request: Request, found: Person, density: str = "") -> Response:
    """Every part. NotFound but for administrators."""
    if not found.user.is_admin:
        raise errors.NotFound("there is no such page")
    rooms: Rooms = request.app.state.rooms
    shown = models.Density.COMPACT if density == models.Density.COMPACT else models.Density.COMFORTABLE
    return shell.page(request, found, "design.html", {"density": shown.value, "now": rooms.clock.now()})
