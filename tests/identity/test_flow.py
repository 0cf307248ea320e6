"""Applications sign people in through us, over real HTTP, by a client that we did not write: Authlib's.

Tokens are read once more with another library, jwcrypto, from what discovery and the key set say and nothing else.
"""

import asyncio
import json
import shutil
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from authlib.integrations.base_client import OAuthError  # type: ignore[import-untyped] # Authlib has no types.
from authlib.integrations.httpx_client import AsyncOAuth2Client  # type: ignore[import-untyped] # As above.
from authlib.integrations.starlette_client import OAuth  # type: ignore[import-untyped] # As above.
from fastapi import Cookie, FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from jwcrypto import jwk, jwt  # type: ignore[import-untyped] # It has no types.

from etabli.identity import api, keys, models, pages, provider, service
from etabli.kernel import errors
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.settings import Layout
from tests.identity.lab import CHEAP, PASSWORD, Lab

REDIRECT = "https://app.example.org/callback"
SCOPE = "openid profile email groups"
VERIFIER = "v" * 64


@dataclass(frozen=True)
class Served:
    """A lab that answers at `origin`, and a browser in which its administrator is signed in."""

    lab: Lab
    origin: str
    admin: models.User
    browser: httpx.AsyncClient


def application(identity: service.Identity) -> FastAPI:
    """What `web` does around this room: a cookie, a sign-in page, errors shown."""
    app = FastAPI()

    async def current_user(session: Annotated[str | None, Cookie()] = None) -> models.User | None:
        found = None if session is None else await identity.sessions.find(token=session)
        return None if found is None else found.user

    def sign_in(_request: Request) -> Response:
        return RedirectResponse("/sign-in", status_code=303)

    async def refused(_request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": str(error)}, status_code=400)

    machines = api.router(
        identity.provider,
        devices=identity.devices,
        access_tokens=identity.access_tokens,
        address_of=lambda _request: "127.0.0.1",
    )
    app.include_router(machines)
    app.include_router(pages.router(identity.provider, current_user=current_user, sign_in=sign_in))
    app.add_exception_handler(errors.Refused, refused)
    return app


@pytest.fixture
async def served(tmp_path: Path, key_folder: Path) -> AsyncIterator[Served]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()  # What is asked before the server is up waits for it: nothing to poll.
        origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
        layout = Layout(data=tmp_path / "data", run=tmp_path / "run")
        layout.make()
        shutil.copy(key_folder / keys.PRIVATE_FILE, layout.keys)
        # Authlib reads the machine's time: ours starts there, and moves when the test says.
        database, clock = Database(sqlite_url(layout.database)), ManualClock(datetime.now(UTC))
        await database.create_tables()
        identity = service.build(database=database, clock=clock, layout=layout, origin=origin, settings=CHEAP)
        await identity.open()
        server = uvicorn.Server(uvicorn.Config(application(identity), ws="none", lifespan="off", log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        lab = Lab(identity=identity, clock=clock, database=database, layout=layout)
        admin = await lab.admin()
        opened = await identity.sessions.sign_in(login=admin.slug, password=PASSWORD, address="127.0.0.1")
        async with httpx.AsyncClient(base_url=origin, cookies={"session": opened.token}) as browser:
            yield Served(lab=lab, origin=origin, admin=admin, browser=browser)
        server.should_exit = True
        await serving
        await database.close()


async def register(served: Served, *, confidential: bool = True) -> models.RegisteredClient:
    return await served.lab.identity.clients.register(
        by=served.admin, name="App", redirect_uris=[REDIRECT], confidential=confidential
    )


def oauth_client(served: Served, app: models.RegisteredClient, *, method: str | None = None) -> AsyncOAuth2Client:
    return AsyncOAuth2Client(
        client_id=app.client.id,
        client_secret=app.secret,
        scope=SCOPE,
        redirect_uri=REDIRECT,
        code_challenge_method="S256",
        token_endpoint_auth_method=method or ("client_secret_basic" if app.secret else "none"),
    )


async def answer_to(served: Served, client: AsyncOAuth2Client, **extra: str) -> str:
    """Where the browser is sent after the authorization page."""
    url, _state = client.create_authorization_url(
        f"{served.origin}/oidc/authorize", code_verifier=VERIFIER, nonce="n", **extra
    )
    response = await served.browser.get(url)
    assert response.status_code == 303, response.text
    return response.headers["location"]


async def buy(served: Served, client: AsyncOAuth2Client, location: str, *, verifier: str = VERIFIER) -> dict[str, str]:
    token: dict[str, str] = await client.fetch_token(
        f"{served.origin}/oidc/token", authorization_response=location, code_verifier=verifier
    )
    return token


async def key_set(served: Served) -> jwk.JWKSet:
    discovered = (await served.browser.get("/.well-known/openid-configuration")).json()
    return jwk.JWKSet.from_json((await served.browser.get(discovered["jwks_uri"])).text)


def read(token: str, known: jwk.JWKSet, *, issuer: str, audience: str) -> dict[str, object]:
    checks = {"iss": issuer, "aud": audience, "exp": None, "iat": None}
    opened = jwt.JWT(jwt=token, key=known, algs=["RS256"], check_claims=checks, expected_type="JWS")
    claims: dict[str, object] = json.loads(opened.claims)
    return claims


async def test_authlib_signs_a_person_in_from_discovery_alone(served: Served) -> None:
    project = await served.lab.identity.projects.create(by=served.admin, name="Flights")
    app = await register(served)
    party = OAuth().register(
        "etabli",
        client_id=app.client.id,
        client_secret=app.secret,
        server_metadata_url=f"{served.origin}/.well-known/openid-configuration",
        client_kwargs={"scope": SCOPE, "code_challenge_method": "S256"},
    )
    session: dict[str, object] = {}
    start = Request(
        {"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b"", "session": session}
    )
    sent = await party.authorize_redirect(start, REDIRECT)
    location = urlsplit((await served.browser.get(sent.headers["location"])).headers["location"])
    back = Request({**start.scope, "query_string": location.query.encode()})
    token = await party.authorize_access_token(back)
    claims = dict(token["userinfo"])
    expected = {
        "sub": served.admin.id,
        "preferred_username": "ada-lovelace",
        "name": "Ada Lovelace",
        "locale": "en",
        "email": "ada@example.org",
        "email_verified": False,
        "groups": [project.slug],
        "reader_groups": [],
    }
    assert {name: claims[name] for name in expected} == expected
    assert (claims["iss"], claims["aud"]) == (served.origin, app.client.id)
    assert dict(await party.userinfo(token=token)) == expected


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post", "none"])
async def test_each_way_to_be_a_client_buys_an_id_token_that_another_library_accepts(
    served: Served, method: str
) -> None:
    app = await register(served, confidential=method != "none")
    async with oauth_client(served, app, method=method) as client:
        token = await buy(served, client, await answer_to(served, client))
        claims = read(token["id_token"], await key_set(served), issuer=served.origin, audience=app.client.id)
        assert (claims["sub"], claims["nonce"]) == (served.admin.id, "n")
        with pytest.raises(jwt.JWTInvalidClaimValue):
            read(token["id_token"], await key_set(served), issuer=served.origin, audience="api")


async def test_a_wrong_verifier_and_a_replay_buy_nothing(served: Served) -> None:
    app = await register(served)
    async with oauth_client(served, app) as client:
        with pytest.raises(OAuthError, match="invalid_grant"):
            await buy(served, client, await answer_to(served, client), verifier="w" * 64)
        location = await answer_to(served, client)
        token = await buy(served, client, location)
        with pytest.raises(OAuthError, match="invalid_grant"):
            await buy(served, client, location)
        asked = {"Authorization": f"Bearer {token['access_token']}"}
        response = await served.browser.get("/oidc/userinfo", headers=asked)
        assert (response.status_code, response.headers["www-authenticate"]) == (401, 'Bearer error="invalid_token"')


async def test_an_expired_code_buys_nothing(served: Served) -> None:
    app = await register(served)
    async with oauth_client(served, app) as client:
        location = await answer_to(served, client)
        await served.lab.clock.advance(provider.CODE_LIFETIME)
        with pytest.raises(OAuthError, match="invalid_grant"):
            await buy(served, client, location)


@pytest.mark.parametrize("wrong", [{"client_id": "unknown"}, {"redirect_uri": "https://evil.example/"}])
async def test_an_unknown_client_or_address_is_shown_and_the_browser_stays(
    served: Served, wrong: dict[str, str]
) -> None:
    app = await register(served)
    query = {"client_id": app.client.id, "redirect_uri": REDIRECT, "response_type": "code", "scope": "openid", **wrong}
    response = await served.browser.get("/oidc/authorize", params=query)
    assert response.status_code == 400
    assert "location" not in response.headers


async def test_who_is_not_signed_in_is_asked_to_and_a_silent_question_is_answered(served: Served) -> None:
    app = await register(served)
    async with oauth_client(served, app) as client:
        served.browser.cookies.clear()
        assert await answer_to(served, client) == "/sign-in"
        silent = urlsplit(await answer_to(served, client, prompt="none"))
        assert parse_qs(silent.query)["error"] == ["login_required"]


async def test_after_a_rotation_old_tokens_and_new_are_accepted_with_keys_fetched_before(served: Served) -> None:
    lab = served.lab
    cached = await key_set(served)
    old = await lab.identity.issuer.issue(
        subject=served.admin, audience=models.Audience.S3, lifetime=timedelta(hours=6)
    )
    await lab.identity.keys.rotate()
    published = await key_set(served)  # What a client that refreshes now keeps until after the new key signs.
    await lab.clock.advance(keys.PUBLISH_AHEAD)
    new = await lab.identity.issuer.issue(
        subject=served.admin, audience=models.Audience.S3, lifetime=timedelta(hours=6)
    )
    assert jwt.JWT(jwt=old).token.jose_header["kid"] != jwt.JWT(jwt=new).token.jose_header["kid"]
    refreshed = await key_set(served)
    for token, known in ((old, cached), (old, published), (old, refreshed), (new, published), (new, refreshed)):
        assert read(token, known, issuer=served.origin, audience="s3")["sub"] == served.admin.id


async def test_machine_endpoints_say_how_long_they_may_be_kept(served: Served) -> None:
    assert (await served.browser.get("/oidc/jwks")).headers["cache-control"] == "public, max-age=300"
    answer = await served.browser.post("/oidc/token", data={"grant_type": "authorization_code", "client_id": "unknown"})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert answer.headers["cache-control"] == "no-store"
    assert (await served.browser.post("/oidc/token", content=b"x" * 100_000)).json()["error"] == "invalid_request"
    assert (await served.browser.post("/oidc/userinfo")).status_code == 401
