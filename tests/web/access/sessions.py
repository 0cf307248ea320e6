"""Routes of where one is signed in, for programs of the person alone, never with a token."""

from tests.web.access.rules import OWN, SIGNED_IN, Route

ROUTES = {
    "GET /api/v1/sessions": Route(SIGNED_IN),
    "DELETE /api/v1/sessions": Route(SIGNED_IN),
    "DELETE /api/v1/sessions/{session_id}": Route(OWN),
}
