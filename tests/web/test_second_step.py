"""A second factor on pages: set up, asked, required of some; and the way back in for who has lost it. No script runs here."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from etabli.identity import models
from etabli.identity.settings import IdentitySettings
from etabli.web import visitors
from tests.identity.authenticator import Authenticator
from tests.web.factors import first_step, second_step, turned_on
from tests.web.lab import PASSWORD, Lab, csrf, opened, operator


async def test_a_code_is_asked_after_the_password_and_leads_where_one_was_going(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    application, fresh = await turned_on(lab, browser)
    async with lab.browser() as client:
        first = await first_step(lab, client, ada.slug, "/catalog")
        assert visitors.SESSION_COOKIE not in client.cookies
        wrong = await second_step(client, first, "000000")
        assert wrong.status_code == 422
        assert "six digits" in wrong.text
        done = await second_step(client, first, application.at(lab.rooms.clock.now()))
        assert done.headers["location"] == "/catalog"
        assert (await client.get("/account")).status_code == 200
    async with lab.browser() as client:
        done = await second_step(client, await first_step(lab, client, ada.slug, "/catalog"), fresh[0])
        assert "9 recovery codes are left" in done.text
        assert 'href="/catalog"' in done.text
        assert (await client.get("/account")).status_code == 200
        page = await client.get("/account/security")
        assert "9 recovery codes are left" in page.text
        renewed = await client.post("/account/security/codes/renew", data={"csrf": csrf(page.text)})
        assert fresh[1] not in renewed.text
        off = await client.post("/account/security/codes/off", data={"csrf": csrf(page.text)})
        assert off.headers["location"] == "/account/security?done=codes-off"
    async with lab.browser() as client:
        assert (await first_step(lab, client, ada.slug)).headers["location"] == "/"


async def test_a_second_step_belongs_to_the_browser_that_took_the_first(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    application, _ = await turned_on(lab, browser)
    async with lab.browser() as client, lab.browser() as other:
        await first_step(lab, client, ada.slug)
        token = csrf((await other.get("/sign-in")).text)
        code = application.at(lab.rooms.clock.now())
        answer = await other.post("/sign-in/second", data={"csrf": token, "code": code})
        assert answer.status_code == 404
        assert "This sign-in is over" in answer.text


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab that asks a second factor of everyone."""
    settings = IdentitySettings(hash_memory_kib=8192, hash_passes=1, hash_lanes=1, second_factor="everyone")
    async with opened(tmp_path, people=settings) as lab:
        yield lab


async def test_where_the_lab_asks_one_it_is_set_up_before_anything_else(strict: Lab) -> None:
    ada = await strict.admin()
    async with strict.browser() as client:
        assert (await first_step(strict, client, ada.slug)).headers["location"] == "/"
        for path in ("/", "/services", "/account", "/admin/audit", "/oidc/authorize?client_id=x"):
            answer = await client.get(path)
            assert answer.headers["location"].startswith("/account/security/codes"), path
        refused = await client.get("/api/v1/services", headers={"Accept": "application/json"})
        assert refused.status_code == 403
        assert refused.headers["content-type"] == "application/problem+json"
        assert "second factor" in refused.json()["detail"]
        await turned_on(strict, client)
        assert (await client.get("/services")).status_code == 200
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=strict.web), base_url="http://portal") as socket:
        assert (await socket.get("/api/v1/services", headers=operator(strict, ada.slug))).status_code == 200


async def test_who_has_a_passkey_shows_it_and_a_password_alone_sets_nothing_else_up(strict: Lab) -> None:
    ada = await strict.admin()
    device = Authenticator(origin=strict.rooms.lab.origin)
    passkeys = strict.rooms.identity.passkeys
    offered = device.create(await passkeys.offer(user=ada, visit="x"))
    await passkeys.add(user=ada, visit="x", credential=offered, name="A phone")
    async with strict.browser() as client:
        await first_step(strict, client, ada.slug)
        for path in ("/", "/account/security", "/account/security/codes"):
            assert (await client.get(path)).headers["location"].startswith("/prove"), path
        page = await client.get("/prove?next=/services")
        assert 'name="password"' not in page.text
        token = csrf(page.text)
        await client.post("/prove", data={"csrf": token, "password": PASSWORD})
        for path in ("/account/security/codes", "/account/security/passkeys/options"):
            assert (await client.post(path, data={"csrf": token})).headers["location"].startswith("/prove")
        options = (await client.post("/prove/passkey/options", data={"csrf": token})).text
        form = {"csrf": token, "credential": device.get(options), "next": "/services"}
        assert (await client.post("/prove/passkey", data=form)).headers["location"] == "/services"
        assert (await client.get("/services")).status_code == 200


async def test_a_link_lets_in_again_who_forgot_everything(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    await turned_on(lab, browser)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=lab.web), base_url="http://portal") as socket:
        path = f"/api/v1/admin/people/{ada.slug}/reset-link"
        made = await socket.post(path, headers=operator(lab, "@admin"), json={"remove_factors": True})
    link = made.json()["link"].removeprefix(lab.rooms.lab.origin)
    async with lab.browser() as client:
        page = await client.get(link)
        assert ada.name in page.text
        form = {"csrf": csrf(page.text), "token": link.partition("=")[2], "factors": "true"}
        assert (await client.post("/reset", data={**form, "password": "short"})).status_code == 422
        done = await client.post("/reset", data={**form, "password": "another long phrase"})
        assert done.headers["location"] == "/sign-in?done=reset"
        assert (await browser.get("/account")).headers["location"].startswith("/sign-in")
        assert (await client.get(link)).status_code == 404
        page = await client.get("/sign-in?done=reset")
        form = {"csrf": csrf(page.text), "login": ada.slug, "password": "another long phrase"}
        assert (await client.post("/sign-in", data=form)).headers["location"] == "/"
    entries = (await browser_of(lab, ada)).text
    assert "reset_password" in entries


async def browser_of(lab: Lab, ada: models.User) -> httpx.Response:
    """What the audit log says, to an administrator's program."""
    async with lab.browser(await lab.token(ada)) as client:
        return await client.get("/api/v1/admin/audit", headers={"Accept": "application/json"})
