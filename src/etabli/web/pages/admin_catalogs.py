"""Catalogues, for administrators: where they come from, when they were read, what cannot be used and why."""

from fastapi import Request
from starlette.responses import Response

from etabli.web import shell
from etabli.web.pages.catalog import in_language
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router(shell.AdminRoute)


@router.get("/admin/catalogs")
async def catalogs_page(request: Request, found: Person, done: str = "") -> Response:
    """Every catalogue."""
    rooms: Rooms = request.app.state.rooms
    listings = await rooms.admin.catalogs.list(by=found.user)
    shown = [(listing, in_language(dict(listing.name), found.language) or listing.id) for listing in listings]
    return shell.page(request, found, "admin/catalogs.html", {"shown": shown, "done": done})


@router.post("/admin/catalogs/{catalog}/refresh")
async def refresh(request: Request, found: Person, catalog: str) -> Response:
    """Read one again now."""
    rooms: Rooms = request.app.state.rooms
    listing = await rooms.admin.catalogs.refresh(by=found.user, catalog_id=catalog)
    return shell.go("/admin/catalogs", done="failed" if listing.problem else "read")
