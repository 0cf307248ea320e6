"""The OpenID provider's machine endpoints: discovery, keys, token, userinfo; and those of programs that ask for a token of the lab
(RFC 8628) or give it up (RFC 7009). Thin over `provider`, `devices`, `access_tokens`.

Errors are those of OAuth 2.0 (RFC 6749 section 5.2, RFC 6750 section 3), which clients know, not problem+json.
"""

from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response

from etabli.identity import errors, forms, keys
from etabli.identity.access_tokens import AccessTokens
from etabli.identity.devices import GRANT, Devices
from etabli.identity.provider import Provider
from etabli.identity.token_models import Issued
from etabli.kernel import errors as kernel_errors

NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
PUBLIC = {"Cache-Control": f"public, max-age={int(keys.CACHE.total_seconds())}", "Access-Control-Allow-Origin": "*"}


def router(
    provider: Provider, *, devices: Devices, access_tokens: AccessTokens, address_of: Callable[[Request], str]
) -> APIRouter:
    """The endpoints that need nobody signed in. None of them reads a cookie. `address_of` says where a request comes from."""
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
            if form.get("grant_type") == GRANT:
                return _issued(await devices.redeem(form=form))
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

    @routes.post("/oidc/device_authorization")
    async def device_authorization(request: Request) -> Response:
        try:
            form = forms.parse(await _body(request), request.headers.get("content-type", ""))
            asked = await devices.ask(form=form, address=address_of(request))
        except errors.ProtocolError as error:
            return _oauth_error(error)
        answer = {
            "device_code": asked.device_code,
            "user_code": asked.user_code,
            "verification_uri": devices.page,
            "verification_uri_complete": f"{devices.page}?code={asked.user_code}",
            "expires_in": int(asked.expires_in.total_seconds()),
            "interval": int(asked.interval.total_seconds()),
        }
        return JSONResponse(answer, headers=NO_STORE)

    @routes.post("/oidc/revoke")
    async def revoke(request: Request) -> Response:
        try:
            form = forms.parse(await _body(request), request.headers.get("content-type", ""))
        except errors.ProtocolError as error:
            return _oauth_error(error)
        await access_tokens.revoke(secret=form.get("token", ""))
        return Response(headers=NO_STORE)

    return routes


def _issued(issued: Issued) -> Response:
    token = issued.token
    answer = {
        "access_token": issued.secret,
        "token_type": "Bearer",
        "expires_in": int((token.expires_at - token.created_at).total_seconds()),
        "scope": " ".join(token.scopes),
    }
    return JSONResponse(answer, headers=NO_STORE)


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
