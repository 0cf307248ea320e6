"""Routes of what one proves oneself with."""

from etabli.identity.token_models import Scope
from tests.web.access.rules import ADMINS, ANYONE, EVERY, IN, NOT_FOUND, OWN, SIGN_IN, SIGNED_IN, Route, everybody

ADMIN = (Scope.ADMIN,)
ANSWER = {"credential": "{}"}

ROUTES = {
    # With a good answer it lets in; anyone may try.
    "POST /sign-in/passkey": Route(everybody(SIGN_IN), form=ANSWER),
    "POST /sign-in/passkey/options": Route(ANYONE),
    "GET /prove": Route(SIGNED_IN),
    "POST /prove": Route(SIGNED_IN, form={"password": "x"}),
    "POST /prove/passkey": Route(SIGNED_IN, form=ANSWER),
    "POST /prove/passkey/options": Route(SIGNED_IN),
    "POST /account/security/passkeys": Route(SIGNED_IN, form=ANSWER),
    "POST /account/security/passkeys/options": Route(SIGNED_IN),
    "POST /account/security/passkeys/{passkey_id}/remove": Route(OWN),
    "GET /sign-in/second": Route(everybody(IN, ANONYMOUS=NOT_FOUND)),
    "POST /sign-in/second": Route(everybody(NOT_FOUND), form={"code": "123456"}),
    "GET /account/security/codes": Route(SIGNED_IN),
    "POST /account/security/codes": Route(SIGNED_IN),
    "POST /account/security/codes/confirm": Route(SIGNED_IN, form={"code": "123456"}),
    "POST /account/security/codes/renew": Route(SIGNED_IN),
    "POST /account/security/codes/off": Route(SIGNED_IN),
    "GET /reset": Route(everybody(NOT_FOUND), query={"token": "x"}),
    "POST /reset": Route(everybody(NOT_FOUND), form={"token": "x", "password": "a long and quiet password"}),
    "GET /terms": Route(everybody(NOT_FOUND)),  # None hold here.
    "POST /terms": Route(everybody(NOT_FOUND, ANONYMOUS=SIGN_IN), form={"version": "1"}),
    "GET /api/v1/terms": Route(everybody(NOT_FOUND), scopes=EVERY),
    "POST /api/v1/terms/acceptance": Route(SIGNED_IN, json={"version": 1}),
    "GET /admin/terms": Route(ADMINS),
    "POST /admin/terms": Route(ADMINS, form={"preview": "true"}),
    "POST /admin/terms/withdraw": Route(ADMINS),
    "GET /api/v1/admin/terms": Route(ADMINS, scopes=ADMIN),
    "POST /api/v1/admin/terms": Route(ADMINS, scopes=ADMIN, json={"texts": {}}),
    "DELETE /api/v1/admin/terms": Route(ADMINS, scopes=ADMIN),
    "GET /api/v1/admin/terms/acceptances": Route(ADMINS, scopes=ADMIN),
    "POST /api/v1/admin/people/{person}/reset-link": Route(ADMINS, scopes=ADMIN, json={}),
}
