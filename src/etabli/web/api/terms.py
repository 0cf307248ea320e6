"""The terms of use, for programs: to read, and to accept for who is signed in."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field

from etabli.identity import models
from etabli.kernel import errors
from etabli.web.api import shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Anyone, Person

router = shared.router("terms")


class TermsAnswer(BaseModel):
    """A version of the terms."""

    version: int
    published_at: datetime
    texts: Mapping[str, str] = Field(description="Markdown, by language.")

    @classmethod
    def of(cls, terms: models.Terms) -> "TermsAnswer":
        """As the API says it."""
        return cls(version=terms.version, published_at=terms.published_at, texts=terms.texts)


class AcceptanceRequest(BaseModel):
    """What is accepted."""

    version: int


@router.get("/terms")
async def terms(request: Request, found: Anyone) -> TermsAnswer:
    """The terms that hold; 404 where there are none. Nobody needs to be signed in."""
    rooms: Rooms = request.app.state.rooms
    held = rooms.identity.terms.current
    if held is None:
        raise errors.NotFound("this lab has no terms of use")
    return TermsAnswer.of(held)


@router.post("/terms/acceptance", status_code=204)
async def accept_terms(request: Request, found: Person, asked: AcceptanceRequest) -> None:
    """Accept the version that holds."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.terms.accept(user=found.user, version=asked.version)
