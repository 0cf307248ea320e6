"""What routes of the API share: a router that no unsafe request of a session passes without its token, the project meant, and which
scope of a program's token each route takes.

A route's tag says what it is about, and so which scopes it takes; a tag that is not in `SCOPES` takes no token at all.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from etabli.identity import errors, models
from etabli.identity.token_models import Scope
from etabli.web import gates, problems, visitors, walls
from etabli.web.api import answers
from etabli.web.visitors import Visitor

CSRF_HEADER = "x-csrf-token"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": answers.Problem, "description": "Refused: `detail` says why, `hint` what to do next."},
    "5XX": {"model": answers.Problem, "description": "Later may work: see `Retry-After`."},
}


@dataclass(frozen=True)
class Takes:
    """The scopes that a route of some tag takes, any one of which is enough; the first is named where all are missing."""

    reads: tuple[Scope, ...]
    writes: tuple[Scope, ...]


ANY = tuple(Scope)
SCOPES: Mapping[str, Takes] = {
    "identity": Takes(reads=ANY, writes=()),
    "terms": Takes(reads=ANY, writes=()),  # A person accepts them, not a program.
    "catalog": Takes(reads=(Scope.READ, Scope.SERVICES), writes=()),
    "search": Takes(reads=(Scope.READ,), writes=()),
    "services": Takes(reads=(Scope.READ, Scope.SERVICES), writes=(Scope.SERVICES,)),
    "files": Takes(reads=(Scope.FILES,), writes=(Scope.FILES,)),
    "people": Takes(reads=(Scope.READ, Scope.PROJECTS), writes=(Scope.PROJECTS,)),
    "projects": Takes(reads=(Scope.READ, Scope.PROJECTS), writes=(Scope.PROJECTS,)),
    "admin": Takes(reads=(Scope.ADMIN,), writes=(Scope.ADMIN,)),
}


class ApiRoute(APIRoute):
    """A route for programs."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        taken = [{"token": [scope]} for scope in self._taken((self.methods or set()) <= walls.SAFE)]
        self.openapi_extra = {**(self.openapi_extra or {}), "security": [*taken, {"session": []}]}

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            found = await visitors.visitor(request)
            is_safe = request.method in walls.SAFE
            if not is_safe:
                visitors.check_csrf(found, request.headers.get(CSRF_HEADER))
            if found.bearer is not None:
                _check_scope(found.bearer.token.scopes, self._taken(is_safe))
            await gates.check(request)
            return await handle(request)

        return checked

    def _taken(self, is_safe: bool) -> tuple[Scope, ...]:
        takes = next((SCOPES[str(tag)] for tag in self.tags if tag in SCOPES), None)
        if takes is None:
            return ()
        return takes.reads if is_safe else takes.writes


class AdminRoute(ApiRoute):
    """A route for programs of administrators: to anybody else it is not there."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            await visitors.require_administrator(request)
            return await handle(request)

        return checked


def admin_router() -> APIRouter:
    """A router of the API for administrators; its paths begin with `/admin`."""
    return APIRouter(route_class=AdminRoute, prefix="/admin", tags=["admin"], responses=PROBLEMS)


def router(tag: str) -> APIRouter:
    """A router of the API."""
    return APIRouter(route_class=ApiRoute, tags=[tag], responses=PROBLEMS)


async def project_of(request: Request, found: Visitor, slug: str | None) -> models.Access:
    """The project meant: by its slug, else the person's own. NotFound where they are not in it."""
    rooms = request.app.state.rooms
    access: models.Access = await rooms.identity.projects.require_slug(
        user_id=found.user.id, slug=slug or found.home.project.slug
    )
    return access


def describe(app: FastAPI) -> None:
    """Say in the API's description what FastAPI does not: how a request proves who it is of (OpenAPI 3.1, 4.8.27), and that all
    that is refused is `problem+json` (RFC 9457), wrong bodies included.
    """
    described = app.openapi

    def whole() -> dict[str, Any]:
        schema = described()
        parts = schema.setdefault("components", {})
        parts["securitySchemes"] = {
            "token": {
                "type": "http",
                "scheme": "bearer",
                "description": "A token of *Account*, or a service account's.",
            },
            "session": {"type": "apiKey", "in": "cookie", "name": visitors.SESSION_COOKIE},
        }
        for name in ("HTTPValidationError", "ValidationError"):
            parts.get("schemas", {}).pop(name, None)
        for path in schema.get("paths", {}).values():
            for operation in path.values():
                _describe_problems(operation["responses"])
        return schema

    app.openapi = whole  # type: ignore[method-assign] # As FastAPI's documentation has it.


def _check_scope(given: tuple[Scope, ...], taken: tuple[Scope, ...]) -> None:
    if not taken:
        raise errors.MissingScope("no token may do this", hint="do it in a browser that is signed in", scope="")
    if not set(given) & set(taken):
        raise errors.MissingScope(
            f"this token may not do this: it has not the scope `{taken[0]}`",
            hint="make a token that has it, in your account",
            scope=taken[0],
        )


def _describe_problems(responses: dict[str, Any]) -> None:
    responses.pop("422", None)  # FastAPI's own; ours is among 4XX.
    for status, response in responses.items():
        if status[0] in "45":
            response["content"] = {problems.MEDIA_TYPE: next(iter(response["content"].values()))}
