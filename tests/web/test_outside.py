"""Coming in by an outside provider, with every answer that a hostile or a broken one may give."""

import html
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from etabli.identity import people
from etabli.identity.outside.settings import ProviderSettings
from etabli.web import visitors
from tests import outside_provider
from tests.outside_provider import CLIENT, SECRET, Provider
from tests.web import parts
from tests.web.lab import Lab, csrf, opened
from tests.web.test_entrance import cookie_of
from tests.web.test_pages import check

LEAVING = re.compile(r'content="0; url=([^"]+)"')
ANYONE: Mapping[str, object] = {"enter": {"anyone": True}, "trust_email": True}


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with outside_provider.running() as running:
        yield running


@asynccontextmanager
async def lab_with(
    folder: Path,
    *providers: Provider,
    how: Mapping[str, object] | None = None,
    people: Mapping[str, object] | None = None,
) -> AsyncIterator[Lab]:
    """A lab that knows these providers (`one`, `two`…), each as `how` says, and has an administrator."""
    secret = folder / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o600)
    settings = [
        ProviderSettings.model_validate(
            {
                "id": name,
                "name": name.title(),
                "issuer": one.issuer,
                "client_id": CLIENT,
                "client_secret_file": secret,
                **(how or {}),
            }
        )
        for name, one in zip(("one", "two"), providers, strict=False)
    ]
    chosen = parts.CHEAP.model_copy(update={"providers": settings, **(people or {})})
    async with opened(folder / "lab", people=chosen) as lab:
        await lab.admin()
        yield lab


async def left(client: httpx.AsyncClient, name: str = "one", onward: str = "/") -> str:
    """Where the browser is sent by a click on the provider."""
    answer = await client.get(f"/sign-in/with/{name}", params={"next": onward})
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


async def joined(client: httpx.AsyncClient, back: httpx.Response, **fields: str) -> httpx.Response:
    """Make the account that a newcomer is offered."""
    assert back.status_code == 303, back.text
    page = await client.get(back.headers["location"])
    assert page.status_code == 200, page.text
    attempt = back.headers["location"].partition("attempt=")[2]
    form = {"csrf": csrf(page.text), "attempt": attempt, "name": "Grace Hopper", "slug": "grace", **fields}
    return await client.post(back.headers["location"].partition("?")[0], data=form)


async def test_a_newcomer_makes_an_account_and_comes_back_to_it(tmp_path: Path, provider: Provider) -> None:
    async with lab_with(tmp_path, provider, how=ANYONE) as lab:
        async with lab.browser() as client:
            back = await client.get(provider.answer(await left(client, onward="/services")))
            page = await client.get(back.headers["location"])
            answer = await joined(client, back)
        async with lab.browser() as client:
            again = await client.get(provider.answer(await left(client)))
        grace = await lab.rooms.identity.people.named(slug="grace")
    check(page.text)
    assert 'value="grace"' in page.text
    assert "grace@institut.example" in page.text
    assert (answer.status_code, answer.headers["location"]) == (303, "/services")
    assert "HttpOnly" in cookie_of(answer, visitors.SESSION_COOKIE)
    assert (again.status_code, again.headers["location"]) == (303, "/")
    assert cookie_of(again, visitors.SESSION_COOKIE)
    assert (grace.name, grace.email, grace.is_admin) == ("Grace Hopper", "grace@institut.example", False)


@pytest.mark.parametrize("code", ["en", "fr"])
async def test_somebody_signed_in_links_a_provider_and_takes_it_away(
    tmp_path: Path, provider: Provider, code: str
) -> None:
    async with lab_with(tmp_path, provider) as lab:
        ada = await lab.rooms.identity.people.first_admin()
        await lab.rooms.identity.people.change_profile(
            user_id=ada.id, profile=people.Profile(name=ada.name, email=ada.email, language=code)
        )
        async with lab.browser(await lab.token(ada)) as client:
            security = await client.get("/account/security")
            form = {"csrf": csrf(security.text)}
            leaving = await client.post("/account/providers/one", data=form)
            back = await client.get(provider.answer(html.unescape(LEAVING.findall(leaving.text)[0])))
            asked = await client.get(back.headers["location"])
            attempt = back.headers["location"].partition("attempt=")[2]
            done = await client.post("/account/providers/one/link", data={**form, "attempt": attempt})
            linked = await client.get(done.headers["location"])
            (identity,) = await lab.rooms.identity.outside.list(user_id=ada.id)
            async with lab.browser() as other:
                entered = await other.get(provider.answer(await left(other)))
            gone = await client.post(f"/account/identities/{identity.id}/end", data=form)
            again = await client.get(gone.headers["location"])
        async with lab.browser() as other:
            refused = await other.get(provider.answer(await left(other)))
    for page in (leaving, asked, linked, again):
        check(page.text)
        assert f'<html lang="{code}"' in page.text
    assert "grace" in asked.text
    assert identity.login == "grace"
    assert cookie_of(entered, visitors.SESSION_COOKIE)
    assert identity.id in linked.text
    assert identity.id not in again.text
    assert refused.status_code == 403
