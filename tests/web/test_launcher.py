"""The launch form, without a script: what it shows, keeps and refuses."""

import html
import re

import httpx
import pytest

from etabli.identity import models
from etabli.services.models import State
from tests.web.lab import Lab, csrf

FORM = "/launcher/ide/notebook"
INPUT = re.compile(r"<input ([^>]*)>")
ATTRIBUTE = re.compile(r'([a-z-]+)="([^"]*)"')


def fields(page: str) -> dict[str, str]:
    """What a browser would send of the launch form as it is shown."""
    form = page[page.index('<form id="launch"') :]
    form = form[: form.index("</form>")]
    found: dict[str, str] = {}
    for tag in INPUT.findall(form):
        attributes = {name: html.unescape(value) for name, value in ATTRIBUTE.findall(tag)}
        words = ATTRIBUTE.sub("", tag).split()
        is_off = attributes.get("type") == "checkbox" and "checked" not in words
        if "name" in attributes and not is_off and "disabled" not in words:
            found[attributes["name"]] = attributes.get("value", "")
    for name, text in re.findall(r'<textarea [^>]*name="([^"]*)"[^>]*>\n?([^<]*)</textarea>', form):
        found[html.unescape(name)] = html.unescape(text)
    for name, options in re.findall(r'<select [^>]*name="([^"]*)"[^>]*>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'value="([^"]*)" selected', options) or re.search(r'value="([^"]*)"', options)
        found[html.unescape(name)] = html.unescape(chosen.group(1)) if chosen else ""
    return found


async def test_the_form_as_it_is_shown_launches_the_service(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    sent = fields((await browser.get(FORM)).text)
    sent |= {"name": "Index of June", "resources.limits.cpu": "3", "resources.limits.memory": "8"}
    answer = await browser.post(FORM, data=sent)
    assert answer.status_code == 303
    service_id = answer.headers["location"].rpartition("/")[2]
    service = await lab.until(ada, service_id, State.READY)
    assert service.name == "Index of June"
    assert service.limits.cpu == 3
    assert service.limits.memory_bytes == 8 << 30
    assert service.values == {"resources": {"limits": {"cpu": "3000m", "memory": "8Gi"}}}


async def test_a_double_click_launches_one_service(lab: Lab, browser: httpx.AsyncClient) -> None:
    sent = fields((await browser.get(FORM)).text)
    answers = [await browser.post(FORM, data=sent) for _ in range(2)]
    assert answers[0].headers["location"] == answers[1].headers["location"]


async def test_sliders_speak_in_cores_and_say_what_is_free(lab: Lab, browser: httpx.AsyncClient) -> None:
    page = (await browser.get(FORM)).text
    assert fields(page)["resources.requests.cpu"] == "0.5"
    assert 'min="0.1" max="8" step="0.1"' in page
    assert "8\xa0cores free on this machine" in page
    assert "16\xa0GiB free on this machine" in page


async def test_a_fault_stands_at_its_field_and_what_was_typed_is_kept(browser: httpx.AsyncClient) -> None:
    sent = fields((await browser.get(FORM)).text)
    sent |= {"name": "Kept", "init.personalInit": "ftp://example.org", "resources.limits.memory": "8"}
    answer = await browser.post(FORM, data=sent)
    assert answer.status_code == 422
    shown = fields(answer.text)
    assert shown["init.personalInit"] == "ftp://example.org"
    assert shown["resources.limits.memory"] == "8"
    assert shown["name"] == "Kept"
    assert 'id="v-init.personalInit-wrong"' in answer.text


async def test_what_cannot_be_read_is_kept_as_it_was_typed(browser: httpx.AsyncClient) -> None:
    sent = fields((await browser.get(FORM)).text)
    sent |= {"userPreferences.lines": "many", "resources.limits.memory": "8"}
    answer = await browser.post(FORM, data=sent)
    assert answer.status_code == 422
    shown = fields(answer.text)
    assert shown["userPreferences.lines"] == "many"
    assert shown["resources.limits.memory"] == "8"
    assert 'id="v-userPreferences.lines-wrong"' in answer.text


@pytest.mark.parametrize("name", ["nothing.here", "git.email", "resources.limits", "__proto__.x"])
async def test_a_form_tampered_with_is_refused_by_the_name_of_the_field(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, name: str
) -> None:
    sent = fields((await browser.get(FORM)).text) | {name: "x"}
    answer = await browser.post(FORM, data=sent)
    assert answer.status_code == 422
    assert name in answer.text
    assert (await browser.get("/api/v1/services")).json() == []


async def test_a_list_grows_and_shrinks_without_a_script(browser: httpx.AsyncClient) -> None:
    sent = fields((await browser.get(FORM)).text) | {"name": "Kept"}
    grown = fields((await browser.post(FORM, data=sent | {"add": "extraEnvVars."})).text)
    assert grown["extraEnvVars[0].name"] == "NAME"
    assert grown["name"] == "Kept"
    grown["extraEnvVars[0].value"] = "first"
    twice = fields((await browser.post(FORM, data=grown | {"add": "extraEnvVars."})).text)
    assert twice["extraEnvVars[0].value"] == "first"
    once = fields((await browser.post(FORM, data=twice | {"remove": "extraEnvVars[1]"})).text)
    assert once["extraEnvVars[0].value"] == "first"
    assert "extraEnvVars[1].name" not in once


LINK = f"{FORM}?name=June&resources.limits.memory=%C2%AB8Gi%C2%BB&init.personalInit=%C2%ABhttps://e.org/a.sh%C2%BB"


async def test_a_link_fills_the_form_and_shows_what_it_sets(browser: httpx.AsyncClient) -> None:
    page = (await browser.get(LINK + "&nothing.here=true")).text
    shown = fields(page)
    assert (shown["name"], shown["resources.limits.memory"]) == ("June", "8")
    assert "Set by the link" in page
    assert "https://e.org/a.sh" in page
    assert "<code>nothing.here</code>" in page


async def test_a_link_that_asks_to_launch_at_once_is_asked_about_first(browser: httpx.AsyncClient) -> None:
    page = await browser.get(LINK + "&autoLaunch=true")
    assert page.status_code == 200
    assert "A link asks to launch this service at once" in page.text
    assert (await browser.get("/api/v1/services")).json() == []


async def test_the_command_and_the_link_beside_the_form_say_the_same_launch(browser: httpx.AsyncClient) -> None:
    page = (await browser.get(LINK)).text
    again = html.unescape(re.findall(r'<pre id="link"[^>]*>([^<]*)</pre>', page)[0])
    assert fields((await browser.get(again)).text)["resources.limits.memory"] == "8"
    command = html.unescape(re.findall(r'<pre id="command"[^>]*>([^<]*)</pre>', page)[0])
    assert "etabli launch ide/notebook" in command
    assert "--set resources.limits.memory=8Gi" in command


async def test_the_same_is_made_again_from_what_the_form_holds(browser: httpx.AsyncClient) -> None:
    sent = fields((await browser.get(FORM)).text) | {"resources.limits.memory": "9", "name": "it's; rm -rf"}
    answer = await browser.post(FORM + "/same", data=sent)
    assert "resources.limits.memory=9Gi" in answer.text
    assert (
        html.escape("""--name 'it'"'"'s; rm -rf'""", quote=False).replace('"', "&#34;").replace("'", "&#39;")
        in answer.text
    )


async def test_a_password_never_enters_a_link_or_a_command(browser: httpx.AsyncClient) -> None:
    sent = fields((await browser.get(FORM)).text) | {"security.password": "very-secret", "name": "June"}
    page = (await browser.post(FORM + "/same", data=sent)).text
    shown = re.findall(r'<pre id="(?:link|command)"[^>]*>([^<]*)</pre>', page)
    assert len(shown) == 2
    assert not any("very-secret" in text for text in shown)


async def test_an_unknown_chart_and_a_broken_one_are_said(browser: httpx.AsyncClient) -> None:
    unknown = await browser.get("/launcher/ide/nothing")
    broken = await browser.get("/launcher/ide/broken")
    assert unknown.status_code == 404
    assert broken.status_code == 400
    assert "cannot be launched" in broken.text


async def test_the_catalogue_is_searched_without_accents_or_case(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/catalog", params={"search": "RÉLATIONAL"})).text
    assert "/launcher/ide/database" in page
    assert "/launcher/ide/notebook" not in page


async def test_a_viewer_is_told_that_they_may_only_look(lab: Lab, ada: models.User) -> None:
    project = await lab.rooms.identity.projects.create(by=ada, name="Prices", slug="prices")
    bob = await lab.person("Bob Martin", by=ada)
    await lab.rooms.identity.projects.set_member(by=ada, project_id=project.id, slug=bob.slug, role=models.Role.VIEWER)
    async with lab.browser(await lab.token(bob)) as client:
        page = await client.get("/services")
        client.headers["Cookie"] += "; __Host-etabli-project=prices"
        answer = await client.get(FORM)
    assert csrf(page.text)
    assert answer.status_code == 403
