"""Routes of projects and of who is in them."""

from etabli.identity.models import Role
from etabli.identity.token_models import Scope
from tests.web.access.rules import SIGNED_IN, Route, in_project

ROUTES = {
    "POST /api/v1/projects": Route(SIGNED_IN, scopes=(Scope.PROJECTS,), json={"name": "Another"}),
    # An owner's to do; a token is the member's, who is not.
    "POST /api/v1/invitations": Route(in_project(Role.OWNER), scopes=(Scope.PROJECTS,), json={"project": "{slug}"}),
}
