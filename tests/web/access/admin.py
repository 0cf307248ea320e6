"""Routes of the lab's administrators: to everybody else they do not exist."""

from etabli.identity.token_models import Scope
from tests.web.access.rules import ADMINS, Route

API = (Scope.ADMIN,)

ROUTES = {
    "GET /admin/audit": Route(ADMINS),
    "POST /admin/audit/export": Route(ADMINS),
    "POST /admin/audit/verify": Route(ADMINS),
    "GET /api/v1/admin/audit": Route(ADMINS, scopes=API),
    "GET /api/v1/admin/audit/exports": Route(ADMINS, scopes=API),
    "GET /api/v1/admin/audit/verify": Route(ADMINS, scopes=API),
    "POST /api/v1/admin/audit/exports": Route(ADMINS, scopes=API),
}
