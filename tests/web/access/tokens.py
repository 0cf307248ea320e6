"""Routes of tokens, and of programs that ask for one."""

from tests.web.access.rules import NOT_FOUND, OWN, SIGN_IN, SIGNED_IN, Route, everybody

ROUTES = {
    "GET /account/tokens": Route(SIGNED_IN),
    "POST /account/tokens": Route(SIGNED_IN, form={"name": "x", "scopes": "read", "days": "7"}),
    "POST /account/tokens/{token_id}/end": Route(OWN),
    "GET /device": Route(SIGNED_IN),
    "POST /device": Route(everybody(NOT_FOUND, ANONYMOUS=SIGN_IN), form={"code": "x"}),
    "GET /api/v1/tokens": Route(SIGNED_IN),
    "POST /api/v1/tokens": Route(SIGNED_IN, json={"name": "x", "scopes": ["read"]}),
    "DELETE /api/v1/tokens/{token_id}": Route(OWN),
}
