"""Routes of coming in: asking for an account, and what administrators answer."""

from etabli.identity.token_models import Scope
from tests.web.access.rules import ADMINS, ANYONE, SIGNED_IN, Route

ADMIN = (Scope.ADMIN,)

ROUTES = {
    "GET /ask": Route(ANYONE),
    "POST /ask": Route(ANYONE, form={"name": "Zoe", "email": "zoe@example.org"}),
    "GET /account/notifications": Route(SIGNED_IN),
    "POST /account/notifications": Route(SIGNED_IN),
    "GET /admin/invitations": Route(ADMINS),
    "POST /admin/invitations": Route(ADMINS, form={"days": "1", "uses": "1"}),
    "POST /admin/invitations/{invitation_id}/end": Route(ADMINS),
    "POST /admin/requests/{request_id}/approve": Route(ADMINS),
    "POST /admin/requests/{request_id}/refuse": Route(ADMINS),
    "GET /api/v1/admin/requests": Route(ADMINS, scopes=ADMIN),
    "POST /api/v1/admin/requests/{request_id}/approve": Route(ADMINS, scopes=ADMIN),
    "POST /api/v1/admin/requests/{request_id}/refuse": Route(ADMINS, scopes=ADMIN, json={}),
    "GET /api/v1/admin/mail": Route(ADMINS, scopes=ADMIN),
    "POST /api/v1/admin/mail/test": Route(ADMINS, scopes=ADMIN, json={"to": "a@example.org"}),
}
