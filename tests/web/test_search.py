"""Search everywhere: what is found by which words, by whom, and what it leads to."""

import httpx
import pytest

from etabli.identity import models
from etabli.services.models import State
from etabli.web import ranking
from tests.web.lab import Lab, csrf


async def titles(browser: httpx.AsyncClient, words: str) -> list[str]:
    """What programs find, in order."""
    answer = await browser.get("/api/v1/search", params={"q": words}, headers={"Accept": "application/json"})
    assert answer.status_code == 200, answer.text
    return [hit["title"] for hit in answer.json()]


@pytest.mark.parametrize(
    ("typed", "name", "fits"),
    [
        ("jupyter", "jupyter-python", True),
        ("jupiter", "jupyter-python", True),
        ("jupytre", "jupyter-python", True),
        ("jupit", "jupyter-python", True),
        ("reglages", "Réglages", True),
        ("RÉGLAGES", "reglages", True),
        ("python jup", "jupyter-python", True),
        ("jupyter spark", "jupyter-python", False),
        ("r", "rstudio", True),
        ("cat", "car", False),  # A slip in a short word makes another word.
        ("notebook", "database", False),
        ("قاعدة", "قاعدة بيانات", True),
    ],
)
def test_words_fit_without_accents_from_their_start_and_with_a_slip(typed: str, name: str, fits: bool) -> None:
    fit = ranking.fit(ranking.words(typed), name=ranking.words(name), beside=())
    assert (fit > 0) == fits


def test_a_whole_word_comes_before_a_beginning_before_an_inside_before_a_slip() -> None:
    typed = ranking.words("note")
    fits = [
        ranking.fit(typed, name=ranking.words(name), beside=()) for name in ("note", "notebook", "footnote", "nite")
    ]
    assert fits == sorted(fits, reverse=True)
    assert len(set(fits)) == 4


async def test_services_charts_and_pages_are_found(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    service = await lab.launched(ada, "Prix à la consommation")
    await lab.until(ada, service.id, State.READY)
    assert (await titles(browser, "consomation"))[0] == "Prix à la consommation"
    assert "Launch notebook" in await titles(browser, "notebok")
    assert (await titles(browser, "réglages"))[0] == "Account"
    assert (await titles(browser, "mot de passe"))[0] == "Security"
    assert await titles(browser, "zzzz") == []
    page = (await browser.get("/search", params={"q": "pause prix"})).text
    assert f'action="/services/{service.id}/stop"' in page


async def test_nothing_typed_shows_what_was_used_last(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    for name in ("First", "Second"):
        service = await lab.launched(ada, name)
        await lab.until(ada, service.id, State.READY)
    found = await titles(browser, "")
    assert found[:2] == ["Second", "First"]
    assert "Catalogue" in found


async def test_nobody_finds_what_is_anothers(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    await lab.launched(ada, "Confidential wages")
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        assert await titles(client, "confidential wages") == []
        assert "Audit log" not in await titles(client, "audit log")
    assert "Audit log" in await titles(browser, "audit log")


async def test_a_shared_projects_services_are_found_and_viewers_are_offered_no_action(
    lab: Lab, ada: models.User
) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    project = await lab.rooms.identity.projects.create(by=bob, name="Prices", slug="prices")
    await lab.rooms.identity.projects.set_member(by=bob, project_id=project.id, slug=ada.slug, role=models.Role.VIEWER)
    service = await lab.launched_in(bob, project.id, "Shared index")
    async with lab.browser(await lab.token(ada)) as client:
        page = (await client.get("/search", params={"q": "shared index"})).text
        switch = (await client.get("/search", params={"q": "switch prices"})).text
    assert f'href="/services/{service.id}"' in page
    assert f'action="/services/{service.id}/stop"' not in page
    assert 'action="/project"' in switch
    assert 'value="prices"' in switch


@pytest.mark.parametrize(
    "words", ["<script>alert(1)</script>", "%00", "a" * 5000, "' or 1=1 --", "\u202e", "🧵", "   "]
)
async def test_any_words_are_answered(lab: Lab, browser: httpx.AsyncClient, words: str) -> None:
    answer = await browser.get("/search", params={"q": words})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert (await browser.get("/search/hits", params={"q": words})).status_code == 200


async def test_a_hits_action_is_a_form_with_the_sessions_token(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    page = (await browser.get("/search", params={"q": "sign out"})).text
    assert 'action="/sign-out"' in page
    assert csrf(page)
