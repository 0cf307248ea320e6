"""A project's service accounts: for its owners, who make them, give them tokens and end them."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import models
from etabli.identity.token_models import SCOPES_OF_ROLE, Issued
from etabli.kernel import errors
from etabli.web import problems, shell
from etabli.web.pages.account_tokens import lives
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Person, Visitor

router = shell.router()
PATH = "/projects/{slug}/service-accounts"


@router.get(PATH)
async def service_accounts_page(request: Request, found: Person, slug: str, done: str = "") -> Response:
    """Those of a project that one owns."""
    return await _page(request, found, await _owned(request, found, slug), done=done)


@router.post(PATH)
async def create_service_account(
    request: Request, found: Person, slug: str, name: Annotated[str, Form()] = "", role: Annotated[str, Form()] = ""
) -> Response:
    """Make one."""
    rooms: Rooms = request.app.state.rooms
    access = await _owned(request, found, slug)
    chosen = next((one for one in SCOPES_OF_ROLE if one == role), models.Role.OWNER)  # Refused, as what is no role.
    try:
        await rooms.identity.service_accounts.create(
            by=found.user, project_id=access.project.id, name=name[:TEXT].strip(), role=chosen
        )
    except (errors.Invalid, errors.Conflict, errors.QuotaExceeded) as error:
        return await _page(request, found, access, name=name[:TEXT], error=error)
    return shell.go(f"/projects/{slug}/service-accounts", done="created")


@router.post(PATH + "/{account_id}/end")
async def end_service_account(request: Request, found: Person, slug: str, account_id: str) -> Response:
    """End one, for good."""
    rooms: Rooms = request.app.state.rooms
    access = await _owned(request, found, slug)
    await rooms.identity.service_accounts.end(by=found.user, project_id=access.project.id, account_id=account_id)
    return shell.go(f"/projects/{slug}/service-accounts", done="ended")


@router.post(PATH + "/{account_id}/tokens")
async def issue_service_account_token(
    request: Request,
    found: Person,
    slug: str,
    account_id: str,
    name: Annotated[str, Form()] = "",
    days: Annotated[str, Form()] = "",
) -> Response:
    """Make a token of one, and show it, this once."""
    rooms: Rooms = request.app.state.rooms
    access = await _owned(request, found, slug)
    try:
        issued = await rooms.identity.service_accounts.issue(
            by=found.user,
            project_id=access.project.id,
            account_id=account_id,
            name=name[:TEXT],
            days=int(days) if days.isdecimal() else 0,
        )
    except (errors.Invalid, errors.QuotaExceeded) as error:
        return await _page(request, found, access, error=error, at=account_id)
    return await _page(request, found, access, issued=issued, at=account_id)


@router.post(PATH + "/{account_id}/tokens/{token_id}/end")
async def end_service_account_token(
    request: Request, found: Person, slug: str, account_id: str, token_id: str
) -> Response:
    """End one of its tokens."""
    rooms: Rooms = request.app.state.rooms
    access = await _owned(request, found, slug)
    await rooms.identity.service_accounts.end_token(
        by=found.user, project_id=access.project.id, account_id=account_id, token_id=token_id
    )
    return shell.go(f"/projects/{slug}/service-accounts", done="token")


async def _owned(request: Request, found: Visitor, slug: str) -> models.Access:
    rooms: Rooms = request.app.state.rooms
    return await rooms.identity.projects.require_slug(user_id=found.user.id, slug=slug, at_least=models.Role.OWNER)


async def _page(
    request: Request,
    found: Visitor,
    access: models.Access,
    *,
    done: str = "",
    name: str = "",
    issued: Issued | None = None,
    at: str = "",
    error: errors.EtabliError | None = None,
) -> Response:
    service_accounts, project = request.app.state.rooms.identity.service_accounts, access.project
    listed = await service_accounts.list(by=found.user, project_id=project.id)
    tokens = {
        account.id: await service_accounts.tokens(by=found.user, project_id=project.id, account_id=account.id)
        for account in listed
    }
    context = {
        "project": project,
        "accounts": listed,
        "tokens": tokens,
        "roles": list(SCOPES_OF_ROLE),
        "lives": lives(request, found),
        "done": done,
        "name": name,
        "issued": issued,
        "at": at,  # The account that a token was asked for.
        "error": error,
        "faults": faults_of(error),
        "origin": request.app.state.rooms.lab.origin,
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "project_service_accounts.html", context, status=status)
