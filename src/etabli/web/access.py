"""One line of log per request: its number, the route's template rather than the address (ids and codes stay out), status, time."""

import time

import structlog
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etabli.kernel import ids

log = structlog.get_logger()

REQUEST_ID = "X-Request-Id"
QUIET = ("/static/", "/healthz")


class AccessLog:
    """ASGI middleware; outermost, so that refusals are logged too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = ids.new_id()
        status = 500
        began = time.perf_counter()

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        scope.setdefault("state", {})["request_id"] = request_id
        with structlog.contextvars.bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, sending)
            finally:
                if not scope["path"].startswith(QUIET):
                    log.info(
                        "request",
                        method=scope["method"],
                        route=route_of(scope),
                        status=status,
                        milliseconds=round((time.perf_counter() - began) * 1000, 1),
                    )


def route_of(scope: Scope) -> str:
    """The template of the route that answers, `-` where none does."""
    # Starlette leaves the route that matched in the scope; what matched none may hold anything, secrets included.
    template = getattr(scope.get("route"), "path", "-")
    return f"/api/v1{template}" if scope["path"].startswith("/api/v1/") and template != "-" else template
