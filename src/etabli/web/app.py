"""The web, put together: `create` takes the rooms and gives the application that serves pages, the API and the live stream."""

from importlib import metadata

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response

from etabli.identity import api as openid_api
from etabli.identity import errors as identity_errors
from etabli.identity import pages as openid_pages
from etabli.kernel import errors
from etabli.web import (
    access,
    administration,
    assets,
    audited,
    gates,
    measures,
    metrics,
    problems,
    shell,
    visitors,
    walls,
)
from etabli.web.api import account as account_api
from etabli.web.api import catalog as catalog_api
from etabli.web.api import identities as identities_api
from etabli.web.api import identity as identity_api
from etabli.web.api import people as people_api
from etabli.web.api import projects as projects_api
from etabli.web.api import search as search_api
from etabli.web.api import service_accounts as service_accounts_api
from etabli.web.api import services as services_api
from etabli.web.api import sessions as sessions_api
from etabli.web.api import shared
from etabli.web.api import terms as terms_api
from etabli.web.api import tokens as tokens_api
from etabli.web.hub import Hub
from etabli.web.pages import (
    account,
    account_codes,
    account_data,
    account_notifications,
    account_picture,
    account_security,
    account_sessions,
    account_storage,
    account_tokens,
    asking,
    branding,
    catalog,
    design,
    device,
    entrance,
    home,
    launcher,
    opening,
    outside,
    passkeys,
    projects,
    proof,
    reset,
    second_step,
    service_accounts,
    services,
    terms,
)
from etabli.web.pages import help as help_pages
from etabli.web.pages import live as live_pages
from etabli.web.pages import search as search_pages
from etabli.web.rendering import Renderer
from etabli.web.rooms import Rooms
from etabli.web.rows import Rows

PAGES = (
    home,
    help_pages,
    account_data,
    branding,
    design,
    entrance,
    outside,
    second_step,
    passkeys,
    proof,
    asking,
    reset,
    terms,
    catalog,
    launcher,
    services,
    opening,
    projects,
    account,
    account_picture,
    account_security,
    account_codes,
    account_sessions,
    account_notifications,
    account_storage,
    live_pages,
    search_pages,
    *administration.PAGES,
    account_tokens,
    service_accounts,
    device,
)
API = (
    identity_api,
    account_api,
    identities_api,
    people_api,
    projects_api,
    catalog_api,
    services_api,
    search_api,
    tokens_api,
    sessions_api,
    terms_api,
    service_accounts_api,
    *administration.API,
)
API_PREFIX = "/api/v1"


def create(rooms: Rooms) -> FastAPI:
    """The application over these rooms."""
    files = assets.Assets()
    app = FastAPI(
        title=rooms.lab.name,
        version=metadata.version("etabli"),
        openapi_url=f"{API_PREFIX}/openapi.json",
        docs_url=None,  # The pages that FastAPI ships load scripts from elsewhere.
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.rooms = rooms
    app.state.measures = measures.Measures(rooms.clock)
    rooms.events.subscribe(app.state.measures.hear)
    app.state.assets = files
    app.state.renderer = Renderer(
        lab=rooms.lab, clock=rooms.clock, assets=files, branding=rooms.branding, classes=rooms.identity.projects.classes
    )
    rows = Rows(services=rooms.services, renderer=app.state.renderer)
    app.state.hub = Hub(events=rooms.events, standings=rooms.identity.standings, rows=rows)
    for room in PAGES:
        app.include_router(room.router)
    app.state.renderer.know(route.path for room in PAGES for route in room.router.routes if "GET" in route.methods)
    app.include_router(metrics.router)
    for room in API:
        app.include_router(room.router, prefix=API_PREFIX)
    provider = rooms.identity.provider
    machines = openid_api.router(
        provider,
        devices=rooms.identity.devices,
        access_tokens=rooms.identity.access_tokens,
        address_of=lambda request: str(request.state.caller.address),
    )
    app.include_router(machines, include_in_schema=False)
    app.include_router(openid_pages.router(provider, current_user=gates.current_user, sign_in=shell.to_sign_in))
    app.add_api_route(walls.HEALTH, _health, include_in_schema=False)
    app.add_api_route("/static/{path:path}", _static, include_in_schema=False)
    app.add_exception_handler(errors.EtabliError, _on_error)
    app.add_exception_handler(HTTPException, _on_error)
    app.add_exception_handler(RequestValidationError, _on_error)
    shared.describe(app)
    app.add_middleware(audited.AuditLog)
    app.add_middleware(
        walls.Walls, origin=rooms.lab.origin, services_domain=rooms.lab.services_domain, refuse=_Refusal(app)
    )
    app.add_middleware(measures.Measuring, measures=app.state.measures)
    app.add_middleware(access.AccessLog)
    return app


async def _health() -> Response:
    """Whether this process answers; nothing more, to anyone."""
    return PlainTextResponse("ok\n")


async def _static(request: Request, path: str) -> Response:
    """One static file, for good: its address changes with its content."""
    files: assets.Assets = request.app.state.assets
    found = files.find(f"/static/{path}")
    if found is None:
        raise errors.NotFound("there is no such page")
    return Response(found.content, media_type=found.media_type, headers={"Cache-Control": assets.FOREVER})


class _Refusal:
    """How the walls answer: they stand before the application, and have its templates by this."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    async def __call__(self, request: Request, raised: Exception) -> Response:
        """The error alone, for nobody known."""
        request.scope["app"] = self._app
        error = _as_ours(request, raised)
        if problems.wants_page(request):
            return shell.error_page(request, None, error)
        return problems.as_json(request, error)


async def _on_error(request: Request, raised: Exception) -> Response:
    error = _as_ours(request, raised)
    if not problems.wants_page(request):
        return problems.as_json(request, error)
    if isinstance(error, problems.SignInNeeded) and request.method in walls.SAFE:
        return shell.to_sign_in(request)
    if isinstance(error, problems.ProofNeeded):
        return shell.go("/prove", next=error.back)
    if isinstance(error, problems.GateClosed):
        here = shell.here(request) if request.method in walls.SAFE else "/"
        return shell.go(error.page, **({"next": here} if here != "/" else {}))
    if isinstance(error, identity_errors.SecondFactorNeeded):
        return entrance.to_second_step(error, "/")
    try:
        found = await visitors.visitor(request)
    except errors.EtabliError:
        found = None  # The page of an error must not need what just failed.
    return shell.error_page(request, found, error)


def _as_ours(request: Request, raised: Exception) -> errors.EtabliError:
    if isinstance(raised, errors.EtabliError):
        return raised
    if isinstance(raised, HTTPException):
        error = problems.from_http(raised)
        return _with_every_method(request, error) if isinstance(error, problems.WrongMethod) else error
    if isinstance(raised, RequestValidationError):
        fields = {".".join(map(str, item["loc"][1:])): str(item["msg"]) for item in raised.errors()}
        return errors.Invalid("a value is wrong", hint="see each field", fields=fields)
    return problems.record(request, raised)


def _with_every_method(request: Request, error: problems.WrongMethod) -> problems.WrongMethod:
    """The router names the methods of one of the routes that share an address; `Allow` must name those of all."""
    app: FastAPI = request.app
    template = access.route_of(request.scope)
    described = app.openapi()["paths"].get(template, {})
    return problems.WrongMethod(", ".join(sorted(name.upper() for name in described)) or error.allowed)
