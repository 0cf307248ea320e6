"""What an error looks like from outside: one table, two shapes.

Programs get `application/problem+json` (RFC 9457) with `hint` and `fields` beside; people get a calm page with the sentence, the hint
and a way on, in their language. What one may not know of and what does not exist answer alike, to the byte but for the request's id.
An error of ours that nobody foresaw is logged whole and shown as a sentence that tells nothing of it.
"""

import math
import traceback
from collections.abc import Mapping
from http import HTTPStatus

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from etabli.identity import errors as identity_errors
from etabli.kernel import errors
from etabli.web import walls

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"

# The first type that fits, most particular first.
# A type of its own where one status says two things (RFC 9457, 4.1; tag URIs are RFC 4151's). `cli.client` reads it.
QUOTA_EXCEEDED = "tag:etabli,2026:quota-exceeded"

STATUSES: Mapping[type[errors.EtabliError], int] = {
    walls.TooLarge: 413,
    identity_errors.TooManyAttempts: 429,
    identity_errors.WrongToken: 401,
    errors.Invalid: 422,
    errors.NotFound: 404,
    errors.Forbidden: 403,
    errors.Conflict: 409,
    errors.QuotaExceeded: 409,
    errors.Refused: 400,
    errors.Unavailable: 503,
    errors.EtabliError: 500,
}


class SignInNeeded(errors.Refused):
    """Nobody is signed in: pages lead to the sign-in page, the API answers 401."""

    def __init__(self) -> None:
        super().__init__("nobody is signed in", hint="sign in first")


class ProofNeeded(errors.Forbidden):
    """Who is signed in proved who they are too long ago for this: pages lead to `/prove`, and on to `back`."""

    def __init__(self, back: str) -> None:
        super().__init__("this asks who you are once more", hint="prove it on the page that opens, then try again")
        self.back = back


class GateClosed(errors.Forbidden):
    """Something must be done first, on the page at `page`: terms accepted, a second factor set up."""

    def __init__(self, message: str, *, hint: str, page: str) -> None:
        super().__init__(message, hint=hint)
        self.page = page


class WrongMethod(errors.Refused):
    """There is such a place, and this is not what one does there (RFC 9110, 15.5.6). `allowed` is what `Allow` says."""

    def __init__(self, allowed: str) -> None:
        super().__init__("this address is not asked that way", hint="the API's description says how")
        self.allowed = allowed


class Unforeseen(errors.EtabliError):
    """A mistake of ours."""

    def __init__(self) -> None:
        super().__init__(
            "something went wrong on the lab's side",
            hint="try again; if it happens again, give the request's number to the administrator",
        )


def status_of(error: errors.EtabliError) -> int:
    """The HTTP status of an error."""
    if isinstance(error, SignInNeeded):
        return 401
    if isinstance(error, WrongMethod):
        return HTTPStatus.METHOD_NOT_ALLOWED
    return next(status for kind, status in STATUSES.items() if isinstance(error, kind))


def wants_page(request: Request) -> bool:
    """Whether who asks reads pages: a browser navigating, or a form; never the API, nor a stream that connects again."""
    accepted = request.headers.get("accept", "")
    if request.url.path.startswith("/api/") or "text/event-stream" in accepted:
        return False
    return "text/html" in accepted


def as_json(request: Request, error: errors.EtabliError) -> Response:
    """The error as `problem+json`."""
    status = status_of(error)
    content: dict[str, object] = {
        "type": QUOTA_EXCEEDED if isinstance(error, errors.QuotaExceeded) else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": error.message,
        "request": getattr(request.state, "request_id", ""),
    }
    if error.hint:
        content["hint"] = error.hint
    if isinstance(error, errors.Invalid) and error.fields:
        content["fields"] = dict(error.fields)
    return JSONResponse(content, status_code=status, media_type=MEDIA_TYPE, headers=headers_of(error))


def headers_of(error: errors.EtabliError) -> dict[str, str]:
    """`Retry-After` where later may work; what would let the program in where it was not (RFC 6750, 3)."""
    if isinstance(error, errors.Unavailable):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after.total_seconds())))}
    if isinstance(error, WrongMethod):
        return {"Allow": error.allowed}
    if isinstance(error, SignInNeeded):
        return {"WWW-Authenticate": 'Bearer realm="etabli"'}
    if isinstance(error, identity_errors.WrongToken):
        return {"WWW-Authenticate": 'Bearer realm="etabli", error="invalid_token"'}
    if isinstance(error, identity_errors.MissingScope):
        wanted = f', scope="{error.scope}"' if error.scope else ""
        return {"WWW-Authenticate": f'Bearer realm="etabli", error="insufficient_scope"{wanted}'}
    return {}


def from_http(error: HTTPException) -> errors.EtabliError:
    """What the router itself refuses, as an error of ours."""
    if isinstance(error.__cause__, errors.EtabliError):
        return error.__cause__  # Raised while the body was read.
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return WrongMethod((error.headers or {}).get("Allow", ""))
    if error.status_code == HTTPStatus.NOT_FOUND:
        return errors.NotFound("there is no such page")
    return errors.Invalid("this request cannot be read")


def record(request: Request, error: BaseException) -> errors.EtabliError:
    """Log a mistake of ours whole, and answer what may be shown of it."""
    # As plain text: a renderer of exceptions that shows local variables would show tokens.
    trace = "".join(traceback.format_exception(error))
    log.error("request failed", method=request.method, trace=trace)
    return Unforeseen()
