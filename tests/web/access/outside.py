"""Routes of outside sign-in, in a lab that knows no provider, and of answers that nobody asked for."""

from etabli.identity.token_models import Scope
from tests.web.access.rules import ADMINS, ANYONE, IN, NOT_FOUND, SIGN_IN, SIGNED_IN, Route, everybody

NO_PROVIDER = {"provider_id": "none"}
NOBODYS = everybody(NOT_FOUND, ANONYMOUS=SIGN_IN)

ROUTES = {
    "GET /sign-in/with/{provider_id}": Route(everybody(IN, ANONYMOUS=NOT_FOUND), path=NO_PROVIDER),
    "GET /sign-in/with/{provider_id}/back": Route(everybody(NOT_FOUND), path=NO_PROVIDER),
    # What nobody asked for is told to begin again, whoever they are.
    "GET /sign-in/with/{provider_id}/new": Route(ANYONE, path=NO_PROVIDER),
    "POST /sign-in/with/{provider_id}/new": Route(ANYONE, path=NO_PROVIDER, form={"attempt": "x"}),
    "POST /account/providers/{provider_id}": Route(NOBODYS, path=NO_PROVIDER),
    "POST /account/providers/{provider_id}/link": Route(SIGNED_IN, path=NO_PROVIDER, form={"attempt": "x"}),
    "GET /api/v1/me/identities": Route(SIGNED_IN),
    "DELETE /api/v1/me/identities/{identity_id}": Route(NOBODYS, path={"identity_id": "x"}),
    "GET /api/v1/admin/providers": Route(ADMINS, scopes=(Scope.ADMIN,)),
    "POST /account/identities/{identity_id}/end": Route(NOBODYS, path={"identity_id": "x"}),
}
