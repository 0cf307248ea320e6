"""Tokens of one's programs. No token reaches this: who has one cannot make a second, nor hide that it was used."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from etabli.identity.token_models import Scope
from etabli.web.api import answers, shared
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Proven

router = shared.router("tokens")


class TokenRequest(BaseModel):
    """A token to make."""

    model_config = {"extra": "forbid"}

    name: str = Field(min_length=1, max_length=1000, description="What it is for.")
    scopes: list[Scope] = Field(description="What it may do.", min_length=1, max_length=len(Scope))
    days: int = Field(default=90, ge=1, le=3650, description="How long it lives; the lab has a limit.")


class TokenAnswer(answers.Answer):
    """A token, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    last_address: str


class IssuedAnswer(BaseModel):
    """A token just made. The secret is shown this once."""

    secret: str
    token: TokenAnswer


@router.get("/tokens")
async def list_tokens(request: Request, found: Person) -> list[TokenAnswer]:
    """My tokens that are good, newest first."""
    rooms: Rooms = request.app.state.rooms
    tokens = await rooms.identity.access_tokens.list(user_id=found.user.id)
    return [TokenAnswer.model_validate(token) for token in tokens]


@router.post("/tokens", status_code=201)
async def issue_token(request: Request, found: Proven, asked: TokenRequest) -> IssuedAnswer:
    """Make a token for a program of mine. Of a browser's session it takes a fresh proof of who one is."""
    rooms: Rooms = request.app.state.rooms
    issued = await rooms.identity.access_tokens.issue(
        by=found.user, name=asked.name, scopes=asked.scopes, days=asked.days
    )
    return IssuedAnswer(secret=issued.secret, token=TokenAnswer.model_validate(issued.token))


@router.delete("/tokens/{token_id}", status_code=204)
async def end_token(request: Request, found: Person, token_id: str) -> Response:
    """End a token of mine, at once."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.access_tokens.end(user_id=found.user.id, token_id=token_id)
    return Response(status_code=204)
