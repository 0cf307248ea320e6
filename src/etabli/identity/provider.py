"""The OpenID provider, as functions over plain requests: authorization code with PKCE, and nothing else.

OpenID Connect Core 1.0 and OAuth 2.0 (RFC 6749) as RFC 9700 tightens them: S256 always (RFC 7636), redirect addresses compared
whole, codes that live a minute and are spent once, the issuer named in every answer (RFC 9207). A code presented twice revokes what
it bought. Applications are registered by an administrator, so nobody is asked to consent. Refused: implicit and hybrid flows,
request objects, `prompt=login`, `max_age`, refresh tokens.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode, urlsplit, urlunsplit

import structlog

from etabli.identity import clients, devices, errors, issuer, keys, models, opaque, queries
from etabli.identity.store import CodeRow, UserRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel import ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

SCOPES = ("openid", "profile", "email", "groups")
CODE_LIFETIME = timedelta(minutes=1)
ID_TOKEN_LIFETIME = timedelta(hours=1)
ACCESS_TOKEN_LIFETIME = timedelta(minutes=10)
USERINFO_AUDIENCE = (
    "userinfo"  # Access tokens of applications read who signed in; at the lab's own API they buy nothing.
)
CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")  # SHA-256 in base64url (RFC 7636 section 4.2).
VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")  # RFC 7636 section 4.1.
LONGEST_ECHO = 2000  # Characters of `state` and `nonce`, which we carry for others.


@dataclass(frozen=True)
class AuthorizationRequest:
    """A checked request of an application to know who somebody is."""

    client: models.Client
    redirect_uri: str
    scope: str
    state: str | None
    nonce: str | None
    code_challenge: str
    silent: bool  # `prompt=none`: answer at once, or that nobody is signed in.


class Provider:
    """Signs people in to applications."""

    def __init__(
        self, *, database: Database, clock: Clock, tokens: issuer.Issuer, registry: clients.Clients, ring: keys.KeyRing
    ) -> None:
        self._database = database
        self._clock = clock
        self._tokens = tokens
        self._clients = registry
        self._ring = ring

    def discovery(self) -> Mapping[str, object]:
        """What a client reads first (OpenID Connect Discovery 1.0 section 3)."""
        origin = self._tokens.origin
        return {
            "issuer": origin,
            "authorization_endpoint": f"{origin}/oidc/authorize",
            "token_endpoint": f"{origin}/oidc/token",
            "device_authorization_endpoint": f"{origin}/oidc/device_authorization",  # RFC 8628, 4.
            "revocation_endpoint": f"{origin}/oidc/revoke",
            "userinfo_endpoint": f"{origin}/oidc/userinfo",
            "jwks_uri": f"{origin}/oidc/jwks",
            "scopes_supported": list(SCOPES),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", devices.GRANT],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [keys.ALGORITHM],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
            "code_challenge_methods_supported": ["S256"],
            "claims_supported": [
                *("iss", "aud", "sub", "exp", "iat", "nonce", "preferred_username"),
                *("name", "locale", "email", "email_verified", "groups", "reader_groups"),
            ],
            "request_parameter_supported": False,
            "request_uri_parameter_supported": False,
            "authorization_response_iss_parameter_supported": True,
        }

    def jwks(self) -> Mapping[str, object]:
        """The public keys (RFC 7517)."""
        return self._ring.jwks()

    async def check(self, query: Mapping[str, str]) -> AuthorizationRequest:
        """Read a request to `/oidc/authorize`. `query` has each parameter once.

        NotFound or Invalid, to be shown to the person, where the application or its address is not known: the browser is never sent
        there. RefusedBack for any other fault.
        """
        client = await self._clients.find(client_id=query.get("client_id", ""))
        redirect_uri = query.get("redirect_uri", "")
        if redirect_uri not in client.redirect_uris:
            raise kernel_errors.Invalid(
                f"`{client.name}` asks to send you to an address that is not registered",
                hint="tell whoever runs the application",
                fields={"redirect_uri": "not one of those registered, character by character"},
            )
        if fault := _fault(query):
            code, text = fault
            raise self._refusal(redirect_uri, code, text, query.get("state"))
        return AuthorizationRequest(
            client=client,
            redirect_uri=redirect_uri,
            scope=" ".join(word for word in SCOPES if word in query["scope"].split()),
            state=query.get("state"),
            nonce=query.get("nonce"),
            code_challenge=query["code_challenge"],
            silent="none" in query.get("prompt", "").split(),
        )

    async def authorize(self, *, request: AuthorizationRequest, user: models.User) -> str:
        """Where to send the browser of a person who is signed in: back to the application, with a code."""
        now, code = self._clock.now(), opaque.new()
        row = CodeRow(
            id=ids.new_id() + ids.new_id(),
            code_hash=opaque.digest(code),
            client_id=request.client.id,
            user_id=user.id,
            redirect_uri=request.redirect_uri,
            scope=request.scope,
            nonce=request.nonce,
            code_challenge=request.code_challenge,
            created_at=now,
            expires_at=now + CODE_LIFETIME,
        )
        async with self._database.session() as session:
            session.add(row)
        log.info("code given", client=request.client.id, user=user.id)
        return self._answer(request.redirect_uri, {"code": code}, request.state)

    def nobody(self, request: AuthorizationRequest) -> errors.RefusedBack:
        """The answer to `prompt=none` where nobody is signed in."""
        return self._refusal(request.redirect_uri, "login_required", "nobody is signed in", request.state)

    async def token(self, *, form: Mapping[str, str], authorization: str | None) -> Mapping[str, object]:
        """Answer `/oidc/token` (RFC 6749 section 4.1.3). `form` has each parameter once. ProtocolError where refused."""
        client = await self._clients.authenticate(form=form, authorization=authorization)
        if form.get("grant_type") != "authorization_code":
            raise errors.ProtocolError("unsupported_grant_type", "only `authorization_code` is known here")
        missing = [name for name in ("code", "redirect_uri", "code_verifier") if not form.get(name)]
        if missing:
            raise errors.ProtocolError("invalid_request", f"`{missing[0]}` is missing")
        now = self._clock.now()
        async with self._database.session() as session:
            code = await queries.use_code(session, opaque.digest(form["code"]), client_id=client.id, now=now)
        # A code from the future was given before the clock went back: it would live too long.
        if code is None or not code.created_at - issuer.SKEW <= now < code.expires_at:
            raise _bad_grant()
        if code.redirect_uri != form["redirect_uri"] or not _matches(code.code_challenge, form["code_verifier"]):
            raise _bad_grant()
        return await self._tokens_for(code, client)

    async def userinfo(self, *, token: str) -> Mapping[str, object]:
        """The claims about whom an access token is for. Forbidden where it is not good, or its code was presented twice."""
        claims = self._tokens.claims_of(token, audience=USERINFO_AUDIENCE)
        async with self._database.session() as session:
            code = await session.get(CodeRow, str(claims.get("code")))
        if code is None or code.revoked_at is not None:
            raise kernel_errors.Forbidden("this token was revoked", hint="sign in again")
        return await self._claims(code)

    async def sweep(self) -> None:
        """Forget codes once all that they bought has expired."""
        async with self._database.session() as session:
            await queries.drop_codes(session, before=self._clock.now() - keys.LONGEST_TOKEN)

    async def _tokens_for(self, code: CodeRow, client: models.Client) -> Mapping[str, object]:
        try:
            claims = await self._claims(code)
        except kernel_errors.Forbidden as error:
            raise _bad_grant() from error
        nonce = {} if code.nonce is None else {"nonce": code.nonce}
        access = {"sub": code.user_id, "code": code.id, "client_id": client.id, "scope": code.scope}
        return {
            "access_token": self._tokens.sign(access, audience=USERINFO_AUDIENCE, lifetime=ACCESS_TOKEN_LIFETIME),
            "token_type": "Bearer",
            "expires_in": int(ACCESS_TOKEN_LIFETIME.total_seconds()),
            "scope": code.scope,
            "id_token": self._tokens.sign({**claims, **nonce}, audience=client.id, lifetime=ID_TOKEN_LIFETIME),
        }

    async def _claims(self, code: CodeRow) -> Mapping[str, object]:
        """What the scopes of a code let its application know (OpenID Connect Core 1.0 section 5.4)."""
        known = await self._tokens.person(code.user_id)
        async with self._database.session() as session:
            user = (await session.get_one(UserRow, code.user_id)).read()
        claims = {"sub": known["sub"], "preferred_username": known["preferred_username"]}
        scopes = code.scope.split()
        if "profile" in scopes:
            claims |= {"name": user.name, "locale": user.language}
        if "email" in scopes and user.email is not None:
            claims |= {"email": user.email, "email_verified": False}
        if "groups" in scopes:
            claims |= {"groups": known["groups"], "reader_groups": known["reader_groups"]}
        return claims

    def _refusal(self, redirect_uri: str, code: str, text: str, state: str | None) -> errors.RefusedBack:
        location = self._answer(redirect_uri, {"error": code, "error_description": text}, state)
        return errors.RefusedBack(code, text, location=location)

    def _answer(self, redirect_uri: str, parameters: Mapping[str, str], state: str | None) -> str:
        echo = {} if state is None else {"state": state[:LONGEST_ECHO]}
        added = urlencode({**parameters, **echo, "iss": self._tokens.origin})
        parts = urlsplit(redirect_uri)
        return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))


def _fault(query: Mapping[str, str]) -> tuple[str, str] | None:
    """The first fault of a request whose application and address are known: the protocol's code, and a sentence."""
    prompts = query.get("prompt", "").split()
    faults = (
        ("request" in query, "request_not_supported", "request objects are not known here"),
        ("request_uri" in query, "request_uri_not_supported", "request objects are not known here"),
        (query.get("response_type") != "code", "unsupported_response_type", "only `code` is known here"),
        (query.get("response_mode", "query") != "query", "invalid_request", "only `query` is known as response mode"),
        ("openid" not in query.get("scope", "").split(), "invalid_scope", "the scope `openid` is missing"),
        (query.get("code_challenge_method") != "S256", "invalid_request", "PKCE with `S256` is required"),
        (not CHALLENGE.fullmatch(query.get("code_challenge", "")), "invalid_request", "not a `S256` challenge"),
        (len(query.get("state", "")) > LONGEST_ECHO, "invalid_request", "`state` is too long"),
        (len(query.get("nonce", "")) > LONGEST_ECHO, "invalid_request", "`nonce` is too long"),
        ("none" in prompts and len(prompts) > 1, "invalid_request", "`none` is alone or not a prompt"),
        ("login" in prompts or "max_age" in query, "invalid_request", "asking for a fresh sign-in is not known here"),
    )
    return next(((code, text) for is_so, code, text in faults if is_so), None)


def _matches(challenge: str, verifier: str) -> bool:
    if not VERIFIER.fullmatch(verifier):
        return False
    computed = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    return hmac.compare_digest(computed, challenge)


def _bad_grant() -> errors.ProtocolError:
    return errors.ProtocolError(
        "invalid_grant", "the code is not good (any more) for this client, address and verifier"
    )
