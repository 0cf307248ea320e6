"""A provider that says whatever a test has it say: right by default, and hostile in one thing at a time.

It is a real server on a port of this machine, with keys of its own, by joserfc; `answer` plays the person who signs in there.
"""

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import parse_qs, urlencode, urlsplit

import uvicorn
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from joserfc.jwk import OctKey, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

SECRET = "the lab's secret: there & then"
CLIENT = "etabli"
PERSON: Mapping[str, object] = {
    "sub": "f6b1c1de-0001",
    "preferred_username": "grace",
    "name": "Grace Hopper",
    "email": "grace@institut.example",
    "email_verified": True,
}


GITHUB: Mapping[str, object] = {
    "/user": {"id": 583231, "login": "ghopper", "name": "Grace Hopper", "email": "anything@public.example"},
    "/user/emails": [
        {"email": "old@x.example", "primary": False, "verified": True},
        {"email": "grace@institut.example", "primary": True, "verified": True},
    ],
    "/user/orgs": [{"login": "institut"}],
    "/user/teams": [{"slug": "prices", "organization": {"login": "institut"}}],
}


@cache
def _key(_number: int) -> RSAKey:
    """One of a few keys, each made once: they are slow to make."""
    return RSAKey.generate_key(2048, parameters={"use": "sig", "kid": secrets.token_hex(4)}, private=True)


@dataclass
class Asked:
    """What an application asked when it sent a browser."""

    nonce: str
    challenge: str
    redirect_uri: str


