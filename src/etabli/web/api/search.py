"""Search everywhere, for programs."""

from fastapi import Request

from etabli.web import search
from etabli.web.api import answers, shared
from etabli.web.visitors import Person

router = shared.router("search")


@router.get("/search")
async def find(request: Request, found: Person, q: str = "") -> list[answers.Hit]:
    """What fits the words, best first, of all that one may see; without words, what was used last and the main pages."""
    return [
        answers.Hit(kind=hit.kind.value, title=hit.title, detail=hit.detail, address=hit.address)
        for hit in await search.find(request, found, q)
        if hit.form is None  # Actions are routes of their own here.
    ]
