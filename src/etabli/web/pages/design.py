"""The page that shows every part that pages are made of, in each state: for who works on the lab's pages, its administrator."""

from fastapi import Request
from starlette.responses import Response

from etabli.identity import models
from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router(shell.AdminRoute)


@router.get("/design")
async def design_page(request: Request, found: Person, density: str = "") -> Response:
    """Every part."""
    rooms: Rooms = request.app.state.rooms
    shown = models.Density.COMPACT if density == models.Density.COMPACT else models.Density.COMFORTABLE
    return shell.page(request, found, "design.html", {"density": shown.value, "now": rooms.clock.now()})
