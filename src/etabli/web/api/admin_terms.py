"""The terms of use, for programs of administrators."""

from collections.abc import Mapping
from datetime import datetime

from fastapi import Query, Request
from pydantic import BaseModel, Field

from etabli.web.api import shared
from etabli.web.api.terms import TermsAnswer
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.admin_router()


class TermsRequest(BaseModel):
    """A version to publish."""

    texts: Mapping[str, str] = Field(description="Markdown by language: `en`, `fr`.")


class VersionAnswer(BaseModel):
    """A version, as administrators see it."""

    terms: TermsAnswer
    withdrawn_at: datetime | None
    accepted: int = Field(description="By how many people.")


class AcceptanceAnswer(BaseModel):
    """That a person accepted a version."""

    slug: str
    name: str
    version: int
    accepted_at: datetime


@router.get("/terms")
async def versions(request: Request, found: Person) -> list[VersionAnswer]:
    """Every version, newest first."""
    rooms: Rooms = request.app.state.rooms
    return [
        VersionAnswer(terms=TermsAnswer.of(one), withdrawn_at=one.withdrawn_at, accepted=accepted)
        for one, accepted in await rooms.identity.terms.versions(by=found.user)
    ]


@router.post("/terms", status_code=201)
async def publish_terms(request: Request, found: Person, asked: TermsRequest) -> TermsAnswer:
    """Publish a version, which everybody is asked to accept. The same texts again change nothing."""
    rooms: Rooms = request.app.state.rooms
    return TermsAnswer.of(await rooms.identity.terms.publish(by=found.user, texts=asked.texts))


@router.delete("/terms", status_code=204)
async def withdraw_terms(request: Request, found: Person) -> None:
    """Ask nobody any more."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.terms.withdraw(by=found.user)


@router.get("/terms/acceptances")
async def acceptances(
    request: Request, found: Person, version: int | None = Query(default=None, description="Of this version alone.")
) -> list[AcceptanceAnswer]:
    """Who accepted which version, newest first."""
    rooms: Rooms = request.app.state.rooms
    found_ones = await rooms.identity.terms.acceptances(by=found.user, version=version)
    return [
        AcceptanceAnswer(slug=one.slug, name=one.name, version=one.version, accepted_at=one.accepted_at)
        for one in found_ones
    ]
