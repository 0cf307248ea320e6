"""One's own account, for programs: what `/account` changes. No token does it: it takes a session, or the lab's operator."""

from typing import Annotated

from fastapi import Body, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from etabli.identity import models, people
from etabli.web import language
from etabli.web.api import shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.router("account")


class Choices(BaseModel):
    """What people choose for themselves. What is left out stays."""

    name: str | None = None
    email: str | None = Field(default=None, description="Empty takes it away.")
    language: str | None = Field(default=None, description=f"One of {', '.join(language.NAMES)}.")
    theme: models.Theme | None = None
    density: models.Density | None = None
    git_name: str | None = Field(default=None, description="What commits are signed with; empty: the name.")
    git_email: str | None = Field(default=None, description="The same for the e-mail.")


class Chosen(BaseModel):
    """What holds now."""

    name: str
    email: str | None
    language: str
    theme: models.Theme
    density: models.Density
    git_name: str | None
    git_email: str | None
    picture: str | None = Field(description="Where the photo is; none: initials.")


@router.patch("/me")
async def change_me(request: Request, found: Person, asked: Choices) -> Chosen:
    """Change my name, e-mail, language, look, Git names."""
    rooms: Rooms = request.app.state.rooms
    user = found.user
    profile = people.Profile(
        name=user.name if asked.name is None else asked.name,
        email=user.email if asked.email is None else asked.email,
        language=asked.language or user.language,
    )
    look = models.Look(theme=asked.theme or user.look.theme, density=asked.density or user.look.density)
    names = models.GitNames(
        name=user.git.name if asked.git_name is None else asked.git_name,
        email=user.git.email if asked.git_email is None else asked.git_email,
    )
    await rooms.identity.profiles.choose_git(user_id=user.id, names=names)
    await rooms.identity.people.change_profile(user_id=user.id, profile=profile)
    return _chosen(await rooms.identity.profiles.choose_look(user_id=user.id, look=look))


@router.put("/me/picture")
async def set_picture(
    request: Request, found: Person, content: Annotated[bytes, Body(media_type="application/octet-stream")]
) -> Chosen:
    """Take a photo: JPEG, PNG or WebP, at most 2 MB."""
    rooms: Rooms = request.app.state.rooms
    return _chosen(await rooms.identity.profiles.set_picture(user_id=found.user.id, content=content))


@router.delete("/me/picture", status_code=204)
async def remove_picture(request: Request, found: Person) -> Response:
    """Initials again."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.profiles.remove_picture(user_id=found.user.id)
    return Response(status_code=204)


def _chosen(user: models.User) -> Chosen:
    return Chosen(
        name=user.name,
        email=user.email,
        language=user.language,
        theme=user.look.theme,
        density=user.look.density,
        git_name=user.git.name,
        git_email=user.git.email,
        picture=user.picture and f"/pictures/{user.picture}",
    )
