"""The catalogue: what can be launched, with a search that a script makes instant."""

from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from etabli.catalog import models
from etabli.web import ranking, shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()
LONGEST_SEARCH = 200


@dataclass(frozen=True)
class ShownChart:
    """One row."""

    name: str
    version: str
    description: str
    words: str  # What a search looks in.
    problem: str


@dataclass(frozen=True)
class ShownListing:
    """One catalogue, in the reader's language, as far as it matches."""

    id: str
    name: str
    description: str
    problem: str
    charts: tuple[ShownChart, ...]


@router.get("/catalog")
async def catalog_page(request: Request, found: Person, search: str = "") -> Response:
    """Every catalogue."""
    rooms: Rooms = request.app.state.rooms
    words = ranking.plain(search[:LONGEST_SEARCH]).split()
    listings = [shown(listing, found.language, words) for listing in await rooms.catalog.listings() if listing.public]
    matching = [listing for listing in listings if listing.charts or listing.problem]
    return shell.page(request, found, "catalog.html", {"listings": matching, "search": search[:LONGEST_SEARCH]})


def in_language(texts: dict[str, str] | object, code: str) -> str:
    """A text that the administrator wrote in several languages: in this one, else in English, else in any."""
    if not isinstance(texts, dict) or not texts:
        return ""
    return texts.get(code) or texts.get("en") or next(iter(texts.values()))


def shown(listing: models.Listing, code: str, words: list[str]) -> ShownListing:
    """A catalogue in a language, with the charts that hold all the words."""
    charts = [_chart(entry) for entry in listing.entries]
    kept = tuple(chart for chart in charts if all(word in ranking.plain(chart.words) for word in words))
    return ShownListing(
        id=listing.id,
        name=in_language(dict(listing.name), code) or listing.id,
        description=in_language(dict(listing.description), code),
        problem=listing.problem,
        charts=kept,
    )


def _chart(entry: models.Entry) -> ShownChart:
    if entry.problem:
        return ShownChart(name=entry.name, version="", description="", words=entry.name, problem=entry.problem)
    info = entry.latest
    return ShownChart(
        name=entry.name,
        version=info.version,
        description=info.description,
        words=" ".join((entry.name, info.description, *info.keywords)),
        problem="",
    )
