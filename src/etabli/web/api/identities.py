"""Who one is at outside providers. A link is made in a browser, where the provider asks; it is seen and taken away here too."""

from datetime import datetime

from fastapi import Request
from pydantic import Field

from etabli.web.api import answers, shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.router("account")


class IdentityAnswer(answers.Answer):
    """Who one is at a provider."""

    id: str
    provider: str = Field(description="The provider's id in the settings.")
    provider_name: str
    login: str = Field(description="As it was called at the last sign-in.")
    linked_at: datetime
    last_used_at: datetime | None


@router.get("/me/identities")
async def identities(request: Request, found: Person) -> list[IdentityAnswer]:
    """The outside providers that sign me in."""
    rooms: Rooms = request.app.state.rooms
    return [
        IdentityAnswer(
            id=one.id,
            provider=one.provider_id,
            provider_name=one.provider_name,
            login=one.login,
            linked_at=one.linked_at,
            last_used_at=one.last_used_at,
        )
        for one in await rooms.identity.outside.list(user_id=found.user.id)
    ]


@router.delete("/me/identities/{identity_id}", status_code=204)
async def unlink(request: Request, found: Person, identity_id: str) -> None:
    """Take a link away. 404 where it is not mine, 409 where it is my last way in."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.outside.unlink(user=found.user, identity_id=identity_id)
