"""Routes of the catalogue and of services."""

from etabli.identity.models import Role
from etabli.identity.token_models import Scope
from tests.web.access.rules import SIGNED_IN, Route, in_project

CHART = {"catalog": "ide", "chart": "notebook"}
SEEN = Route(in_project(Role.VIEWER))
WORKED = Route(in_project(Role.MEMBER))
READS, WRITES = (Scope.READ, Scope.SERVICES), (Scope.SERVICES,)
API_SEEN = Route(in_project(Role.VIEWER), scopes=READS)
API_WORKED = Route(in_project(Role.MEMBER), scopes=WRITES)
API_LISTED = Route(in_project(Role.VIEWER), scopes=READS, query={"project": "{slug}"})

ROUTES = {
    "GET /catalog": Route(SIGNED_IN),
    "GET /launcher/{catalog}/{chart}": Route(SIGNED_IN, path=CHART),
    "POST /launcher/{catalog}/{chart}": Route(SIGNED_IN, path=CHART, form={"name": "X"}),
    "POST /launcher/{catalog}/{chart}/same": Route(SIGNED_IN, path=CHART, form={"name": "X"}),
    "GET /services": Route(SIGNED_IN),
    "GET /services/{service_id}": SEEN,
    "GET /services/{service_id}/logs": SEEN,
    "GET /services/{service_id}/logs/stream": SEEN,
    "GET /services/{service_id}/open": WORKED,
    "GET /services/{service_id}/delete": SEEN,
    "POST /services/{service_id}/delete": WORKED,
    "POST /services/{service_id}/extend": WORKED,
    "POST /services/{service_id}/rename": Route(in_project(Role.MEMBER), form={"name": "Renamed"}),
    "POST /services/{service_id}/resume": WORKED,
    "POST /services/{service_id}/stop": WORKED,
    "GET /api/v1/catalogs": Route(SIGNED_IN, scopes=READS),
    "GET /api/v1/catalogs/{catalog}/charts/{chart}/schema": Route(SIGNED_IN, scopes=READS, path=CHART),
    "GET /api/v1/catalogs/{catalog}/charts/{chart}/form": Route(
        in_project(Role.MEMBER),
        scopes=READS,
        path=CHART,
        query={"project": "{slug}"},
    ),
    "GET /api/v1/services": API_LISTED,
    "GET /api/v1/events": API_LISTED,
    "POST /api/v1/services": Route(
        in_project(Role.MEMBER), scopes=WRITES, json={"chart": "notebook", "project": "{slug}"}
    ),
    "GET /api/v1/services/{service_id}": API_SEEN,
    "GET /api/v1/services/{service_id}/history": API_SEEN,
    "GET /api/v1/services/{service_id}/logs": API_SEEN,
    "PATCH /api/v1/services/{service_id}": Route(in_project(Role.MEMBER), scopes=WRITES, json={"name": "Renamed"}),
    "DELETE /api/v1/services/{service_id}": API_WORKED,
    "POST /api/v1/services/{service_id}/stop": API_WORKED,
    "POST /api/v1/services/{service_id}/resume": API_WORKED,
    "POST /api/v1/services/{service_id}/extend": API_WORKED,
}
