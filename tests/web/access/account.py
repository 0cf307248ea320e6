"""Routes of one's own account."""

from tests.web.access.rules import NOT_FOUND, OWN, SIGN_IN, SIGNED_IN, Route, everybody

ROUTES = {
    "GET /account": Route(SIGNED_IN),
    "POST /account/profile": Route(SIGNED_IN, form={"name": "Same"}),
    "GET /account/data": Route(SIGNED_IN),
    "GET /account/data/export.zip": Route(SIGNED_IN),
    "POST /account/data/leave": Route(SIGNED_IN, form={"slug": "not mine"}),
    "POST /account/git": Route(SIGNED_IN, form={"git_name": "Same"}),
    "POST /account/picture": Route(SIGNED_IN),
    "POST /account/picture/remove": Route(SIGNED_IN),
    "GET /pictures/{digest}": Route(everybody(NOT_FOUND, ANONYMOUS=SIGN_IN), path={"digest": "x"}),
    "PATCH /api/v1/me": Route(SIGNED_IN, json={"theme": "auto"}),
    "PUT /api/v1/me/picture": Route(SIGNED_IN, json={}),
    "DELETE /api/v1/me/picture": Route(SIGNED_IN),
    "POST /account/password": Route(SIGNED_IN, form={"current": "x", "new": "y"}),
    "GET /account/security": Route(SIGNED_IN),
    "GET /account/storage": Route(SIGNED_IN),
    "GET /account/sessions": Route(SIGNED_IN),
    "POST /account/sessions/{session_id}/end": Route(OWN),
    "POST /account/sessions/end": Route(SIGNED_IN),
    "GET /session": Route(SIGNED_IN),
    "POST /session": Route(SIGNED_IN),
}
