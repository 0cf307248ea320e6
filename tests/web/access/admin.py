"""Routes of administrators: for anybody else they are not there."""

from etabli.identity.token_models import Scope
from tests.web.access.rules import ADMINS, Route

ADMIN = (Scope.ADMIN,)
PAGE, API = Route(ADMINS), Route(ADMINS, scopes=ADMIN)
CATALOG = {"catalog": "ide"}
WHY: dict[str, object] = {"reason": "it is late"}

ROUTES = {
    "GET /admin": PAGE,
    "GET /admin/people": PAGE,
    "GET /admin/people/{who}": PAGE,
    "POST /admin/people/{who}/suspend": Route(ADMINS, form={"reason": "left"}),
    "POST /admin/people/{who}/restore": PAGE,
    "POST /admin/people/{who}/sign-out": PAGE,
    "POST /admin/people/{who}/administrator": Route(ADMINS, form={"given": "yes"}),
    "GET /admin/projects": PAGE,
    "GET /admin/projects/{slug}": PAGE,
    "POST /admin/projects/{slug}/quota": Route(ADMINS, form={"services": "3"}),
    "GET /admin/services": PAGE,
    "GET /admin/services/{service_id}": PAGE,
    "POST /admin/services/{service_id}/stop": Route(ADMINS, form={"reason": "late"}),
    "POST /admin/services/{service_id}/extend": Route(ADMINS, form={"reason": "late", "days": "3"}),
    "GET /admin/catalogs": PAGE,
    "POST /admin/catalogs/{catalog}/refresh": Route(ADMINS, path=CATALOG),
    "GET /admin/audit": PAGE,
    "POST /admin/audit/verify": PAGE,
    "POST /admin/audit/export": PAGE,
    "GET /api/v1/admin/people": API,
    "GET /api/v1/admin/people/{who}": API,
    "POST /api/v1/admin/people/{who}/suspend": Route(ADMINS, scopes=ADMIN, json=WHY),
    "POST /api/v1/admin/people/{who}/restore": API,
    "DELETE /api/v1/admin/people/{who}/sessions": API,
    "PUT /api/v1/admin/people/{who}/administrator": API,
    "DELETE /api/v1/admin/people/{who}/administrator": API,
    "GET /api/v1/admin/projects": API,
    "GET /api/v1/admin/projects/{slug}/quota": API,
    "PUT /api/v1/admin/projects/{slug}/quota": Route(ADMINS, scopes=ADMIN, json={"services": 3}),
    "GET /api/v1/admin/services": API,
    "GET /api/v1/admin/services/{service_id}": API,
    "POST /api/v1/admin/services/{service_id}/stop": Route(ADMINS, scopes=ADMIN, json=WHY),
    "POST /api/v1/admin/services/{service_id}/extend": Route(ADMINS, scopes=ADMIN, json={**WHY, "days": 3}),
    "GET /api/v1/admin/catalogs": API,
    "POST /api/v1/admin/catalogs/{catalog}/refresh": Route(ADMINS, scopes=ADMIN, path=CATALOG),
    "GET /api/v1/admin/audit": API,
    "GET /api/v1/admin/audit/verify": API,
    "GET /api/v1/admin/audit/exports": API,
    "POST /api/v1/admin/audit/exports": API,
}
