"""Help: the guides, beside what they explain; and the statement on accessibility."""

from fastapi import Request
from starlette.responses import Response

from etabli.web import guides, shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Anyone

router = shell.router()


@router.get("/help")
async def help_page(found: Anyone) -> Response:
    """The guide that most look for."""
    return shell.go("/help/user")


@router.get("/help/{guide}")
async def guide_page(request: Request, found: Anyone, guide: str) -> Response:
    """One guide."""
    rooms: Rooms = request.app.state.rooms
    shown = rooms.guides.read(guide, language=found.language)
    return shell.page(request, found, "help.html", {"guide": shown, "here": f"/help/{guide}", "guides": guides.GUIDES})


@router.get("/accessibility")
async def accessibility_page(request: Request, found: Anyone) -> Response:
    """What was done for everybody to use the lab, what was tested and how, whom to write to."""
    return shell.page(request, found, "accessibility.html", {})
