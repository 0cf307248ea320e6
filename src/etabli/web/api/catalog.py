"""Catalogues and charts, for programs."""

from collections.abc import Mapping
from dataclasses import asdict

from fastapi import Request

from etabli.catalog import models
from etabli.web.api import answers, shared
from etabli.web.pages.catalog import in_language
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.router("catalog")


@router.get("/catalogs")
async def catalogs(request: Request, found: Person) -> list[answers.Catalog]:
    """Every catalogue and its charts."""
    rooms: Rooms = request.app.state.rooms
    return [_catalog(listing, found.language) for listing in await rooms.catalog.listings() if listing.public]


@router.get("/catalogs/{catalog}/charts/{chart}/schema")
async def schema(
    request: Request, found: Person, catalog: str, chart: str, version: str | None = None
) -> Mapping[str, object]:
    """The JSON schema that a launch's values are checked against, resolved."""
    rooms: Rooms = request.app.state.rooms
    context = await rooms.services.context(user_id=found.user.id, project_id=found.project.project.id)
    opening = await rooms.catalog.open(catalog=catalog, chart=chart, version=version, context=context)
    return opening.schema


@router.get("/catalogs/{catalog}/charts/{chart}/form")
async def form(
    request: Request, found: Person, catalog: str, chart: str, version: str | None = None, project: str | None = None
) -> Mapping[str, object]:
    """What a launch asks, as a form: for this person, in this project."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, project)
    context = await rooms.services.context(user_id=found.user.id, project_id=access.project.id)
    opening = await rooms.catalog.open(catalog=catalog, chart=chart, version=version, context=context)
    return asdict(opening.form)


def _catalog(listing: models.Listing, code: str) -> answers.Catalog:
    return answers.Catalog(
        id=listing.id,
        name=in_language(dict(listing.name), code) or listing.id,
        description=in_language(dict(listing.description), code),
        problem=listing.problem,
        charts=[_chart(entry) for entry in listing.entries],
    )


def _chart(entry: models.Entry) -> answers.Chart:
    if entry.problem:
        return answers.Chart(name=entry.name, version="", description="", versions=[], problem=entry.problem)
    info = entry.latest
    return answers.Chart(
        name=entry.name,
        version=info.version,
        description=info.description,
        versions=[one.version for one in entry.versions],
    )
