"""Tokens at the API: what each scope opens, what none does, and that pages take none."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from etabli.identity import models, tokens
from etabli.identity.token_models import Issued, Scope
from etabli.web.problems import MEDIA_TYPE
from tests.web.lab import Lab, csrf


@asynccontextmanager
async def program(lab: Lab, secret: str) -> AsyncIterator[httpx.AsyncClient]:
    """A program on another machine: no cookie, no origin, a token."""
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=lab.app, raise_app_exceptions=False),
        base_url=lab.rooms.lab.origin,
        headers={"Authorization": f"Bearer {secret}"},
    )
    async with client:
        yield client


async def issued(lab: Lab, user: models.User, *scopes: Scope) -> Issued:
    return await lab.rooms.identity.access_tokens.issue(by=user, name="Nightly", scopes=scopes, days=30)


async def test_a_program_launches_and_deletes_with_a_token_and_no_form_token(lab: Lab, ada: models.User) -> None:
    made = await issued(lab, ada, Scope.SERVICES)
    async with program(lab, made.secret) as client:
        launched = await client.post("/api/v1/services", json={"chart": "notebook", "name": "By night"})
        assert launched.status_code == 201
        assert (await client.get("/api/v1/services")).json()[0]["name"] == "By night"
        assert (await client.delete(f"/api/v1/services/{launched.json()['id']}")).status_code == 204
        me = (await client.get("/api/v1/me")).json()
    assert (me["slug"], me["projects"][0]["slug"]) == (ada.slug, ada.slug)


async def test_a_missing_scope_is_named(lab: Lab, ada: models.User) -> None:
    made = await issued(lab, ada, Scope.READ)
    async with program(lab, made.secret) as client:
        assert (await client.get("/api/v1/services")).status_code == 200
        refused = await client.post("/api/v1/services", json={"chart": "notebook"})
    assert (refused.status_code, refused.headers["content-type"]) == (403, MEDIA_TYPE)
    assert "`services`" in refused.json()["detail"]
    assert refused.headers["www-authenticate"] == 'Bearer realm="etabli", error="insufficient_scope", scope="services"'


async def test_no_token_makes_tokens_or_sees_them(lab: Lab, ada: models.User) -> None:
    made = await issued(lab, ada, *Scope)
    async with program(lab, made.secret) as client:
        asked = {"name": "second", "scopes": ["read"]}
        answers = [
            await client.get("/api/v1/tokens"),
            await client.post("/api/v1/tokens", json=asked),
            await client.delete(f"/api/v1/tokens/{made.token.id}"),
        ]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert len(await lab.rooms.identity.access_tokens.list(user_id=ada.id)) == 1


async def test_a_wrong_token_is_401_as_rfc_6750_has_it_and_cookies_do_not_make_up_for_it(
    lab: Lab, ada: models.User
) -> None:
    made = await issued(lab, ada, Scope.READ)
    await lab.rooms.identity.access_tokens.end(user_id=ada.id, token_id=made.token.id)
    wrong = [f"Bearer {made.secret}", f"bearer {tokens.new(tokens.Kind.PERSONAL)}", "Bearer", "Basic YWRhOmFkYQ==", "é"]
    async with lab.browser(await lab.token(ada)) as client:
        for given in wrong:
            answer = await client.get("/api/v1/me", headers={b"Authorization": given.encode()})
            assert answer.status_code == 401
            assert answer.headers["content-type"] == MEDIA_TYPE
            assert answer.headers["www-authenticate"] == 'Bearer realm="etabli", error="invalid_token"'
            assert made.secret not in answer.text
    async with lab.browser() as nobody:
        assert (await nobody.get("/api/v1/me")).headers["www-authenticate"] == 'Bearer realm="etabli"'


async def test_pages_take_no_token(lab: Lab, ada: models.User) -> None:
    made = await issued(lab, ada, *Scope)
    async with program(lab, made.secret) as client:
        for path in ("/", "/services", "/account", "/oidc/authorize"):
            answer = await client.get(path, headers={"Accept": "text/html"})
            assert path == "/" or answer.status_code in (303, 404), path
            assert ada.name not in answer.text


async def test_another_site_gains_nothing_by_a_token_it_knows(lab: Lab, ada: models.User) -> None:
    made = await issued(lab, ada, *Scope)
    async with program(lab, made.secret) as client:
        foreign = {"Origin": "https://x.svc.etabli.localhost", "Sec-Fetch-Site": "same-site"}
        answer = await client.post("/api/v1/services", json={"chart": "notebook"}, headers=foreign)
    assert answer.status_code == 403


async def test_tokens_are_made_listed_and_ended_by_who_is_signed_in(browser: httpx.AsyncClient, lab: Lab) -> None:
    headers = {"X-CSRF-Token": (await browser.get("/api/v1/me")).json()["csrf"]}
    asked = {"name": "From R", "scopes": ["services", "read"], "days": 7}
    made = (await browser.post("/api/v1/tokens", json=asked, headers=headers)).json()
    assert made["token"]["scopes"] == ["read", "services"]
    async with program(lab, made["secret"]) as client:
        assert (await client.get("/api/v1/me")).status_code == 200
        (listed,) = (await browser.get("/api/v1/tokens")).json()
        assert (listed["name"], "secret" in listed) == ("From R", False)
        assert listed["last_used_at"] is not None
        ended = await browser.delete(f"/api/v1/tokens/{listed['id']}", headers=headers)
        assert ended.status_code == 204
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_the_description_of_the_api_says_which_scope_each_route_takes(browser: httpx.AsyncClient) -> None:
    described = (await browser.get("/api/v1/openapi.json")).json()
    assert set(described["components"]["securitySchemes"]) == {"token", "session"}
    security = described["paths"]
    assert security["/api/v1/services"]["post"]["security"] == [{"token": ["services"]}, {"session": []}]
    assert security["/api/v1/tokens"]["post"]["security"] == [{"session": []}]


async def test_a_token_is_made_on_a_page_without_scripts_and_its_secret_is_shown_once(
    browser: httpx.AsyncClient, lab: Lab
) -> None:
    token = csrf((await browser.get("/account/tokens")).text)
    form = {"csrf": token, "name": "From R", "scopes": ["read", "services"], "days": "7"}
    made = await browser.post("/account/tokens", data=form)
    secret = re.search(r"etabli_pat_\w{49}", made.text)
    assert secret is not None
    page = (await browser.get("/account/tokens")).text
    assert ("From R" in page, secret[0] in page, "read · services" in page) == (True, False, True)
    async with program(lab, secret[0]) as client:
        assert (await client.get("/api/v1/me")).status_code == 200
        (token_id,) = re.findall(r"/account/tokens/(\w+)/end", page)
        await browser.post(f"/account/tokens/{token_id}/end", data={"csrf": token})
        assert (await client.get("/api/v1/me")).status_code == 401


async def test_a_wrong_form_keeps_what_was_typed(browser: httpx.AsyncClient) -> None:
    token = csrf((await browser.get("/account/tokens")).text)
    form = {"csrf": token, "name": "My script", "days": "9999999999999999999", "scopes": ["nothing"]}
    refused = await browser.post("/account/tokens", data=form)
    assert refused.status_code == 422
    assert 'value="My script"' in refused.text
    assert "Choose at least one" in refused.text
    assert "Between 1 and 365 days" in refused.text


async def test_a_link_to_the_device_page_agrees_to_nothing_and_leads_nowhere_else(
    lab: Lab, browser: httpx.AsyncClient
) -> None:
    asked = await lab.rooms.identity.devices.ask(form={"client_id": "etabli-cli", "scope": "read"}, address="192.0.2.9")
    page = await browser.get("/device", params={"code": asked.user_code, "next": "//evil.example", "decision": "yes"})
    assert asked.user_code in page.text
    shown = await browser.post("/device", data={"csrf": csrf(page.text), "code": asked.user_code})
    assert "192.0.2.9" in shown.text
    assert "not where you are" in shown.text
    foreign = await browser.post("/device", data={"code": asked.user_code, "decision": "yes"})
    assert foreign.status_code == 403
    async with lab.browser() as nobody:
        led = await nobody.get("/device", params={"code": asked.user_code})
    assert led.headers["location"] == f"/sign-in?next=%2Fdevice%3Fcode%3D{asked.user_code}"


async def test_a_code_of_markup_is_shown_as_text(browser: httpx.AsyncClient) -> None:
    page = await browser.get("/device", params={"code": '"><script>alert(1)</script>'})
    assert "<script>alert" not in page.text
