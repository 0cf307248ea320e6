"""The account's tokens: what programs show instead of a password. A token's secret is on one page, once."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity.token_models import Issued, Scope
from etabli.kernel import errors
from etabli.web import problems, shell
from etabli.web.rendering import Renderer
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Person, Proven, Visitor

router = shell.router()
LIVES = (7, 30, 90, 365)  # Days that a person may choose among, as far as the lab goes.
USUAL = 90


@router.get("/account/tokens")
async def tokens_page(request: Request, found: Person, done: str = "") -> Response:
    """My tokens."""
    return await _page(request, found, done=done)


@router.post("/account/tokens")
async def issue_token(
    request: Request,
    found: Proven,
    name: Annotated[str, Form()] = "",
    scopes: Annotated[list[str] | None, Form()] = None,
    days: Annotated[str, Form()] = "",
) -> Response:
    """Make a token and show it, this once."""
    rooms: Rooms = request.app.state.rooms
    chosen = [scope for scope in Scope if scope in (scopes or [])]
    try:
        issued = await rooms.identity.access_tokens.issue(
            by=found.user, name=name[:TEXT], scopes=chosen, days=int(days) if days.isdecimal() else 0
        )
    except (errors.Invalid, errors.QuotaExceeded) as error:
        given = {"name": name[:TEXT], "scopes": chosen, "days": days[:TEXT]}
        return await _page(request, found, given=given, error=error)
    return await _page(request, found, issued=issued)


@router.post("/account/tokens/{token_id}/end")
async def end_token(request: Request, found: Person, token_id: str) -> Response:
    """End one of my tokens."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.access_tokens.end(user_id=found.user.id, token_id=token_id)
    return shell.go("/account/tokens", done="token")


async def _page(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    issued: Issued | None = None,
    given: Mapping[str, object] | None = None,
    error: errors.EtabliError | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    context: dict[str, object] = {
        "done": done,
        "issued": issued,
        "tokens": await rooms.identity.access_tokens.list(user_id=found.user.id),
        "scopes": [scope for scope in Scope if scope is not Scope.ADMIN or found.user.is_admin],
        "lives": lives(request, found),
        "given": given
        or {"name": "", "scopes": [Scope.READ], "days": str(min(USUAL, rooms.identity.access_tokens.longest_days))},
        "faults": faults_of(error),
        "error": error,
        "origin": rooms.lab.origin,
    }
    return shell.page(
        request, found, "account/tokens.html", context, status=200 if error is None else problems.status_of(error)
    )


def lives(request: Request, found: Visitor) -> list[tuple[str, str]]:
    """How long a token may live, in days and in words."""
    rooms: Rooms = request.app.state.rooms
    renderer: Renderer = request.app.state.renderer
    words, longest = renderer.formats(found.language), rooms.identity.access_tokens.longest_days
    return [(str(days), words.duration(timedelta(days=days))) for days in sorted({min(d, longest) for d in LIVES})]
