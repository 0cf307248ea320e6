"""Routes of one's own account."""

from tests.web.access.rules import ADMINS_KNOWN, OWN, SIGNED_IN, Route

ROUTES = {
    "GET /account": Route(SIGNED_IN),
    "POST /account/profile": Route(SIGNED_IN, form={"name": "Same"}),
    "POST /account/password": Route(SIGNED_IN, form={"current": "x", "new": "y"}),
    "POST /account/invite": Route(ADMINS_KNOWN),
    "GET /account/security": Route(SIGNED_IN),
    "GET /account/sessions": Route(SIGNED_IN),
    "POST /account/sessions/{session_id}/end": Route(OWN),
    "GET /api/v1/tokens": Route(SIGNED_IN),
    "POST /api/v1/tokens": Route(SIGNED_IN, json={"name": "x", "scopes": ["read"]}),
    "DELETE /api/v1/tokens/{token_id}": Route(OWN),
}
