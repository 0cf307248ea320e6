"""Routes of how backups stand."""

from etabli.identity.token_models import Scope
from tests.web.access.rules import ADMINS, Route

ROUTES = {
    "GET /admin/backups": Route(ADMINS),
    "GET /api/v1/admin/backups": Route(ADMINS, scopes=(Scope.ADMIN,)),
}
