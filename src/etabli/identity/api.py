"""The OpenID provider's machine endpoints: discovery, keys, token, userinfo. Thin over `provider`.

Errors are those of OAuth 2.0 (RFC 6749 section 5.2, RFC 6750 section 3), which clients know, not problem+json.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response

from etabli.identity import errors, forms, keys
from etabli.identity.provider import Provider
from etabli.kernel import errors as kernel_errors

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
PUBLIC = {"Cache-Control": f"public, max-age={int(keys.CACHE.total_seconds())}", "Access-Control-Allow-Origin": "*"}


def router(provider: Provider) -> APIRouter:
    """The endpoints that need nobody signed in. None of them reads a cookie."""
    routes = APIRouter(tags=["openid"])

    @routes.get("/.well-known/openid-configuration")
    async def discovery() -> Response:
        return JSONResponse(dict(provider.discovery()), headers=PUBLIC)

    @routes.get("/oidc/jwks")
    async def jwks() -> Response:
        return JSONResponse(dict(provider.jwks()), headers=PUBLIC)

    @routes.post("/oidc/token")
    async def token(request: Request, authorization: Annotated[str | None, Header()] = None) -> Response:
        try:
            form = forms.parse(await _body(request), request.headers.get("content-type", ""))
            answer = await provider.token(form=form, authorization=authorization)
        except errors.ProtocolError as error:
            return _oauth_error(error)
        return JSONResponse(dict(answer), headers=NO_STORE)

    @routes.api_route("/oidc/userinfo", methods=["GET", "POST"])
    async def userinfo(authorization: Annotated[str | None, Header()] = None) -> Response:
        scheme, _, bearer = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or not bearer:
            return Response(status_code=401, headers={"WWW-Authenticate": "Bearer", **NO_STORE})
        try:
            answer = await provider.userinfo(token=bearer.strip())
        except kernel_errors.Forbidden:
            return Response(status_code=401, headers={"WWW-Authenticate": 'Bearer error="invalid_token"', **NO_STORE})
        return JSONResponse(dict(answer), headers=NO_STORE)

    return routes


async def _body(request: Request) -> bytes:
    """The body, read no further than a form may be long."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > forms.LONGEST_BODY:
            break
    return body


def _oauth_error(error: errors.ProtocolError) -> Response:
    is_client = error.code == "invalid_client"
    challenge = {"WWW-Authenticate": "Basic"} if is_client else {}
    body = {"error": error.code, "error_description": error.message}
    return JSONResponse(body, status_code=401 if is_client else 400, headers={**NO_STORE, **challenge})
