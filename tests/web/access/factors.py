"""Routes of what one proves oneself with."""

from tests.web.access.rules import ANYONE, OWN, SIGN_IN, SIGNED_IN, Route, everybody

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
}
