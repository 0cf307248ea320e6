"""Branding, for administrators: what it looks like in both themes, before it is used too."""

from fastapi import Request
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import problems, shell
from etabli.web.branding import Brand
from etabli.web.pages import branding as pictures
from etabli.web.rooms import Rooms
from etabli.web.shell import faults_of
from etabli.web.visitors import Person

router = shell.router(shell.AdminRoute)
TEXT = 200


@router.get("/admin/branding")
async def branding_page(request: Request, found: Person, folder: str = "", accent: str = "") -> Response:
    """What holds, or what another folder or accent would look like."""
    rooms: Rooms = request.app.state.rooms
    given = {"folder": folder[:TEXT], "accent": accent[:TEXT]}
    error: errors.Invalid | None = None
    try:
        brand = rooms.branding.preview(**given)
    except errors.Invalid as refused:
        brand, error = rooms.branding.current(), refused
    context = {
        "shown": brand,
        "given": given,
        "faults": faults_of(error),
        "is_draft": error is None and any(given.values()),
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "admin/branding.html", context, status=status)


@router.get("/admin/branding/style.css")
async def preview_style(request: Request, found: Person, folder: str = "", accent: str = "") -> Response:
    """The accent that is looked at, for the samples alone."""
    brand = _preview(request, folder, accent)
    return Response(brand.style.replace(":root, [data-theme]", ".brand-sample[data-theme]"), media_type="text/css")


@router.get("/admin/branding/logo")
async def preview_logo(request: Request, found: Person, folder: str = "") -> Response:
    """The logo that is looked at."""
    return pictures.picture(_preview(request, folder, "").logo, cache="no-store")


def _preview(request: Request, folder: str, accent: str) -> Brand:
    rooms: Rooms = request.app.state.rooms
    return rooms.branding.preview(folder=folder[:TEXT], accent=accent[:TEXT])
