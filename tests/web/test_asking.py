"""Asking for an account, and answering: with a mail server and without one."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx

from etabli.identity.settings import IdentitySettings
from etabli.kernel.clock import SystemClock
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.settings import Layout
from etabli.services import models as services
from etabli.services.store import Store
from etabli.web import notices
from etabli.web.rendering import Renderer
from tests.mail.server import Server, serving
from tests.web import parts
from tests.web.lab import PASSWORD, Lab, csrf, opened, operator

LINK = re.compile(r"https?://\S+/welcome\?token=[\w-]+")
LISTS = ("/api/v1/admin/mail", "/api/v1/admin/requests")
ZOE = {"name": "Zoé <b>", "email": "zoe@example.org", "message": "Prices & wages"}


@asynccontextmanager
async def asking(folder: Path, server: Server | None = None, **settings: object) -> AsyncIterator[Lab]:
    people = IdentitySettings.model_validate({**parts.CHEAP.model_dump(), **settings})
    if server is None:
        async with opened(folder, people=people) as lab:
            yield lab
    else:
        async with opened(folder, people=people, mail=server.settings()) as lab:
            yield lab


async def ask(lab: Lab, form: dict[str, str] = ZOE, language: str = "en") -> str:
    """Fill in the page; what it answers."""
    async with lab.browser() as client:
        client.headers["Accept-Language"] = language
        page = await client.get("/ask")
        answer = await client.post("/ask", data={"csrf": csrf(page.text), **form})
        return (await client.get(answer.headers["location"])).text if answer.status_code == 303 else answer.text


async def test_a_lab_that_takes_no_requests_has_no_such_page(tmp_path: Path) -> None:
    async with asking(tmp_path, requests=False) as lab, lab.browser() as client:
        assert (await client.get("/ask")).status_code == 404
        assert "/ask" not in (await client.get("/sign-in")).text


async def test_a_request_is_read_and_answered_by_an_administrator_who_is_shown_the_link(tmp_path: Path) -> None:
    async with asking(tmp_path) as lab:
        ada = await lab.admin()
        assert "Thank you" in await ask(lab)
        async with lab.browser(await lab.token(ada)) as client:
            page = await client.get("/admin/invitations")
            assert "Zoé &lt;b&gt;" in page.text
            assert "Prices &amp; wages" in page.text
            (waiting,) = await lab.rooms.identity.requests.waiting()
            answer = await client.post(f"/admin/requests/{waiting.id}/approve", data={"csrf": csrf(page.text)})
        (link,) = LINK.findall(answer.text)
        async with lab.browser() as client:
            welcome = await client.get(link)
            assert 'value="zoe@example.org"' in welcome.text
            form = {"csrf": csrf(welcome.text), "token": link.partition("=")[2], "name": "Zoé", "password": PASSWORD}
            assert (await client.post("/welcome", data=form)).status_code == 303
        assert (await lab.rooms.identity.people.named(slug="zoe")).email == "zoe@example.org"


async def test_where_there_is_a_mail_server_the_link_goes_to_its_address_in_its_language(tmp_path: Path) -> None:
    async with serving() as server, asking(tmp_path, server) as lab:
        ada = await lab.admin()
        await ask(lab, language="fr")
        (waiting,) = await lab.rooms.identity.requests.waiting()
        async with operating(lab, ada.slug) as client:
            answer = await client.post(f"/api/v1/admin/requests/{waiting.id}/approve")
        assert answer.json().get("sent") is True, answer.text
        (message,) = server.messages
        assert message["To"] == "zoe@example.org"
        assert "Ada Lovelace vous invite" in message.get_content()
        assert LINK.search(message.get_content())


async def test_an_open_domain_is_let_in_by_a_message_and_by_nothing_that_the_page_shows(tmp_path: Path) -> None:
    async with serving() as server, asking(tmp_path, server, open_domains=["example.org"]) as lab:
        await lab.admin()
        shown = await ask(lab)
        assert LINK.search(server.messages[0].get_content())
        assert "token" not in shown
        assert await lab.rooms.identity.requests.waiting() == ()


async def test_an_open_domain_without_a_mail_server_asks_an_administrator(tmp_path: Path) -> None:
    async with asking(tmp_path, open_domains=["example.org"]) as lab:
        await lab.admin()
        await ask(lab)
        assert [one.email for one in await lab.rooms.identity.requests.waiting()] == ["zoe@example.org"]


async def test_what_is_wrong_keeps_what_was_typed(tmp_path: Path) -> None:
    async with asking(tmp_path) as lab:
        answer = await ask(lab, {**ZOE, "email": "no"})
        assert 'id="email-wrong"' in answer
        assert "Prices &amp; wages" in answer


async def test_a_refusal_is_told_where_it_can_be(tmp_path: Path) -> None:
    async with serving() as server, asking(tmp_path, server) as lab:
        ada = await lab.admin()
        await ask(lab)
        (waiting,) = await lab.rooms.identity.requests.waiting()
        async with lab.browser(await lab.token(ada)) as client:
            page = await client.get("/admin/invitations")
            form = {"csrf": csrf(page.text), "reason": "Not this year"}
            answer = await client.post(f"/admin/requests/{waiting.id}/refuse", data=form)
            assert answer.headers["location"].endswith("done=refused")
        assert "Not this year" in server.messages[0].get_content()


async def test_links_are_made_listed_and_taken_back(tmp_path: Path) -> None:
    async with asking(tmp_path) as lab:
        ada = await lab.admin()
        async with lab.browser(await lab.token(ada)) as client:
            page = await client.get("/admin/invitations")
            form = {"csrf": csrf(page.text), "uses": "5", "days": "30"}
            made = await client.post("/admin/invitations", data=form)
            (link,) = LINK.findall(made.text)
            wrong = await client.post("/admin/invitations", data={**form, "uses": "many"})
            assert (wrong.status_code, 'id="uses-wrong"' in wrong.text) == (422, True)
            (open_one,) = await lab.rooms.identity.invitations.list(by=ada)
            assert open_one.uses_left == 5
            await client.post(f"/admin/invitations/{open_one.id}/end", data={"csrf": csrf(page.text)})
            assert (await client.get(link)).status_code == 404


async def test_for_others_the_page_does_not_exist(lab: Lab) -> None:
    ada = await lab.admin()
    bob = await lab.person("Bob", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        token = csrf((await client.get("/account")).text)
        assert (await client.get("/admin/invitations")).status_code == 404
        assert (await client.post("/admin/invitations", data={"csrf": token})).status_code == 404


async def test_administrators_are_told_of_a_request_once_unless_they_chose_not_to(tmp_path: Path) -> None:
    async with serving() as server, asking(tmp_path, server) as lab:
        ada = await lab.admin()
        await ask(lab)
        for _ in range(2):
            await notices.look(lab.rooms, renderer(lab))
        (told,) = server.messages
        assert told["To"] == ada.email
        assert "/admin/invitations" in told.get_content()
        async with lab.browser(await lab.token(ada)) as client:
            page = await client.get("/account/notifications")
            await client.post("/account/notifications", data={"csrf": csrf(page.text), "notice": "service-ends"})
        await ask(lab, {**ZOE, "email": "yan@example.org"})
        await notices.look(lab.rooms, renderer(lab))
        assert len(server.messages) == 1


async def test_whoever_launched_a_service_is_told_that_it_ends_soon(tmp_path: Path) -> None:
    async with serving() as server, asking(tmp_path, server) as lab:
        ada = await lab.admin()
        service = await lab.launched(ada)
        await lab.until(ada, service.id, services.State.READY)
        soon = lab.rooms.clock.now() + timedelta(hours=1)
        await lab.rooms.services.extend(user_id=ada.id, service_id=service.id, until=soon)
        await warn(tmp_path, service.id)
        for _ in range(2):
            await notices.look(lab.rooms, renderer(lab))
        (told,) = server.messages
        assert f"/services/{service.id}" in told.get_content()


async def test_the_mail_server_is_tried_by_administrators(tmp_path: Path) -> None:
    async with serving() as server, asking(tmp_path, server) as lab:
        ada = await lab.admin()
        bob = await lab.person("Bob", by=ada)
        server.answer = "451 later"
        async with operating(lab, ada.slug) as client:
            said = await client.post("/api/v1/admin/mail/test", json={"to": "a@example.org"})
            assert "later" in said.json()["problem"]
            assert [(await client.get(path)).status_code for path in LISTS] == [200, 200]
        async with operating(lab, bob.slug) as client:
            assert [(await client.get(path)).status_code for path in LISTS] == [404, 404]


def operating(lab: Lab, slug: str) -> httpx.AsyncClient:
    """The operator's command line, acting as that person."""
    transport = httpx.ASGITransport(app=lab.web)
    return httpx.AsyncClient(transport=transport, base_url="http://portal", headers=operator(lab, slug))


async def warn(folder: Path, service_id: str) -> None:
    """Its people were told on its page, as the reconciler does within a minute."""
    database = Database(sqlite_url(Layout(data=folder / "data", run=folder / "run").database))
    await Store(database=database).change(service_id, warned_at=SystemClock().now())
    await database.close()


def renderer(lab: Lab) -> Renderer:
    """The templates of a lab's pages."""
    made = lab.web.state.renderer
    assert isinstance(made, Renderer)
    return made
