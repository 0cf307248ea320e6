"""Outside providers, for administrators' programs: each tried now."""

from fastapi import Request
from pydantic import Field

from etabli.web.api import answers, shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()


class ProviderAnswer(answers.Answer):
    """What trying a provider has shown."""

    id: str
    name: str
    issuer: str
    redirect_uri: str = Field(description="What must be registered there, character by character.")
    well: bool = Field(description="Whether discovery, keys and the lab's own registration there hold.")
    problems: list[str]


@router.get("/providers")
async def check_providers(request: Request, found: Person) -> list[ProviderAnswer]:
    """Try every outside provider: its discovery document, its keys, whether it knows the lab's client id and secret."""
    rooms: Rooms = request.app.state.rooms
    return [
        ProviderAnswer(
            id=one.provider.id,
            name=one.provider.name,
            issuer=one.issuer,
            redirect_uri=one.redirect_uri,
            well=one.well,
            problems=list(one.problems),
        )
        for one in await rooms.identity.outside.check(by=found.user)
    ]