@dataclass
class Provider:
    """The provider. Change its fields, and it behaves so from then on."""

    port: int
    claims: dict[str, object] = field(default_factory=lambda: dict(PERSON))  # Of whoever signs in next.
    extra: dict[str, object] = field(default_factory=dict)  # Over the ID token's own claims, nonce and times included.
    header: dict[str, object] = field(default_factory=dict)  # Over the ID token's header.
    discovery: dict[str, object] = field(default_factory=dict)  # Over the discovery document.
    userinfo: Callable[[Mapping[str, object]], Response] | None = None
    in_token: tuple[str, ...] = tuple(PERSON)  # The claims that the ID token has; userinfo has all.
    forge: Callable[[Mapping[str, object]], str] | None = None  # Makes the ID token in place of the key.
    github: dict[str, object] = field(default_factory=lambda: dict(GITHUB))
    down: bool = False
    jwks_asked: int = 0
    asked: list[str] = field(default_factory=list)  # Bodies of token requests.
    key: RSAKey = field(default_factory=lambda: _key(0))
    retired: list[RSAKey] = field(default_factory=list)  # Keys listed beside.
    _codes: dict[str, Asked] = field(default_factory=dict)
    _server: uvicorn.Server | None = None

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}/realm"

    def answer(self, location: str, **over: str | None) -> str:
        """The address that the browser comes back to, after the person signed in at `location`; `over` changes its parameters."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self._codes[code] = Asked(query.get("nonce", ""), query["code_challenge"], query["redirect_uri"])
        given: dict[str, str | None] = {"code": code, "state": query["state"], "iss": self.issuer, **over}
        back = urlsplit(query["redirect_uri"]).path
        return f"{back}?{urlencode({name: value for name, value in given.items() if value is not None})}"

    def signed(self, claims: Mapping[str, object]) -> str:
        """These claims under its key."""
        return _token({"alg": "RS256", "kid": self.key.kid, **self.header}, claims, _signer(self.key))

    def rotate(self) -> None:
        """Sign by another key from now on; the old one is listed no more."""
        self.key = _key(2)

    def app(self) -> Starlette:
        """What it serves."""
        return Starlette(
            routes=[
                Route("/realm/.well-known/openid-configuration", self._discovery),
                Route("/realm/authorize", self._authorize),
                Route("/realm/keys", self._keys),
                Route("/realm/token", self._token, methods=["POST"]),
                Route("/github/login/oauth/access_token", self._github_token, methods=["POST"]),
                Route("/github/api/v3/{path:path}", self._github_api),
                Route("/realm/userinfo", self._userinfo),
            ]
        )

    async def _discovery(self, _request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        document = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "jwks_uri": f"{self.issuer}/keys",
            "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
            "authorization_response_iss_parameter_supported": True,
        }
        return JSONResponse({**document, **self.discovery})

    async def _authorize(self, request: Request) -> Response:
        """Whoever comes is signed in here already, and sent back at once."""
        back = urlsplit(request.query_params["redirect_uri"])
        return RedirectResponse(f"{back.scheme}://{back.netloc}{self.answer(str(request.url))}", status_code=302)

    async def _keys(self, _request: Request) -> Response:
        self.jwks_asked += 1
        listed = [key.as_dict(private=False) for key in (self.key, *self.retired)]
        secret = OctKey.import_key("a secret of its own, listed by mistake").as_dict(private=True)
        return JSONResponse({"keys": [*listed, secret, {"kty": "RSA", "n": "?"}, {"kty": "XX"}, 3]})

    async def _token(self, request: Request) -> Response:
        if self.down:
            return Response(status_code=503)
        body = (await request.body()).decode()
        self.asked.append(body)
        form = {name: values[0] for name, values in parse_qs(body).items()}
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        expected = base64.b64encode(f"{CLIENT}:{SECRET_QUOTED}".encode()).decode()
        if (scheme, given) != ("Basic", expected):
            return JSONResponse({"error": "invalid_client"}, status_code=401)
        asked = self._codes.pop(form["code"], None)
        if asked is None or asked.redirect_uri != form["redirect_uri"]:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        digest = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest())
        if digest.rstrip(b"=").decode() != asked.challenge:
            return JSONResponse({"error": "invalid_grant"}, status_code=400)
        now = int(time.time())
        times = {"iat": now, "exp": now + 300}
        base = {"iss": self.issuer, "aud": CLIENT, "nonce": asked.nonce, **times}
        said = {name: value for name, value in self.claims.items() if name in self.in_token}
        claims = {name: value for name, value in {**base, **said, **self.extra}.items() if value is not None}
        token = (self.forge or self.signed)(claims)
        return JSONResponse({"access_token": "access", "token_type": "Bearer", "id_token": token})

    async def _github_token(self, request: Request) -> Response:
        """As GitHub's: errors come with status 200, and the secret in the form."""
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT, SECRET):
            return JSONResponse({"error": "incorrect_client_credentials"})
        if self._codes.pop(form["code"], None) is None:
            return JSONResponse({"error": "bad_verification_code"})
        return JSONResponse({"access_token": "access", "token_type": "bearer", "scope": "read:user"})

    async def _github_api(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer access"
        return JSONResponse(self.github["/" + request.path_params["path"]])

    async def _userinfo(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer access"
        return self.userinfo(self.claims) if self.userinfo else JSONResponse(self.claims)

    async def start(self) -> None:
        """Answer on its port."""
        config = uvicorn.Config(self.app(), port=self.port, lifespan="off", log_level="critical")
        server = uvicorn.Server(config)
        self._server = server
        self._serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for.
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """Gone: connections are refused. Repeating it is fine."""
        if self._server is not None:
            self._server.should_exit = True
            await self._serving
            self._server = None
            for _ in range(3):
                await asyncio.sleep(0)  # Connections that both sides closed are let go of in the loop's next turns.


SECRET_QUOTED = "the+lab%27s+secret%3A+there+%26+then"  # As RFC 6749, section 2.3.1 has it.


def unsigned(claims: Mapping[str, object]) -> str:
    """A token by `alg: none`."""
    return _token({"alg": "none", "typ": "JWT"}, claims, lambda _text: b"")


def by_public_key(provider: Provider) -> Callable[[Mapping[str, object]], str]:
    """Tokens by HS256, with the provider's public key for a secret: the classic confusion."""
    secret = provider.key.as_pem(private=False)
    header = {"alg": "HS256", "kid": provider.key.kid}
    return lambda claims: _token(header, claims, lambda text: hmac.digest(secret, text, "sha256"))


def by_another_key(provider: Provider) -> Callable[[Mapping[str, object]], str]:
    """Tokens by a key that the provider does not list, under a name of its own."""
    key = _key(1)
    return lambda claims: _token({"alg": "RS256", "kid": key.kid}, claims, _signer(key))


@asynccontextmanager
async def running() -> AsyncIterator[Provider]:
    """A provider that answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    provider = Provider(port=port)
    await provider.start()
    try:
        yield provider
    finally:
        await provider.stop()


def _signer(key: RSAKey) -> Callable[[bytes], bytes]:
    private = key.private_key
    assert private is not None
    return lambda text: private.sign(text, padding.PKCS1v15(), hashes.SHA256())


def _token(header: Mapping[str, object], claims: Mapping[str, object], sign: Callable[[bytes], bytes]) -> str:
    """A compact token (RFC 7515 section 7.1), whatever its header says: libraries refuse to make the wrong ones."""
    text = ".".join(_base64(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{_base64(sign(text.encode()))}"


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
