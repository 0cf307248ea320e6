"""The walls that every request meets before any route, and every answer passes on its way out.

Who calls. The portal's socket is opened by Caddy and by the operator's command line. Caddy deletes `X-Etabli-*` from what it
forwards, sets `X-Etabli-Door: 1` and adds `X-Forwarded-For`. An operator names the person acted for in `X-Etabli-Operator` and has
none of those. A request that is neither, or looks like both, is refused: the operator's power needs two mistakes of the door at once.

Which host. Pages and API answer on the portal's own host; a service's host is answered `/.etabli/` and nothing else; others nothing.

From where. Services are same-site with the portal, so site-wide defences do not count: requests that a browser marks as coming from
another origin (Fetch Metadata, `Origin`) reach nothing but top-level navigations by GET (W3C Fetch Metadata Request Headers).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etabli.kernel import errors

DOOR = "x-etabli-door"
OPERATOR = "x-etabli-operator"
FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "forwarded", "via")
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
HEALTH = "/healthz"
SERVICE_PATHS = "/.etabli/"
BODY_LIMIT = 2 * 1024 * 1024  # Bytes. Forms and API calls; a chart's values are far below, files never come this way.

# Paths that other origins may call: they take no cookie and tell nothing of a person.
SHARED_PATHS = ("/.well-known/", "/oidc/token", "/oidc/jwks", "/oidc/userinfo")

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
}


@dataclass(frozen=True)
class Caller:
    """Who opened the connection: an operator acting as `operator`, or somebody at the door, from `address`."""

    operator: str | None
    address: str


class Refuse(Protocol):
    """How an error, or a mistake of ours, becomes an answer (web.problems)."""

    async def __call__(self, request: Request, raised: Exception) -> Response:
        """The answer to `request`."""
        ...


class Walls:
    """ASGI middleware; `origin` is the portal's, `services_domain` what services have their hosts under."""

    def __init__(self, app: ASGIApp, *, origin: str, services_domain: str, refuse: Refuse) -> None:
        self._app = app
        self._origin = origin
        self._host = origin.partition("://")[2]
        self._services_suffix = "." + services_domain
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        counted, sending = _Counted(receive), _Sending(send)
        try:
            self._check(request)
        except errors.EtabliError as error:
            await (await self._refuse(request, error))(scope, receive, sending)
            return
        try:
            await self._app(scope, counted.receive, sending)
        except Exception as mistake:  # A request's outermost frame: it is recorded, and answered as any other.
            if sending.has_begun:
                raise
            await (await self._refuse(request, mistake))(scope, receive, sending)

    def _check(self, request: Request) -> None:
        if request.url.path == HEALTH:
            return  # Whoever opened the socket may know that it answers; nothing else is said there.
        caller = self._caller(request)
        request.scope.setdefault("state", {})["caller"] = caller
        if caller.operator is None:
            self._check_host(request)
            self._check_origin(request)
        _check_length(request.headers)

    def _caller(self, request: Request) -> Caller:
        door = request.headers.get(DOOR)
        operator = request.headers.get(OPERATOR)
        forwarded = request.headers.get("x-forwarded-for", "")
        if door == "1" and operator is None:
            return Caller(operator=None, address=forwarded.rpartition(",")[2].strip())
        if door is None and operator and not any(name in request.headers for name in FORWARDED):
            return Caller(operator=operator, address="")
        raise errors.Forbidden("this socket answers the front door and the lab's operator alone")

    def _check_host(self, request: Request) -> None:
        host = request.headers.get("host", "").lower()
        if host == self._host:
            if request.url.path.startswith(SERVICE_PATHS):
                raise errors.NotFound("there is no such page")
            return
        name = host.partition(":")[0]
        if name.endswith(self._services_suffix) and request.url.path.startswith(SERVICE_PATHS):
            return
        raise errors.NotFound("there is no such page")

    def _check_origin(self, request: Request) -> None:
        if request.url.path.startswith(SHARED_PATHS) or request.url.path.startswith(SERVICE_PATHS):
            return
        site = request.headers.get("sec-fetch-site")
        origin = request.headers.get("origin")
        if request.method in SAFE:
            navigation = (
                request.headers.get("sec-fetch-mode") == "navigate"
                and request.headers.get("sec-fetch-dest") == "document"
            )
            if site in (None, "same-origin", "none") or navigation:
                return
            raise _foreign()
        if origin not in (None, self._origin) or site not in (None, "same-origin"):
            raise _foreign()
        if origin is None and site is None and "cookie" in request.headers:
            raise _foreign()  # Every browser of today says where a POST comes from.


class _Counted:
    """The body as it comes, cut off past BODY_LIMIT: `Content-Length` may be absent."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._count = 0

    async def receive(self) -> Message:
        message = await self._receive()
        self._count += len(message.get("body", b""))
        if self._count > BODY_LIMIT:
            raise TooLarge()
        return message


class TooLarge(errors.Invalid):
    """The body is longer than anything that is sent here."""

    def __init__(self) -> None:
        super().__init__("what was sent is too large", hint="files go to S3, not through the portal")


class _Sending:
    """The answer on its way out: it gets the headers that every answer has."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.has_begun = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.has_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            headers.setdefault("Cache-Control", "no-store")
        await self._send(message)


def _check_length(headers: Headers) -> None:
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > BODY_LIMIT:
        raise TooLarge()


def _foreign() -> errors.Forbidden:
    return errors.Forbidden(
        "this request comes from another site", hint="open the page itself and try again from there"
    )
