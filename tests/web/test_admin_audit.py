"""What the audit log is told by the web, and who may read it."""

from datetime import timedelta

import httpx
import pytest

from etabli.audit import models as audit
from etabli.identity import models
from etabli.services.models import State
from etabli.web import audited, rendering
from tests.web.lab import PASSWORD, Lab, csrf, operator
from tests.web.test_pages import check

PAGES = ("/admin/audit", "/api/v1/admin/audit", "/api/v1/admin/audit/verify", "/api/v1/admin/audit/exports")


async def records(lab: Lab, **query: str) -> list[audit.Record]:
    """Oldest first."""
    return list(reversed(await lab.rooms.audit.search(audit.Query(**query))))  # type: ignore[arg-type]


async def test_what_is_done_is_written_with_who_what_and_from_where(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    token = csrf((await browser.get("/services")).text)
    await browser.post(f"/services/{service.id}/stop", data={"csrf": token})
    record = (await records(lab, what="services."))[-1]
    assert record.entry == audit.Entry(
        actor=audit.Actor(audit.ActorKind.PERSON, audit.Means.SESSION, id=ada.id, name=ada.slug),
        action="services.stop",
        target_kind="service",
        target=service.id,
        project=ada.slug,
        address="127.0.0.1",
    )


async def test_a_launch_names_the_service_that_it_made(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    headers = {"X-CSRF-Token": (await browser.get("/api/v1/me")).json()["csrf"]}
    made = (await browser.post("/api/v1/services", json={"chart": "notebook"}, headers=headers)).json()
    entry = (await records(lab, what="services.launch"))[-1].entry
    assert (entry.target_kind, entry.target, entry.project) == ("service", made["id"], ada.slug)


async def test_what_is_refused_for_rights_is_written_and_what_is_only_wrong_is_not(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        headers = {"X-CSRF-Token": (await client.get("/api/v1/me")).json()["csrf"]}
        await client.delete(f"/api/v1/services/{service.id}", headers=headers)
        await client.post("/api/v1/services", json={"chart": 1}, headers=headers)
        await client.post("/admin/audit/verify", data={"csrf": headers["X-CSRF-Token"]})
    written = [(one.entry.action, one.entry.outcome) for one in await records(lab, who=bob.slug)]
    assert written[-2:] == [
        ("services.delete", audit.Outcome.REFUSED),
        ("admin_audit.verify", audit.Outcome.REFUSED),
    ]


async def test_strangers_fill_nothing(lab: Lab, ada: models.User) -> None:
    before = len(await records(lab))
    async with lab.browser() as client:
        token = csrf((await client.get("/sign-in")).text)
        for path in ("/services/x/stop", "/admin/audit/verify", "/nowhere", "/sign-in"):
            await client.post(path, data={"csrf": "wrong"})
        await client.post("/services/x/stop", data={"csrf": token})
        await client.post("/language", data={"csrf": token, "language": "fr"})
    assert len(await records(lab)) == before


async def test_sign_ins_are_written_and_no_word_that_was_typed(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        token = csrf((await client.get("/sign-in")).text)
        for login in (ada.slug, "my-password-by-mistake", "my-password-by-mistake"):
            form = {"csrf": token, "login": login, "password": "hunter2hunter2"}
            assert (await client.post("/sign-in", data=form)).status_code == 401
        await client.post("/sign-in", data={"csrf": token, "login": ada.slug, "password": PASSWORD})
    known, first, again, entered = [record.entry for record in await records(lab, what="session.sign_in")]
    assert (known.actor, known.target, known.outcome) == (audit.NOBODY, ada.slug, audit.Outcome.REFUSED)
    assert first.target == again.target == ""
    assert first.detail == again.detail != {}
    assert (entered.actor.name, entered.outcome, entered.address) == (ada.slug, audit.Outcome.DONE, "127.0.0.1")
    everything = "".join(audit.line(record) for record in await records(lab))
    assert "my-password" not in everything
    assert "hunter2" not in everything


async def test_an_account_made_by_a_link_is_the_newcomers_own_act(lab: Lab, ada: models.User) -> None:
    invited = await lab.rooms.identity.invitations.invite(by=ada, lifetime=lab_week())
    async with lab.browser() as client:
        token = csrf((await client.get(f"/welcome?token={invited.token}")).text)
        form = {"csrf": token, "token": invited.token, "name": "Grace Hopper", "password": PASSWORD}
        await client.post("/welcome", data=form)
    (entry,) = [record.entry for record in await records(lab, what="entrance.welcome")]
    assert entry.actor.name == "grace-hopper"
    assert invited.token not in "".join(audit.line(record) for record in await records(lab))


async def test_the_operator_is_told_apart_from_the_person_they_act_as(lab: Lab, ada: models.User) -> None:
    transport = httpx.ASGITransport(app=lab.web)
    async with httpx.AsyncClient(transport=transport, base_url="http://portal", headers=operator(lab, "@admin")) as cli:
        assert (await cli.post("/api/v1/admin/audit/exports")).status_code == 200
    entry = (await records(lab))[-1].entry
    assert (entry.actor.kind, entry.actor.by, entry.address) == (audit.ActorKind.OPERATOR, audit.Means.SOCKET, "")


@pytest.mark.parametrize("path", PAGES)
async def test_the_log_is_not_there_but_for_administrators(lab: Lab, ada: models.User, path: str) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        there, nowhere = await client.get(path), await client.get(path.replace("audit", "nothing"))
        assert (there.status_code, nowhere.status_code) == (404, 404)
        assert strip(there) == strip(nowhere)
    async with lab.browser() as anyone:
        assert (await anyone.get(path)).status_code in {303, 401}


@pytest.mark.parametrize("code", ["en", "fr"])
async def test_the_page_searches_pages_proves_and_copies(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, code: str
) -> None:
    browser.headers["Accept-Language"] = code
    for number in range(60):
        entry = audit.Entry(
            actor=audit.LAB, action=f"a.{number}", target=f"t{number}", detail={"why": "its time was over"}
        )
        await lab.rooms.audit.record(entry)
    first = await browser.get("/admin/audit?what=a.&since=2020-01-01&until=2999-01-01")
    assert ">a.59<" in first.text
    assert ">a.5<" not in first.text
    address = first.text.partition('<a class="button" href="/admin/audit?')[2].partition('"')[0].replace("&amp;", "&")
    second = await browser.get(f"/admin/audit?{address}")
    assert ">a.5<" in second.text
    wrong = await browser.get("/admin/audit?since=tomorrow&who=%00&before=x&outcome=zzz")
    assert wrong.status_code == 422
    token = csrf(first.text)
    proved = await browser.post("/admin/audit/verify", data={"csrf": token})
    copied = await browser.post("/admin/audit/export", data={"csrf": token})
    for page in (first, second, wrong, proved, copied, await browser.get("/admin/audit?who=nobody-there")):
        check(page.text)
    assert 'role="status"' in proved.text
    assert len(lab.rooms.shelf.objects) == 1  # type: ignore[attr-defined] # The one of tests.


async def test_the_api_pages_by_number_and_refuses_a_moment_without_its_zone(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    for number in range(5):
        await lab.rooms.audit.record(audit.Entry(actor=audit.LAB, action=f"a.{number}"))
    page = (await browser.get("/api/v1/admin/audit?what=a.&limit=3")).json()
    assert [record["action"] for record in page["records"]] == ["a.4", "a.3", "a.2"]
    rest = (await browser.get(f"/api/v1/admin/audit?what=a.&limit=3&before={page['before']}")).json()
    assert [record["action"] for record in rest["records"]] == ["a.1", "a.0"]
    assert rest["before"] is None
    assert (await browser.get("/api/v1/admin/audit?since=2026-01-01T00:00:00")).status_code == 422
    assert (await browser.get("/api/v1/admin/audit/verify")).json()["holds"]


def strip(response: httpx.Response) -> str:
    """What was answered, without what differs by nature: the request's number, the page's own address."""
    text = response.text.replace(response.headers["x-request-id"], "")
    return text.replace("/admin/audit", "").replace("/admin/nothing", "")


def lab_week() -> timedelta:
    return timedelta(days=7)


async def test_every_act_has_words_in_the_log(lab: Lab) -> None:
    words = (rendering.FOLDER / "admin/_audit_words.html").read_text()
    acts = {
        f"{route.endpoint.__module__.rpartition('.')[2]}.{route.endpoint.__name__}"
        for included in lab.web.routes
        if hasattr(included, "include_context")
        for route in included.include_context.included_router.routes
        if route.methods - {"GET", "HEAD"}
    }
    assert len(acts) > 50
    assert sorted(act for act in acts - audited.SILENT if f'"{act}":' not in words) == []
