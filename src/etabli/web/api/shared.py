"""What routes of the API share: a router that no unsafe request of a session passes without its token, and the project meant."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from etabli.identity import models
from etabli.web import visitors, walls
from etabli.web.api import answers
from etabli.web.visitors import Visitor

CSRF_HEADER = "x-csrf-token"
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": answers.Problem, "description": "Refused: `detail` says why, `hint` what to do next."},
    "5XX": {"model": answers.Problem, "description": "Later may work: see `Retry-After`."},
}


class ApiRoute(APIRoute):
    """A route for programs."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method not in walls.SAFE:
                visitors.check_csrf(await visitors.visitor(request), request.headers.get(CSRF_HEADER))
            return await handle(request)

        return checked


def router(tag: str) -> APIRouter:
    """A router of the API."""
    return APIRouter(route_class=ApiRoute, tags=[tag], responses=PROBLEMS)


async def project_of(request: Request, found: Visitor, slug: str | None) -> models.Access:
    """The project meant: by its slug, else the person's own. NotFound where they are not in it."""
    rooms = request.app.state.rooms
    access: models.Access = await rooms.identity.projects.require_slug(
        user_id=found.user.id, slug=slug or found.user.slug
    )
    return access
