"""A person's photo: taken from them, shown to who is signed in. Initials stand where there is none."""

from typing import Annotated

from fastapi import File, Request, UploadFile
from starlette.responses import Response

from etabli.identity import profiles
from etabli.kernel import errors
from etabli.web import shell
from etabli.web.pages import account
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router(shell.UploadRoute)


@router.post("/account/picture")
async def change_picture(request: Request, found: Person, picture: Annotated[UploadFile, File()]) -> Response:
    """Take a photo."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.profiles.set_picture(user_id=found.user.id, content=await picture.read())
    except errors.Invalid as error:
        return await account.show(request, found, error=error)
    return shell.go("/account", done="picture")


@router.post("/account/picture/remove")
async def remove_picture(request: Request, found: Person) -> Response:
    """Show initials again."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.profiles.remove_picture(user_id=found.user.id)
    return shell.go("/account", done="picture")


@router.get("/pictures/{digest}")
async def picture(request: Request, found: Person, digest: str) -> Response:
    """A photo, for whoever is signed in; its address changes with it."""
    rooms: Rooms = request.app.state.rooms
    content = await rooms.identity.profiles.picture(digest=digest)
    headers = {"Cache-Control": "private, max-age=31536000, immutable"}
    return Response(content, media_type=profiles.PICTURE_TYPE, headers=headers)
