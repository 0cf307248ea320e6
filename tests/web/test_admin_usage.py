"""Announcements and usage, as administrators write and read them and as everybody does."""

import csv
import io
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from etabli.admin.announcements import Draft, Level
from etabli.engines import contract
from etabli.identity import models, people
from etabli.kernel import errors
from etabli.kernel.clock import SystemClock
from etabli.services import metering
from etabli.services.models import State
from etabli.web import plots
from tests.web.lab import Lab, csrf
from tests.web.test_admin_people import api_headers, post
from tests.web.test_pages import check


@pytest.fixture
async def bob(lab: Lab, ada: models.User) -> models.User:
    return await lab.person("Bob Martin", by=ada)


async def test_an_announcement_stands_above_every_page_until_it_is_put_away(
    lab: Lab, ada: models.User, bob: models.User, browser: httpx.AsyncClient
) -> None:
    form = {"text_fr": "Arrêt **mardi**", "text_en": "Down on **Tuesday**", "level": "warning", "dismissable": "true"}
    await post(browser, "/admin/announcements", **form)
    async with lab.browser(await lab.token(bob)) as theirs:
        page = (await theirs.get("/services")).text
        assert "Down on <strong>Tuesday</strong>" in page
        check(page)
        profile = people.Profile(name=bob.name, email=None, language="fr")
        await lab.rooms.identity.people.change_profile(user_id=bob.id, profile=profile)
        page = (await theirs.get("/")).text
        assert "Arrêt <strong>mardi</strong>" in page
        (one,) = await lab.rooms.admin.announcements.list(by=ada)
        answer = await theirs.post(f"/announcements/{one.id}/dismiss", data={"csrf": csrf(page), "next": "/catalog"})
        assert answer.headers["location"] == "/catalog"
        assert "mardi" not in (await theirs.get("/")).text
    assert "Tuesday" in (await browser.get("/services")).text
    await post(browser, f"/admin/announcements/{one.id}", **{**form, "text_en": "Down on *Wednesday*"})
    async with lab.browser(await lab.token(bob)) as theirs:
        assert "mardi" in (await theirs.get("/")).text
    await post(browser, f"/admin/announcements/{one.id}/end")
    assert "Wednesday" not in (await browser.get("/services")).text


async def test_it_is_shown_from_its_beginning_to_its_end(lab: Lab, ada: models.User) -> None:
    announcements, now = lab.rooms.admin.announcements, lab.rooms.clock.now()
    hour = timedelta(hours=1)
    for start, end in ((-2, -1), (-1, 1), (1, 2), (-1, None)):
        until = None if end is None else now + end * hour
        draft = Draft(texts={"en": f"{start} {end}"}, starts_at=now + start * hour, ends_at=until)
        await announcements.publish(by=ada, draft=draft)
    assert {one.text("fr") for one in await announcements.current(user_id=ada.id)} == {"-1 1", "-1 None"}


async def test_what_matters_most_comes_first_and_may_be_made_to_stay(lab: Lab, ada: models.User) -> None:
    announcements = lab.rooms.admin.announcements
    for level in Level:
        await announcements.publish(by=ada, draft=Draft(level=level, texts={"en": level}, dismissable=False))
    current = await announcements.current(user_id=ada.id)
    assert [one.level for one in current] == [Level.CRITICAL, Level.WARNING, Level.INFO]
    with pytest.raises(errors.Forbidden):
        await announcements.dismiss(user_id=ada.id, announcement_id=current[0].id)
    with pytest.raises(errors.NotFound):
        await announcements.dismiss(user_id=ada.id, announcement_id="nope")


async def test_putting_it_away_twice_is_well(lab: Lab, ada: models.User) -> None:
    announcements = lab.rooms.admin.announcements
    one = await announcements.publish(by=ada, draft=Draft(texts={"en": "x"}))
    for _ in range(2):
        await announcements.dismiss(user_id=ada.id, announcement_id=one.id)
    assert await announcements.current(user_id=ada.id) == ()


@pytest.mark.parametrize(
    "form",
    [
        {"text_en": "", "text_fr": "  "},
        {"text_en": "x" * 2001},
        {"text_en": "x", "starts_at": "tomorrow"},
        {"text_en": "x", "starts_at": "2026-01-02T00:00", "ends_at": "2026-01-01T00:00"},
        {"text_en": "x", "level": "loud"},
    ],
)
async def test_what_is_no_announcement_is_refused_and_stays_typed(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, form: dict[str, str]
) -> None:
    answer = await post(browser, "/admin/announcements", **{"level": "info", **form})
    assert answer.status_code == 422
    check(answer.text)
    assert await lab.rooms.admin.announcements.list(by=ada) == ()


