"""Where a provider's endpoints are and which keys it signs with: asked once, kept for a while.

OpenID Connect Discovery 1.0 section 4. The issuer in the document must be the one that the settings name, so that no document speaks
for another. A key that is not known yet is looked for at once, but not more often than REFETCH: forged tokens must not make us ask.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from etabli.identity.outside import errors
from etabli.identity.outside.calls import Calls
from etabli.identity.outside.settings import ProviderSettings, is_safe_address
from etabli.kernel import errors as kernel_errors
from etabli.kernel.clock import Clock

PublicKey = RSAKey | ECKey | OKPKey

KEEP = timedelta(hours=1)  # How long endpoints and keys are kept.
REFETCH = timedelta(minutes=1)  # How often an unknown key may have us ask for the key set again.
PATIENCE = timedelta(seconds=5)  # How long a provider that was down is not asked again.
WELL_KNOWN = "/.well-known/openid-configuration"
# Signatures by private keys alone (RFC 7518, RFC 8037): `none` proves nothing, and HS* would take a public key for a secret.
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")


@dataclass(frozen=True)
class Endpoints:
    """What a provider says of itself."""

    issuer: str
    authorization: str
    token: str
    userinfo: str | None
    jwks: str | None
    algorithms: tuple[str, ...] = ALGORITHMS[:1]
    userinfo_algorithms: tuple[str, ...] = ALGORITHMS[:1]
    posts_secret: bool = False  # `client_secret_post` rather than `client_secret_basic`.
    says_issuer: bool = False  # RFC 9207: `iss` is in each answer.


class Directory:
    """One provider's endpoints and keys."""

    def __init__(self, *, settings: ProviderSettings, calls: Calls, clock: Clock) -> None:
        self._settings = settings
        self._calls = calls
        self._clock = clock
        self._turn = asyncio.Lock()
        self._endpoints: Endpoints | None = None
        self._endpoints_at = 0.0
        self._keys: tuple[PublicKey, ...] = ()
        self._keys_at: float | None = None
        self._failed: tuple[float, kernel_errors.Unavailable] | None = None

    async def endpoints(self, *, fresh: bool = False) -> Endpoints:
        """Where things are. Unavailable while the provider is down; NotAccepted where its document will not do."""
        async with self._turn:
            now = self._clock.monotonic()
            if self._endpoints is not None and not fresh and now - self._endpoints_at < KEEP.total_seconds():
                return self._endpoints
            if self._failed is not None and not fresh and now - self._failed[0] < PATIENCE.total_seconds():
                raise self._failed[1]
            try:
                self._endpoints = await self._discover()
            except kernel_errors.Unavailable as error:
                self._failed = now, error
                raise
            self._failed, self._endpoints_at = None, now
            return self._endpoints

    async def keys(self, *, missing: bool = False) -> Sequence[PublicKey]:
        """The keys that it signs with. `missing`: one that is not among those kept was named."""
        endpoints = await self.endpoints()
        async with self._turn:
            now, age = self._clock.monotonic(), KEEP if not missing else REFETCH
            if self._keys_at is None or now - self._keys_at >= age.total_seconds():
                self._keys = await self._fetch_keys(endpoints)
                self._keys_at = now
            return self._keys

    async def _discover(self) -> Endpoints:
        issuer = self._settings.issuer
        answer = await self._calls.ask("GET", issuer.rstrip("/") + WELL_KNOWN)
        document = answer.table()
        if answer.status != 200 or document is None:
            raise errors.NotAccepted(
                self._settings.name, f"no discovery document at `{issuer}` (status {answer.status})"
            )
        if document.get("issuer") != issuer:
            raise errors.NotAccepted(
                self._settings.name, f"its document says issuer `{document.get('issuer')}`, the settings `{issuer}`"
            )
        methods = _texts(document, "token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Endpoints(
            issuer=issuer,
            authorization=self._address(document, "authorization_endpoint"),
            token=self._address(document, "token_endpoint"),
            userinfo=self._address(document, "userinfo_endpoint") if document.get("userinfo_endpoint") else None,
            jwks=self._address(document, "jwks_uri"),
            algorithms=_accepted(_texts(document, "id_token_signing_alg_values_supported")),
            userinfo_algorithms=_accepted(_texts(document, "userinfo_signing_alg_values_supported")),
            posts_secret="client_secret_basic" not in methods,
            says_issuer=document.get("authorization_response_iss_parameter_supported") is True,
        )

    def _address(self, document: Mapping[str, object], name: str) -> str:
        found = document.get(name)
        if not isinstance(found, str) or not is_safe_address(found):
            raise errors.NotAccepted(self._settings.name, f"`{name}` of its document is no https address")
        return found

    async def _fetch_keys(self, endpoints: Endpoints) -> tuple[PublicKey, ...]:
        if endpoints.jwks is None:
            return ()
        answer = await self._calls.ask("GET", endpoints.jwks)
        listed = (answer.table() or {}).get("keys")
        if answer.status != 200 or not isinstance(listed, list):
            raise errors.NotAccepted(self._settings.name, f"no key set at `{endpoints.jwks}` (status {answer.status})")
        return tuple(key for key in map(_public_key, listed) if key is not None)


def _public_key(item: object) -> PublicKey | None:
    """A key that may have signed; None for those that encrypt, that are secrets, or that we do not know (RFC 7517 section 5)."""
    if not isinstance(item, dict) or item.get("use", "sig") != "sig" or item.get("kty") not in {"RSA", "EC", "OKP"}:
        return None
    try:
        return cast("PublicKey", JWKRegistry.import_key(item))
    except (JoseError, ValueError, KeyError, TypeError):
        return None


def _accepted(announced: Sequence[str]) -> tuple[str, ...]:
    """Of the algorithms that a provider announces, those that are accepted here; RS256 where it announces nothing (Core, 15.1)."""
    return tuple(one for one in ALGORITHMS if one in (announced or ALGORITHMS[:1]))


def _texts(document: Mapping[str, object], name: str) -> Sequence[str]:
    found = document.get(name)
    return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
