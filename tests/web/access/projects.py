"""Routes of projects and of who is in them."""

from etabli.identity.models import Role
from etabli.identity.token_models import Scope
from tests.web.access.rules import NOT_FOUND, SIGNED_IN, Route, Who, in_project

READS, WRITES = (Scope.READ, Scope.PROJECTS), (Scope.PROJECTS,)
OWNED = in_project(Role.OWNER)
SEEN = Route(in_project(Role.VIEWER))
API_SEEN = Route(in_project(Role.VIEWER), scopes=READS)
API_OWNED = Route(OWNED, scopes=WRITES)

ROUTES = {
    "GET /projects": Route(SIGNED_IN),
    "GET /projects/new": Route(SIGNED_IN),
    "POST /projects": Route(SIGNED_IN, form={"name": "Another"}),
    "GET /projects/{slug}": SEEN,
    "GET /projects/{slug}/settings": Route(OWNED),
    "POST /projects/{slug}/settings": Route(OWNED, form={"name": "Another"}),
    "POST /projects/{slug}/archive": Route(OWNED),
    "POST /projects/{slug}/reopen": Route(OWNED),
    "POST /projects/{slug}/hand-over": Route(OWNED, form={"user": "{user_id}"}),
    "POST /projects/{slug}/leave": SEEN,
    "POST /projects/{slug}/members/{user_id}/role": Route(OWNED, form={"role": "member"}),
    # Anybody may take themselves out: the viewer is the one whom the path names.
    "POST /projects/{slug}/members/{user_id}/remove": Route(
        OWNED, apart={Who.VIEWER: in_project(Role.VIEWER)[Who.VIEWER]}
    ),
    "POST /projects/{slug}/invitations": Route(OWNED, form={"role": "member"}),
    # To who may not end it, an invitation is not there.
    "POST /projects/{slug}/invitations/{invitation_id}/end": Route(
        OWNED, apart={Who.VIEWER: NOT_FOUND, Who.MEMBER: NOT_FOUND}
    ),
    "GET /api/v1/data-classes": Route(SIGNED_IN, scopes=READS),
    "GET /api/v1/projects": Route(SIGNED_IN, scopes=READS),
    "POST /api/v1/projects": Route(SIGNED_IN, scopes=WRITES, json={"name": "Another"}),
    "GET /api/v1/projects/{slug}": API_SEEN,
    "PATCH /api/v1/projects/{slug}": Route(OWNED, scopes=WRITES, json={"name": "Another"}),
    "POST /api/v1/projects/{slug}/archive": API_OWNED,
    "POST /api/v1/projects/{slug}/reopen": API_OWNED,
    "POST /api/v1/projects/{slug}/hand-over": Route(OWNED, scopes=WRITES, json={"member": "{person}"}),
    "GET /api/v1/projects/{slug}/members": API_SEEN,
    "PUT /api/v1/projects/{slug}/members/{person}": Route(OWNED, scopes=WRITES, json={"role": "member"}),
    "DELETE /api/v1/projects/{slug}/members/{person}": Route(
        OWNED, scopes=WRITES, apart={Who.VIEWER: in_project(Role.VIEWER)[Who.VIEWER]}
    ),
    "GET /api/v1/projects/{slug}/invitations": Route(OWNED, scopes=READS),
    "POST /api/v1/projects/{slug}/invitations": Route(OWNED, scopes=WRITES, json={}),
    "DELETE /api/v1/projects/{slug}/invitations/{invitation_id}": Route(
        OWNED, scopes=WRITES, apart={Who.VIEWER: NOT_FOUND, Who.MEMBER: NOT_FOUND, Who.TOKEN: NOT_FOUND}
    ),
    # An owner's to do; a token is the member's, who is not.
    "POST /api/v1/invitations": Route(OWNED, scopes=(Scope.PROJECTS,), json={"project": "{slug}"}),
}
