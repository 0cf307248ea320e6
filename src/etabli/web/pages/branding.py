"""The files of branding, as every page loads them."""

from fastapi import Request
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import assets, branding, shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Anyone

router = shell.router()


@router.get("/branding/{digest}/accent.css")
async def accent_style(request: Request, found: Anyone, digest: str) -> Response:
    """The accent, for good: its address changes with it."""
    rooms: Rooms = request.app.state.rooms
    brand = rooms.branding.current()
    if not brand.style_digest or digest != brand.style_digest:
        raise errors.NotFound("there is no such page")
    return Response(brand.style, media_type="text/css", headers={"Cache-Control": assets.FOREVER})


@router.get("/branding/{digest}/logo")
async def logo(request: Request, found: Anyone, digest: str) -> Response:
    """The logo, for good."""
    rooms: Rooms = request.app.state.rooms
    kept = rooms.branding.current().logo
    return picture(kept if kept is not None and kept.digest == digest else None, cache=assets.FOREVER)


def picture(kept: branding.Logo | None, *, cache: str) -> Response:
    """A logo as it is served. NotFound for none."""
    if kept is None:
        raise errors.NotFound("there is no such page")
    headers = {"Cache-Control": cache, "Content-Security-Policy": branding.LOGO_POLICY}
    return Response(kept.content, media_type=kept.media_type, headers=headers)
