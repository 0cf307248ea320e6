"""The administrators' pages on people, projects, services and catalogues: what they show, what they change, what they refuse."""

from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest

from etabli.audit import models as audit
from etabli.identity import models, people
from etabli.identity.directory import Asked
from etabli.kernel import errors
from etabli.services.models import State
from tests.web.lab import Lab, csrf
from tests.web.test_pages import check


@pytest.fixture
async def bob(lab: Lab, ada: models.User) -> models.User:
    return await lab.person("Bob Martin", by=ada)


async def post(browser: httpx.AsyncClient, path: str, **form: str) -> httpx.Response:
    """As a form of the administrators' pages does."""
    token = csrf((await browser.get("/admin/people")).text)
    return await browser.post(path, data={"csrf": token, **form})


async def api_headers(browser: httpx.AsyncClient) -> Mapping[str, str]:
    return {"X-CSRF-Token": (await browser.get("/api/v1/me")).json()["csrf"]}


async def test_people_are_found_by_a_part_of_any_of_their_names(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    for name in ("Élodie Dupont", "محمد", "100%_sure"):
        await lab.person(name, by=ada)
    for word, expected in {
        "dupont": "Élodie Dupont",
        "elodie d": "Élodie Dupont",
        "Élodie": "Élodie Dupont",
        "مح": "محمد",
        "%": "100%_sure",
        "_": "100%_sure",
        "ADA@": "Ada Lovelace",
    }.items():
        found = (await browser.get("/api/v1/admin/people", params={"search": word})).json()["people"]
        assert [one["name"] for one in found] == [expected], word
    page = await browser.get("/admin/people", params={"search": "nobody at all"})
    assert "Nobody by these words" in page.text


async def test_everybody_is_paged_once_and_in_order(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    for number in range(105):
        await lab.person(f"Person {number % 7}", by=ada)
    names: list[tuple[str, str]] = []
    asked: dict[str, str] = {}
    while True:
        page = (await browser.get("/api/v1/admin/people", params=asked)).json()
        names += [(one["name"], one["slug"]) for one in page["people"]]
        if page["after"] is None:
            break
        asked = {"after": page["after"]}
    assert len(names) == len(set(names)) == 106
    assert [name for name, _ in names] == sorted(name for name, _ in names)
    first = await browser.get("/admin/people?search=person")
    assert 'class="button" href="/admin/people?search=person&amp;' in first.text


async def test_who_is_suspended_is_out_at_once_and_their_services_as_chosen(
    lab: Lab, ada: models.User, bob: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(bob)
    await lab.until(bob, service.id, State.READY)
    async with lab.browser(await lab.token(bob)) as theirs:
        assert (await theirs.get("/services")).status_code == 200
        answer = await post(browser, f"/admin/people/{bob.slug}/suspend", reason="left the project", services="true")
        assert answer.headers["location"] == f"/admin/people/{bob.slug}?done=suspended"
        assert (await theirs.get("/services")).headers["location"].startswith("/sign-in")
    stopped = await lab.until(bob, service.id, State.STOPPED)
    history = await lab.rooms.services.events(user_id=bob.id, service_id=stopped.id)
    assert "left the project" in [event.detail for event in history]
    with pytest.raises(errors.Forbidden):
        await lab.token(bob)
    (record,) = await lab.rooms.audit.search(audit.Query(what="admin_people.suspend"))
    assert (record.entry.target_kind, record.entry.target) == ("person", bob.slug)
    assert record.entry.detail == {"reason": "left the project", "services": "1 paused"}
    page = (await browser.get(f"/admin/people/{bob.slug}?done=suspended")).text
    assert "Let in again" in page
    await post(browser, f"/admin/people/{bob.slug}/restore")
    assert await lab.token(bob)
    assert (await lab.rooms.services.get(user_id=bob.id, service_id=service.id)).state is State.STOPPED


async def test_services_go_on_where_that_is_chosen(lab: Lab, bob: models.User, browser: httpx.AsyncClient) -> None:
    service = await lab.launched(bob)
    await post(browser, f"/admin/people/{bob.slug}/suspend", reason="away")
    await lab.until(bob, service.id, State.READY)


async def test_a_reason_is_needed_and_what_was_typed_stays(
    lab: Lab, bob: models.User, browser: httpx.AsyncClient
) -> None:
    for reason in ("", "   ", "x" * 301):
        answer = await post(browser, f"/admin/people/{bob.slug}/suspend", reason=reason)
        assert answer.status_code == 422
        check(answer.text)
    assert not (await lab.rooms.identity.people.get(user_id=bob.id)).disabled_at


async def test_the_last_administrator_stays(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    for path, form in (
        (f"/admin/people/{ada.slug}/suspend", {"reason": "x"}),
        (f"/admin/people/{ada.slug}/administrator", {"given": "no"}),
    ):
        answer = await post(browser, path, **form)
        assert answer.status_code == 409
        assert 'role="alert"' in answer.text
    assert (await browser.get("/admin/people")).status_code == 200


async def test_administrators_are_made_and_unmade(
    lab: Lab, ada: models.User, bob: models.User, browser: httpx.AsyncClient
) -> None:
    await post(browser, f"/admin/people/{bob.slug}/administrator", given="yes")
    async with lab.browser(await lab.token(bob)) as theirs:
        assert (await theirs.get("/admin/people")).status_code == 200
        answer = await post(theirs, f"/admin/people/{bob.slug}/administrator", given="no")
        assert answer.headers["location"] == "/"
        assert (await theirs.get("/admin/people")).status_code == 404
    await lab.rooms.identity.people.suspend(by=ada, user_id=bob.id)
    answer = await post(browser, f"/admin/people/{bob.slug}/administrator", given="yes")
    assert answer.status_code == 409


async def test_a_way_back_in_is_shown_once_and_kept_out_of_the_log(
    lab: Lab, bob: models.User, browser: httpx.AsyncClient
) -> None:
    page = (await post(browser, f"/admin/people/{bob.slug}/reset-link", factors="true")).text
    check(page)
    token = page.partition("/reset?token=")[2].partition("<")[0]
    assert (await browser.get(f"/reset?token={token}")).status_code == 200
    assert token not in (await browser.get(f"/admin/people/{bob.slug}")).text
    (record,) = await lab.rooms.audit.search(audit.Query(what="admin_people.make_reset_link"))
    assert (record.entry.target, record.entry.detail) == (bob.slug, {"factors": "yes"})
    assert token not in audit.line(record)
    shown = (await browser.get(f"/api/v1/admin/people/{bob.slug}")).json()
    assert shown["signs_in_by"] == ["password"]


async def test_a_quota_is_changed_in_the_page_and_holds_at_the_next_launch(
    lab: Lab, bob: models.User, browser: httpx.AsyncClient
) -> None:
    await post(browser, f"/admin/projects/{bob.slug}/quota", services="1", cores="2,5", memory="")
    await lab.launched(bob)
    with pytest.raises(errors.QuotaExceeded):
        await lab.launched(bob)
    shown = (await browser.get(f"/api/v1/admin/projects/{bob.slug}/quota")).json()
    assert shown["own"] == {"services": 1, "cores": 2.5, "memory_gib": None}
    wrong = await post(browser, f"/admin/projects/{bob.slug}/quota", services="-1", cores="nan", memory="1e999")
    assert wrong.status_code == 422
    assert 'value="1e999"' in wrong.text
    check(wrong.text)


async def test_the_api_sets_a_quota_and_refuses_what_is_none(
    lab: Lab, bob: models.User, browser: httpx.AsyncClient
) -> None:
    path, headers = f"/api/v1/admin/projects/{bob.slug}/quota", await api_headers(browser)
    assert (await browser.put(path, json={"memory_gib": 0.5}, headers=headers)).json()["holds"]["memory_gib"] == 0.5
    for body in ({"services": -1}, {"cores": 1e9}, {"other": 1}, {"services": 1.5}):
        assert (await browser.put(path, json=body, headers=headers)).status_code == 422
    assert (await browser.put("/api/v1/admin/projects/nope/quota", json={}, headers=headers)).status_code == 404


async def test_services_of_everybody_are_seen_paused_and_given_time(
    lab: Lab, ada: models.User, bob: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(bob, "Wages")
    await lab.until(bob, service.id, State.READY)
    for query in (
        "",
        "?search=wag",
        f"?owner={bob.slug}",
        f"?project={bob.slug}",
        "?state=ready",
        f"?search={service.id}",
    ):
        assert f"/admin/services/{service.id}" in (await browser.get(f"/admin/services{query}")).text, query
    for query in ("?search=zzz", "?owner=nobody", f"?project={ada.slug}", "?state=failed"):
        assert f"/admin/services/{service.id}" not in (await browser.get(f"/admin/services{query}")).text, query
    await post(browser, f"/admin/services/{service.id}/extend", days="30", reason="a long computation")
    extended = await lab.rooms.services.get(user_id=bob.id, service_id=service.id)
    assert extended.expires_at is not None
    assert extended.expires_at > lab.rooms.clock.now() + timedelta(days=29)
    await post(browser, f"/admin/services/{service.id}/stop", reason="the machine <b>needs</b> air")
    await lab.until(bob, service.id, State.STOPPED)
    async with lab.browser(await lab.token(bob)) as theirs:
        page = (await theirs.get(f"/services/{service.id}")).text
    assert "Paused by an administrator: the machine &lt;b&gt;needs&lt;/b&gt; air" in page
    for path, form in (("stop", {"reason": ""}), ("extend", {"days": "0", "reason": "x"}), ("extend", {"days": "x"})):
        assert (await post(browser, f"/admin/services/{service.id}/{path}", **form)).status_code == 422
    assert (await browser.get("/admin/services/nope")).status_code == 404


async def test_catalogues_tell_where_they_come_from_and_what_is_broken(browser: httpx.AsyncClient) -> None:
    (catalog,) = (await browser.get("/api/v1/admin/catalogs")).json()
    assert (catalog["id"], [chart["name"] for chart in catalog["broken"]]) == ("ide", ["broken"])
    answer = await post(browser, "/admin/catalogs/ide/refresh")
    assert answer.headers["location"] == "/admin/catalogs?done=read"
    assert (await post(browser, "/admin/catalogs/nope/refresh")).status_code == 404


@pytest.mark.parametrize("code", ["en", "fr"])
async def test_every_page_is_whole_in_every_language(
    lab: Lab, ada: models.User, bob: models.User, browser: httpx.AsyncClient, code: str
) -> None:
    await lab.rooms.identity.people.change_profile(
        user_id=ada.id, profile=people.Profile(name=ada.name, email=ada.email, language=code)
    )
    await lab.rooms.identity.projects.create(by=ada, name="Prices")
    await lab.token(bob)
    service = await lab.launched(bob)
    await lab.until(bob, service.id, State.READY)
    pages = ["/admin/people", "/admin/people?state=suspended", f"/admin/people/{bob.slug}", f"/admin/people/{ada.slug}"]
    pages += [f"/admin/people/{bob.slug}?done={done}" for done in ("restored", "signed-out", "administrator", "plain")]
    pages += ["/admin/projects", "/admin/projects?state=archived", "/admin/projects/prices?done=quota"]
    pages += ["/admin/services", "/admin/services?state=failed", f"/admin/services/{service.id}?done=stopped"]
    pages += [f"/admin/services/{service.id}?done=extended", "/admin/catalogs?done=read", "/admin/catalogs?done=failed"]
    for path in pages:
        page = await browser.get(path)
        assert page.status_code == 200, path
        check(page.text)


async def test_the_directory_answers_administrators_alone(lab: Lab, bob: models.User) -> None:
    directory = lab.rooms.identity.directory
    for ask in (
        directory.people(by=bob, asked=Asked()),
        directory.person(by=bob, slug=bob.slug),
        directory.projects(by=bob, asked=Asked()),
        directory.make_administrator(by=bob, slug=bob.slug),
        lab.rooms.admin.services.search(by=bob),
        lab.rooms.admin.services.stop(by=bob, service_id="x", reason="y"),
        lab.rooms.admin.catalogs.list(by=bob),
    ):
        with pytest.raises(errors.Forbidden):
            await ask
