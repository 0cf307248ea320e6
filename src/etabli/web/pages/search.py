"""Search everywhere: a page of its own, and the list that its dialog shows as one types (static/search.js)."""

from fastapi import Request
from starlette.responses import HTMLResponse, Response

from etabli.web import search, shell
from etabli.web.visitors import Person

router = shell.router()


@router.get("/search")
async def search_page(request: Request, found: Person, q: str = "") -> Response:
    """What fits the words."""
    typed = q[: search.LONGEST]
    hits = await search.find(request, found, typed)
    return shell.page(request, found, "search.html", {"hits": hits, "typed": typed})


@router.get("/search/hits")
async def hits(request: Request, found: Person, q: str = "") -> Response:
    """The same as the options of a list box."""
    hits = await search.find(request, found, q[: search.LONGEST])
    return HTMLResponse(shell.partial(request, found, "_hits.html", {"hits": hits}))
