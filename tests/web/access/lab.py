"""Routes of the lab itself: what needs nobody, the entrance, home."""

from etabli.identity.token_models import Scope
from tests.web.access.rules import ADMINS, ANYONE, EVERY, NOT_FOUND, SIGN_IN, SIGNED_IN, Route, everybody

UNKNOWN = everybody(NOT_FOUND)  # Open to all, and asked here for what does not exist.

ROUTES = {
    "GET /healthz": Route(ANYONE),
    "GET /static/{path:path}": Route(UNKNOWN, path={"path": "0/x.css"}),
    "GET /api/v1/openapi.json": Route(ANYONE, scopes=EVERY),
    "GET /": Route(ANYONE),
    "POST /again": Route(everybody(NOT_FOUND, ANONYMOUS=SIGN_IN), form={"catalog": "x", "chart": "y"}),
    "POST /first-steps/hide": Route(SIGNED_IN),
    "GET /live": Route(everybody(SIGN_IN)),  # Without the tag of the session that the page was made for.
    "GET /search": Route(SIGNED_IN),
    "GET /search/hits": Route(SIGNED_IN),
    "GET /api/v1/search": Route(SIGNED_IN, scopes=(Scope.READ,)),
    "GET /sign-in": Route(ANYONE),
    # With a right password it lets in; anyone may try.
    "POST /sign-in": Route(everybody(SIGN_IN), form={"login": "nobody", "password": "x"}),
    "GET /welcome": Route(UNKNOWN, query={"token": "x"}),
    "POST /welcome": Route(UNKNOWN, form={"token": "x", "name": "X", "password": "a long and quiet password"}),
    "POST /welcome/join": Route(everybody(NOT_FOUND, ANONYMOUS=SIGN_IN), form={"token": "x"}),
    "POST /sign-out": Route(everybody(SIGN_IN)),  # It leads to the sign-in page.
    "POST /language": Route(ANYONE, form={"language": "en"}),
    "POST /look": Route(ANYONE, form={"theme": "auto"}),
    "GET /design": Route(ADMINS),
    "GET /help": Route(ANYONE),
    "GET /help/{guide}": Route(ANYONE, path={"guide": "user"}),
    "GET /accessibility": Route(ANYONE),
    "GET /admin/branding": Route(ADMINS),
    "GET /admin/branding/style.css": Route(ADMINS),
    "GET /admin/branding/logo": Route(everybody(NOT_FOUND, ANONYMOUS=SIGN_IN)),  # There is none.
    "GET /branding/{digest}/accent.css": Route(UNKNOWN, path={"digest": "x"}),
    "GET /branding/{digest}/logo": Route(UNKNOWN, path={"digest": "x"}),
    "POST /project": Route(SIGNED_IN, form={"project": "{project}"}),
    "GET /open": Route(everybody(NOT_FOUND, ANONYMOUS=SIGN_IN), query={"host": "x.svc.etabli.localhost"}),
    "GET /.etabli/enter": Route(UNKNOWN),
    "GET /.well-known/openid-configuration": Route(ANYONE),
    "GET /oidc/jwks": Route(ANYONE),
    "GET /oidc/authorize": Route(UNKNOWN, query={"client_id": "x"}),
    "POST /oidc/token": Route(everybody(SIGN_IN)),  # 401: an unknown client.
    "POST /oidc/device_authorization": Route(ANYONE, form={"client_id": "etabli-cli", "scope": "read"}),
    "POST /oidc/revoke": Route(ANYONE, form={"token": "x"}),
    "GET /oidc/userinfo": Route(everybody(SIGN_IN)),
    "POST /oidc/userinfo": Route(everybody(SIGN_IN)),
    "GET /api/v1/me": Route(SIGNED_IN, scopes=EVERY),
}
