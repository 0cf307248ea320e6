"""Home: signed out, what the lab is; signed in, what runs and what to do next."""

from fastapi import Request
from starlette.responses import Response

from etabli.services import models
from etabli.web import shell
from etabli.web.pages import services
from etabli.web.visitors import Anyone

router = shell.router()
SHOWN = 4  # Services on the page: the rest is one click away.


@router.get("/")
async def home(request: Request, found: Anyone) -> Response:
    """The first page."""
    if found.someone is None:
        return shell.go("/sign-in")
    rows = await services.rows(request, found)
    ready = sum(row.service.state is models.State.READY for row in rows)
    return shell.page(request, found, "home.html", {"rows": rows[:SHOWN], "total": len(rows), "ready": ready})
