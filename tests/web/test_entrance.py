"""Coming in and going out."""

import asyncio
from pathlib import Path

import httpx
import pytest

from etabli.identity import keys, models
from etabli.identity.passwords import QUEUE
from etabli.identity.settings import IdentitySettings
from etabli.web import visitors
from tests.web.lab import PASSWORD, Lab, csrf, opened


async def signed_in(
    client: httpx.AsyncClient, *, login: str, password: str = PASSWORD, **fields: str
) -> httpx.Response:
    """Fill in the sign-in page."""
    token = csrf((await client.get("/sign-in")).text)
    return await client.post("/sign-in", data={"csrf": token, "login": login, "password": password, **fields})


def cookie_of(answer: httpx.Response, name: str) -> str:
    """The Set-Cookie header of that name."""
    return next(item for item in answer.headers.get_list("set-cookie") if item.startswith(name + "="))


async def test_the_first_link_makes_the_administrator_and_signs_them_in(lab: Lab) -> None:
    token = await lab.rooms.identity.invitations.first_link()
    async with lab.browser() as client:
        page = await client.get("/welcome", params={"token": token or ""})
        form = {"csrf": csrf(page.text), "token": token or "", "name": "Ada Lovelace", "password": PASSWORD}
        answer = await client.post("/welcome", data=form)
        again = await client.get("/welcome", params={"token": token or ""})
    assert answer.status_code == 303
    cookie = cookie_of(answer, visitors.SESSION_COOKIE)
    for word in ("HttpOnly", "Secure", "Path=/", "SameSite=lax"):
        assert word in cookie
    assert "Domain" not in cookie
    assert again.status_code == 404


async def test_an_account_that_cannot_be_made_keeps_what_was_typed(lab: Lab) -> None:
    token = await lab.rooms.identity.invitations.first_link()
    async with lab.browser() as client:
        page = await client.get("/welcome", params={"token": token or ""})
        form = {"csrf": csrf(page.text), "token": token or "", "name": "Ada <b>", "email": "no", "password": "short"}
        answer = await client.post("/welcome", data=form)
    assert answer.status_code == 422
    assert 'value="Ada &lt;b&gt;"' in answer.text
    assert 'id="email-wrong"' in answer.text
    assert 'id="password-wrong"' in answer.text
    assert "short" not in answer.text


async def test_an_invitation_brings_who_has_an_account_into_its_project(lab: Lab, ada: models.User) -> None:
    project = await lab.rooms.identity.projects.create(by=ada, name="Consumer prices")
    invited = await lab.rooms.identity.invitations.invite(
        by=ada, lifetime=keys.LONGEST_TOKEN, project_id=project.id, role=models.Role.MEMBER
    )
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        page = await client.get("/welcome", params={"token": invited.token})
        await client.post("/welcome/join", data={"csrf": csrf(page.text), "token": invited.token})
        services = await client.get("/services")
    assert "Join the project" in page.text
    assert "Consumer prices" in services.text


async def test_a_wrong_password_and_nobody_by_that_name_read_alike(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        wrong = await signed_in(client, login=ada.slug, password="something else")
        nobody = await signed_in(client, login="nobody-at-all", password="something else")
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.text.replace(ada.slug, "") == nobody.text.replace("nobody-at-all", "")
    assert "something else" not in wrong.text


async def test_too_many_failures_are_told_to_wait(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        for _ in range(20):
            answer = await signed_in(client, login=ada.slug, password="wrong")
            if answer.status_code != 401:
                break
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_signing_out_ends_the_session_itself(lab: Lab, ada: models.User) -> None:
    token = await lab.token(ada)
    async with lab.browser(token) as client:
        page = await client.get("/account")
        await client.post("/sign-out", data={"csrf": csrf(page.text)})
    async with lab.browser(token) as client:
        assert (await client.get("/account")).headers["location"].startswith("/sign-in")


async def test_who_is_not_signed_in_comes_back_to_where_they_were_going(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        sent = await client.get("/launcher/ide/notebook?name=a")
        page = await client.get(sent.headers["location"])
        assert 'value="/launcher/ide/notebook?name=a"' in page.text
        answer = await signed_in(client, login=ada.slug, next="/launcher/ide/notebook?name=a")
    assert answer.headers["location"] == "/launcher/ide/notebook?name=a"


@pytest.mark.parametrize(
    "target",
    ["https://evil.example/", "//evil.example", "/\\evil.example", "\\/evil.example", "javascript:x", "/a\nb", ""],
)
async def test_no_address_leads_out_of_the_lab(lab: Lab, ada: models.User, target: str) -> None:
    assert visitors.local_path(target) == "/"
    async with lab.browser() as client:
        answer = await signed_in(client, login=ada.slug, next=target)
    assert answer.headers["location"] == "/"


async def test_a_form_of_another_session_is_worth_nothing(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as his:
        token = csrf((await his.get("/account")).text)
    for given in (token, "", "x" * 64):
        assert (await browser.post("/sign-out", data={"csrf": given})).status_code == 403
    assert (await browser.post("/sign-out")).status_code == 403


async def test_nobody_can_be_signed_in_by_a_form_that_is_not_of_their_browser(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as attacker:
        token = csrf((await attacker.get("/sign-in")).text)
    async with lab.browser() as victim:
        await victim.get("/sign-in")
        answer = await victim.post("/sign-in", data={"csrf": token, "login": ada.slug, "password": PASSWORD})
    assert answer.status_code == 403


async def test_the_language_follows_the_account_then_the_browser(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        page = await client.get("/sign-in", headers={"Accept-Language": "de, fr;q=0.8, en;q=0.5"})
        assert '<html lang="fr"' in page.text
        await client.post("/language", data={"csrf": csrf(page.text), "language": "en", "next": "/sign-in"})
        page = await client.get("/sign-in", headers={"Accept-Language": "fr"})
        assert '<html lang="en"' in page.text
    async with lab.browser(await lab.token(ada)) as client:
        page = await client.get("/account")
        await client.post("/language", data={"csrf": csrf(page.text), "language": "fr", "next": "/account"})
        page = await client.get("/account")
    assert "Votre nom" in page.text


# Hashes that take their time, and limits that one person who stands for a crowd does not meet.
SLOW = IdentitySettings(
    hash_memory_kib=32768, hash_passes=1, pair_failures=999, account_failures=999, address_failures=999
)


async def test_a_crowd_that_signs_in_at_once_is_bounded_and_others_pages_come_meanwhile(tmp_path: Path) -> None:
    async with opened(tmp_path, people=SLOW) as lab:
        ada = await lab.admin()
        async with lab.browser() as client, lab.browser(await lab.token(ada)) as working:
            form = {"csrf": csrf((await client.get("/sign-in")).text), "login": ada.slug, "password": PASSWORD}
            crowd = [asyncio.create_task(client.post("/sign-in", data=form)) for _ in range(QUEUE + 20)]
            await asyncio.sleep(0)
            page = await working.get("/services")
            assert not all(one.done() for one in crowd)
            answers = await asyncio.gather(*crowd)
    assert page.status_code == 200
    refused = [one for one in answers if one.status_code == 503]
    assert refused
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert {one.status_code for one in answers} == {303, 503}
