"""The way to one provider and back: authorization code with PKCE (RFC 7636), state, nonce, and the issuer in the answer (RFC 9207).

OpenID Connect Core 1.0 section 3.1, as RFC 9700 tightens it. Nonce and verifier are made from the state by a key that only the
browser holds, so that nothing but the state's digest is stored, and an answer carried to another browser is worth nothing there.
Tokens live in the variables of one call.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote_plus, urlencode, urlsplit, urlunsplit

import httpx

from etabli.identity.outside import client_secrets, errors, github, id_tokens, reading
from etabli.identity.outside.calls import Answer, Calls
from etabli.identity.outside.directory import Directory, Endpoints
from etabli.identity.outside.models import Button, Claims, Said
from etabli.identity.outside.settings import ProviderSettings
from etabli.kernel import errors as kernel_errors
from etabli.kernel.clock import Clock

LONGEST_CODE = 4096  # Characters of a code; some providers put a whole token in it.
# What is wrong with the lab's own registration, and nothing that the person can do about (RFC 6749 section 5.2).
REGISTRATION = frozenset(
    {"invalid_client", "unauthorized_client", "incorrect_client_credentials", "redirect_uri_mismatch"}
)


@dataclass(frozen=True)
class Trip:
    """One way there and back: whose browser (`secret`, known to it alone), by which state, back to which address."""

    secret: str
    state: str
    redirect_uri: str

    @property
    def nonce(self) -> str:
        """What the ID token must repeat."""
        return self._made("nonce")

    @property
    def verifier(self) -> str:
        """What proves to the provider that who brings the code is who asked for it."""
        return self._made("verifier")

    def _made(self, purpose: str) -> str:
        word = f"etabli outside {purpose} {self.state}".encode()
        return _base64(hmac.new(self.secret.encode(), word, hashlib.sha256).digest())


class Flow:
    """The flow with one provider."""

    def __init__(self, *, settings: ProviderSettings, clock: Clock, environ: Mapping[str, str]) -> None:
        self.settings = settings
        self._clock = clock
        self._environ = environ
        self._calls = Calls(name=settings.name, authorities=settings.authorities)
        self._directory = Directory(settings=settings, calls=self._calls, clock=clock)

    @property
    def button(self) -> Button:
        """How pages show it."""
        return Button(id=self.settings.id, name=self.settings.name)

    @property
    def is_openid(self) -> bool:
        """Whether it has OpenID, and not OAuth alone."""
        return self.settings.kind != "github"

    async def departure(self, trip: Trip, *, language: str) -> str:
        """Where to send the browser. Unavailable while the provider is down."""
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": trip.redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": trip.state,
            "code_challenge": _base64(hashlib.sha256(trip.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        if self.is_openid:
            asked |= {"nonce": trip.nonce, "ui_locales": language}
        if self.settings.acr_values:
            asked["acr_values"] = " ".join(self.settings.acr_values)
        parts = urlsplit((await self.endpoints()).authorization)
        added = urlencode(asked)
        return urlunsplit(parts._replace(query=f"{parts.query}&{added}" if parts.query else added))

    async def arrival(self, trip: Trip, query: Mapping[str, str]) -> Said:
        """Who came back. NotAccepted where the answer is not believed; Refused where the person, or the provider, said no."""
        endpoints = await self.endpoints()
        self._check_issuer(endpoints, query)
        if "error" in query:
            raise self._refusal(query["error"])
        code = query.get("code", "")
        if not 0 < len(code) <= LONGEST_CODE:
            raise self._not_accepted("there is no code in its answer")
        tokens = await self._exchange(endpoints, trip, code)
        try:
            claims = await self._claims(endpoints, trip, tokens)
            return reading.said(claims, settings=self.settings, issuer=endpoints.issuer)
        except id_tokens.NotBelieved as error:
            raise self._not_accepted(f"a token is not believed: {error}") from error

    async def endpoints(self, *, fresh: bool = False) -> Endpoints:
        """Where the provider's endpoints are."""
        return await self._directory.endpoints(fresh=fresh) if self.is_openid else github.endpoints(self.settings)

    async def problems(self, redirect_uri: str) -> list[str]:
        """What does not hold, tried now: discovery, keys, the lab's own secret there. Empty: a person can sign in."""
        try:
            endpoints = await self.endpoints(fresh=True)
            if self.is_openid and not await self._directory.keys(missing=True):
                return [f"no key at `{endpoints.jwks}` that signs by {', '.join(endpoints.algorithms)}"]
            # A code that nobody gave: a provider that knows the lab refuses the code, another refuses the lab.
            form = {"grant_type": "authorization_code", "code": "etabli-providers-check", "redirect_uri": redirect_uri}
            answer = await self._ask_tokens(endpoints, {**form, "code_verifier": "x" * 43})
        except errors.NotAccepted as error:
            return [error.reason]
        except kernel_errors.Unavailable as error:
            return [f"{error.message}: {error.facts.get('why')}"]
        except kernel_errors.EtabliError as error:
            return [error.message]
        if (word := _word(answer)) in REGISTRATION:
            return [f"it does not accept the lab's client id and secret (`{word}`)"]
        return []

    async def close(self) -> None:
        """Close every connection."""
        await self._calls.close()

    def _check_issuer(self, endpoints: Endpoints, query: Mapping[str, str]) -> None:
        """RFC 9207 section 2.4: an answer of another provider is not brought to this one's token endpoint."""
        named = query.get("iss")
        if (named is None and endpoints.says_issuer) or (named is not None and named != endpoints.issuer):
            raise self._not_accepted("its answer does not name it as the issuer")

    async def _exchange(self, endpoints: Endpoints, trip: Trip, code: str) -> Claims:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": trip.redirect_uri}
        answer = await self._ask_tokens(endpoints, {**form, "code_verifier": trip.verifier})
        tokens, word = answer.table(), _word(answer)
        if word in REGISTRATION:
            raise self._not_accepted(f"it does not accept the lab's registration: `{word}`")
        if word or answer.status != 200 or tokens is None:
            raise self._not_accepted(f"it gives no token for its code: status {answer.status}, `{word[:60]}`")
        return tokens

    async def _ask_tokens(self, endpoints: Endpoints, form: Mapping[str, str]) -> Answer:
        """A request of the token endpoint, by who we are there (RFC 6749 section 2.3.1)."""
        secret = await self._secret()
        whole, auth = dict(form), None
        if secret is None or endpoints.posts_secret:
            whole["client_id"] = self.settings.client_id
        if secret is not None and endpoints.posts_secret:
            whole["client_secret"] = secret
        elif secret is not None:
            auth = httpx.BasicAuth(quote_plus(self.settings.client_id), quote_plus(secret))
        return await self._calls.ask(
            "POST", endpoints.token, headers={"Accept": "application/json"}, form=whole, auth=auth
        )

    async def _secret(self) -> str | None:
        """The lab's secret there, read anew each time; None for a public client. NotAccepted where there is none to be read."""
        settings = self.settings
        if settings.client_secret_file is not None:
            if problem := await asyncio.to_thread(client_secrets.problem, settings.client_secret_file):
                raise self._not_accepted(problem)
            return (await asyncio.to_thread(settings.client_secret_file.read_text)).strip()
        if name := settings.client_secret_env:
            if value := self._environ.get(name):
                return value
            raise self._not_accepted(f"the variable `{name}` is not set: set it where `etabli up` is run")
        return None

    async def _claims(self, endpoints: Endpoints, trip: Trip, tokens: Claims) -> Claims:
        access = tokens.get("access_token")
        if not self.is_openid:
            if not isinstance(access, str):
                raise id_tokens.NotBelieved("there is none")
            return await github.claims(self.settings, self._calls, token=access)
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise id_tokens.NotBelieved("there is none")
        expected = self._expected(endpoints, endpoints.algorithms)
        try:
            claims = id_tokens.read(token, keys=await self._directory.keys(), expected=expected, nonce=trip.nonce)
        except id_tokens.UnknownKey:
            keys = await self._directory.keys(missing=True)
            claims = id_tokens.read(token, keys=keys, expected=expected, nonce=trip.nonce)
        if self.settings.acr_values and claims.get("acr") not in self.settings.acr_values:
            raise id_tokens.NotBelieved("it does not say the level of sign-in that was asked for (`acr`)")
        wants = self.settings.userinfo
        if wants == "always" or (wants == "auto" and endpoints.userinfo and reading.missing(claims, self.settings)):
            # What the ID token says stands: it was signed for this very answer.
            claims = {**await self._userinfo(endpoints, access, str(claims["sub"])), **claims}
        return claims

    async def _userinfo(self, endpoints: Endpoints, access: object, subject: str) -> Claims:
        """What userinfo says, of that very subject (Core 5.3.2)."""
        if endpoints.userinfo is None or not isinstance(access, str):
            raise id_tokens.NotBelieved("there is none for userinfo")
        headers = {"Authorization": f"Bearer {access}", "Accept": "application/json, application/jwt"}
        answer = await self._calls.ask("GET", endpoints.userinfo, headers=headers)
        if answer.status != 200:
            raise id_tokens.NotBelieved(f"userinfo answers {answer.status}")
        if answer.kind == "application/jwt":
            expected = self._expected(endpoints, endpoints.userinfo_algorithms)
            keys = await self._directory.keys()
            claims = id_tokens.read_userinfo(answer.body.decode(errors="replace").strip(), keys=keys, expected=expected)
        else:
            claims = answer.table() or {}
        if claims.get("sub") != subject:
            raise id_tokens.NotBelieved("userinfo is of somebody else")
        return claims

    def _expected(self, endpoints: Endpoints, algorithms: tuple[str, ...]) -> id_tokens.Expected:
        return id_tokens.Expected(
            issuer=endpoints.issuer,
            client_id=self.settings.client_id,
            algorithms=algorithms,
            now=self._clock.now(),
            leeway=timedelta(seconds=self.settings.clock_leeway_seconds),
        )

    def _refusal(self, code: str) -> kernel_errors.EtabliError:
        """An answer that is an error (RFC 6749 section 4.1.2.1)."""
        name = self.settings.name
        if code == "access_denied":
            return kernel_errors.Refused(
                f"you were not signed in at `{name}`", hint="begin again, or sign in another way"
            )
        if code in {"server_error", "temporarily_unavailable"}:
            return kernel_errors.Unavailable(
                f"`{name}` does not answer", hint="sign in another way, or try again in a minute"
            )
        return self._not_accepted(f"it answers the error `{code[:60]}`")

    def _not_accepted(self, reason: str) -> errors.NotAccepted:
        return errors.NotAccepted(self.settings.name, reason)


def _word(answer: Answer) -> str:
    """The error that a token endpoint answers, empty where it is none. GitHub answers errors with status 200."""
    word = (answer.table() or {}).get("error")
    return word if isinstance(word, str) else ""


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