async def test_html_and_scripts_are_shown_as_what_they_are(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    text = "<script>alert(1)</script> [x](javascript:alert(1)) <img src=x onerror=y>"
    await lab.rooms.admin.announcements.publish(by=ada, draft=Draft(texts={"en": text}))
    page = (await browser.get("/services")).text
    assert "<script>alert" not in page
    assert 'href="javascript' not in page
    assert "<img" not in page.partition('class="bands"')[2].partition("</section>")[0]


async def test_the_api_announces_changes_and_takes_back(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    headers, path = await api_headers(browser), "/api/v1/admin/announcements"
    made = (await browser.post(path, json={"fr": "Bonjour"}, headers=headers)).json()
    assert (made["is_current"], made["level"]) == (True, "info")
    assert (await browser.put(f"{path}/{made['id']}", json={"en": "Hello"}, headers=headers)).json()["fr"] == ""
    naive = {"en": "x", "ends_at": "2100-01-01T00:00:00"}
    for body in ({}, naive, {"en": "x", "other": 1}, {"en": "x", "level": "loud"}):
        assert (await browser.post(path, json=body, headers=headers)).status_code == 422
    assert (await browser.delete(f"{path}/{made['id']}", headers=headers)).status_code == 204
    assert (await browser.get(path)).json() == []
    assert (await browser.put(f"{path}/{made['id']}", json={"en": "x"}, headers=headers)).status_code == 404


async def consumed(lab: Lab, ada: models.User, user: models.User, cpu: float) -> None:
    """That person's own service used that many seconds of a processor just now."""
    service = await lab.launched(user)
    service = await lab.until(user, service.id, State.READY)
    usage = contract.Usage(cpu_seconds=cpu, memory_bytes=1 << 30)
    pod = contract.PodStatus("main-0", contract.Phase.READY, started_at=SystemClock().now(), usage=usage)
    meter = metering.Meter(database=lab.rooms.admin.usage._database, clock=lab.rooms.clock)
    await meter.add([(service, contract.Status(contract.Phase.READY, pods=(pod,)))])


@pytest.mark.parametrize("code", ["en", "fr"])
async def test_usage_is_told_to_administrators_and_to_each_person_their_own(
    lab: Lab, ada: models.User, bob: models.User, browser: httpx.AsyncClient, code: str
) -> None:
    for user in (ada, bob):
        profile = people.Profile(name=user.name, email=user.email, language=code)
        await lab.rooms.identity.people.change_profile(user_id=user.id, profile=profile)
    await consumed(lab, ada, ada, 3600.0)
    await consumed(lab, ada, bob, 7200.0)
    await lab.rooms.admin.usage.measure()
    report = (await browser.get("/api/v1/admin/usage")).json()
    assert round(report["total"]["cpu_hours"], 3) == 3.0
    assert [(one["name"], round(one["cpu_hours"], 3)) for one in report["people"]] == [(bob.slug, 2.0), (ada.slug, 1.0)]
    assert {one["name"]: one["storage_bytes"] for one in report["projects"]} == {bob.slug: 5 << 20, ada.slug: 5 << 20}
    assert len(report["days"]) == 30
    for path in (
        "/admin/usage",
        "/admin/usage?days=365&by=person",
        "/admin/usage?days=x&by=y",
        "/account/usage?days=7",
    ):
        page = await browser.get(path)
        assert page.status_code == 200
        check(page.text)
    async with lab.browser(await lab.token(bob)) as theirs:
        own = (await theirs.get("/api/v1/me/usage?days=7")).json()
        assert round(own["total"]["cpu_hours"], 3) == 2.0
        assert [one["name"] for one in own["projects"]] == [bob.slug]
        shown = (await theirs.get("/account/usage")).text
        assert ada.slug not in shown
        lines = list(csv.DictReader(io.StringIO((await theirs.get("/account/usage.csv")).text)))
    assert {line["person"] for line in lines if line["cpu_hours"]} == {bob.slug}
    everybody = list(csv.DictReader(io.StringIO((await browser.get("/admin/usage.csv")).text)))
    assert {line["person"] for line in everybody} == {ada.slug, bob.slug, ""}
    assert (await browser.get("/api/v1/admin/usage?days=0")).status_code == 422


async def test_a_lab_that_did_nothing_has_pages_too(browser: httpx.AsyncClient) -> None:
    for path in ("/admin/usage", "/admin/usage?by=person", "/account/usage"):
        check((await browser.get(path)).text)


@pytest.mark.parametrize(
    ("values", "top"), [([], 1), ([0.0], 1), ([0.3, 0.0], 0.5), ([0.002], 0.1), ([1.0], 1), ([1234.0], 2000)]
)
def test_bars_reach_from_zero_to_a_round_number(values: list[float], top: float) -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC).date()
    drawn = plots.of_days([(first + timedelta(days=place), value) for place, value in enumerate(values)])
    assert drawn.lines[-1][1] == pytest.approx(top)
    assert all(bar.y + bar.height == pytest.approx(drawn.floor) for bar in drawn.bars)
