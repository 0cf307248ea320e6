"""Service accounts of a project. No token makes or ends them: it takes an owner in a browser, or the lab's operator."""

from datetime import datetime

from fastapi import Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from etabli.identity import models
from etabli.web.api import answers, shared
from etabli.web.api.tokens import IssuedAnswer, TokenAnswer
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.router("service accounts")
PATH = "/projects/{slug}/service-accounts"


class AccountRequest(BaseModel):
    """A service account to make."""

    model_config = {"extra": "forbid"}

    name: str = Field(
        pattern=r"^[a-z0-9](-?[a-z0-9]){0,29}$", description="1 to 30 of a-z, 0-9 and single dashes; never used again."
    )
    role: models.Role = Field(default=models.Role.MEMBER, description="`viewer` or `member`.")


class AccountTokenRequest(BaseModel):
    """A token of it to make; its role says what the token may do."""

    model_config = {"extra": "forbid"}

    name: str = Field(min_length=1, max_length=1000, description="What it is for.")
    days: int = Field(default=90, ge=1, le=3650, description="How long it lives; the lab has a limit.")


class AccountAnswer(answers.Answer):
    """A service account."""

    id: str
    slug: str = Field(description="How logs name it.")
    name: str
    role: models.Role
    created_at: datetime


@router.get(PATH)
async def list_service_accounts(request: Request, found: Person, slug: str) -> list[AccountAnswer]:
    """Those of a project, by name."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    listed = await rooms.identity.service_accounts.list(by=found.user, project_id=access.project.id)
    return [AccountAnswer.model_validate(account) for account in listed]


@router.post(PATH, status_code=201)
async def create_service_account(request: Request, found: Person, slug: str, asked: AccountRequest) -> AccountAnswer:
    """Make one, in a project of mine."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    made = await rooms.identity.service_accounts.create(
        by=found.user, project_id=access.project.id, name=asked.name, role=asked.role
    )
    return AccountAnswer.model_validate(made)


@router.delete(PATH + "/{account_id}", status_code=204)
async def end_service_account(request: Request, found: Person, slug: str, account_id: str) -> Response:
    """End one, for good, and its tokens with it."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    await rooms.identity.service_accounts.end(by=found.user, project_id=access.project.id, account_id=account_id)
    return Response(status_code=204)


@router.get(PATH + "/{account_id}/tokens")
async def list_service_account_tokens(request: Request, found: Person, slug: str, account_id: str) -> list[TokenAnswer]:
    """Its tokens that are good, newest first."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    tokens = await rooms.identity.service_accounts.tokens(
        by=found.user, project_id=access.project.id, account_id=account_id
    )
    return [TokenAnswer.model_validate(token) for token in tokens]


@router.post(PATH + "/{account_id}/tokens", status_code=201)
async def issue_service_account_token(
    request: Request, found: Person, slug: str, account_id: str, asked: AccountTokenRequest
) -> IssuedAnswer:
    """Make a token of it."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    issued = await rooms.identity.service_accounts.issue(
        by=found.user, project_id=access.project.id, account_id=account_id, name=asked.name, days=asked.days
    )
    return IssuedAnswer(secret=issued.secret, token=TokenAnswer.model_validate(issued.token))


@router.delete(PATH + "/{account_id}/tokens/{token_id}", status_code=204)
async def end_service_account_token(
    request: Request, found: Person, slug: str, account_id: str, token_id: str
) -> Response:
    """End one of its tokens, at once."""
    rooms: Rooms = request.app.state.rooms
    access = await shared.project_of(request, found, slug)
    await rooms.identity.service_accounts.end_token(
        by=found.user, project_id=access.project.id, account_id=account_id, token_id=token_id
    )
    return Response(status_code=204)
