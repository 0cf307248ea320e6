"""What routes of pages share: a router that no form passes without its token, and answers in the reader's language."""

import hashlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.routing import APIRoute
from starlette.responses import HTMLResponse, RedirectResponse, Response

from etabli.kernel import errors
from etabli.web import gates, problems, visitors, walls
from etabli.web.rendering import Renderer
from etabli.web.visitors import Visitor

LIVE_TAG_HEADER = "Etabli-Live-Tag"  # On a part: the session that it was made for.
TEXT = 1000  # Characters of a field: past it the use case refuses anyway, and no log or page meets more.
MOST_FIELDS = 2000  # Of a form; a launch form has some hundred.


class FormRoute(APIRoute):
    """A route whose unsafe requests are forms, checked before the route sees them."""

    most_files = 0

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            if request.method not in walls.SAFE:
                form = await request.form(max_files=self.most_files, max_fields=MOST_FIELDS)
                visitors.check_csrf(await visitors.visitor(request), form.get("csrf"))
            await gates.check(request)
            return await handle(request)

        return checked


class UploadRoute(FormRoute):
    """The same, of a form that may hold one file: a small one, since it is kept in memory (`walls.BODY_LIMIT`)."""

    most_files = 1


class AdminRoute(FormRoute):
    """A route for administrators: to anybody else it is not there, whatever they send."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            await visitors.require_administrator(request)
            return await handle(request)

        return checked


def router(route_class: type[FormRoute] = FormRoute) -> APIRouter:
    """A router for pages: kept out of the API's description."""
    return APIRouter(route_class=route_class, include_in_schema=False, default_response_class=HTMLResponse)


def page(
    request: Request, found: Visitor, template: str, context: Mapping[str, object], *, status: int = 200
) -> Response:
    """A whole page."""
    html = partial(request, found, template, context)
    if found.is_part and status == 200:
        return _part(request, found, html)
    response = HTMLResponse(html, status_code=status, headers={"Vary": "Cookie, Accept-Language"})
    if found.fresh_visit is not None:
        visitors.set_cookie(response, visitors.VISIT_COOKIE, found.fresh_visit, max_age=None)
    return response


def _part(request: Request, found: Visitor, html: str) -> Response:
    """A page that a browser shows already, for what changed on it; nothing but 304 where nothing did (RFC 9110, 13.1.2).

    It says whose it is: a tab that outlived its session must not show the next one's things.
    """
    tag = f'"{hashlib.sha256(html.encode()).hexdigest()[:20]}"'
    headers = {"ETag": tag, "Vary": "Cookie, Accept-Language", LIVE_TAG_HEADER: found.live_tag}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(html, headers=headers)


def partial(request: Request, found: Visitor, template: str, context: Mapping[str, object]) -> str:
    """A part of a page, the same that the whole page includes."""
    renderer: Renderer = request.app.state.renderer
    return renderer.render(template, code=found.language, context={"visitor": found, **context})


def go(path: str, **query: str) -> Response:
    """On to another page, after a form (303: by GET)."""
    return RedirectResponse(path + ("?" + urlencode(query) if query else ""), status_code=303)


def to_sign_in(request: Request) -> Response:
    """To the sign-in page, and back here after."""
    path = here(request)
    return go("/sign-in", **({"next": path} if path != "/" else {}))


def here(request: Request) -> str:
    """The local address that was asked for."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def error_page(request: Request, found: Visitor | None, error: errors.EtabliError) -> Response:
    """The page of an error: what happened, what to do next, a way on."""
    status = problems.status_of(error)
    renderer: Renderer = request.app.state.renderer
    code = found.language if found else "en"
    context = {"visitor": found, "status": status, "error": error, "request_id": request.state.request_id}
    html = renderer.render("error.html", code=code, context=context)
    response = HTMLResponse(html, status_code=status, headers=problems.headers_of(error))
    if found is not None and found.fresh_visit is not None:
        visitors.set_cookie(response, visitors.VISIT_COOKIE, found.fresh_visit, max_age=None)
    return response


def faults_of(error: errors.EtabliError | None) -> dict[str, str]:
    """What is wrong, by field."""
    if isinstance(error, errors.Invalid):
        return dict(error.fields)
    if error is not None and isinstance(field := error.facts.get("field"), str):
        return {field: error.message}
    return {}
