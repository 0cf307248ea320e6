"""Home: what somebody sees who is not signed in, and what helps on somebody who is."""

from datetime import timedelta

import httpx

from etabli.identity import keys, models
from etabli.services.models import State
from tests.web.lab import Lab, csrf


async def pressed(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """A form of home, as the page sends it."""
    token = csrf((await browser.get("/")).text)
    return await browser.post(path, data={"csrf": token, **fields})


async def test_who_is_not_signed_in_sees_what_the_lab_is_and_how_to_get_in(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        page = await client.get("/")
        assert page.status_code == 200
        assert "JupyterLab with Python" in page.text
        assert 'href="/sign-in"' in page.text
        assert "broken" not in page.text
        assert "Ada" not in page.text
        french = await client.get("/", headers={"Accept-Language": "fr"})
        assert "Un labo pour vos données" in french.text


async def test_what_ends_soon_is_given_more_time_in_one_click(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada, "Prices")
    await lab.until(ada, service.id, State.READY)
    assert "Ends soon" not in (await browser.get("/")).text
    soon = lab.rooms.clock.now() + timedelta(hours=2)
    await lab.rooms.services.extend(user_id=ada.id, service_id=service.id, until=soon)
    assert "Ends soon" in (await browser.get("/")).text
    answer = await pressed(browser, f"/services/{service.id}/extend", next="/")
    assert answer.headers["location"] == "/?done=extended"
    assert "Ends soon" not in (await browser.get("/")).text


async def test_what_was_launched_last_is_launched_again_with_its_values_when_it_is_gone(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    first = await lab.launched(ada, "Prices", resources={"limits": {"memory": "8Gi"}})
    await lab.until(ada, first.id, State.READY)
    await lab.rooms.services.delete(user_id=ada.id, service_id=first.id)
    assert "Launch again" in (await browser.get("/")).text
    asked = {"catalog": "ide", "chart": "notebook", "key": "once"}
    answer = await pressed(browser, "/again", **asked)
    again = await pressed(browser, "/again", **asked)
    assert answer.headers["location"] == again.headers["location"]
    second = await lab.rooms.services.get(user_id=ada.id, service_id=answer.headers["location"].rpartition("/")[2])
    assert second.id != first.id
    assert (second.name, second.limits.memory_bytes) == ("Prices", 8 << 30)
    assert (await pressed(browser, "/again", catalog="ide", chart="database")).status_code == 404


async def test_a_launch_with_secrets_is_filled_in_again_and_keeps_none_of_them(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    variables = [{"name": "API_TOKEN", "value": "hunter2"}, {"name": "YEAR", "value": "2026"}]
    await lab.launched(ada, "Prices", extraEnvVars=variables)
    page = (await browser.get("/")).text
    assert "Fill in and launch" in page
    assert "2026" in page
    assert "hunter2" not in page
    assert (await pressed(browser, "/again", catalog="ide", chart="notebook")).status_code == 409


async def test_what_others_launched_is_not_offered(lab: Lab, ada: models.User) -> None:
    await lab.launched(ada, "Prices")
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        assert "Launch again" not in (await client.get("/")).text
        assert (await pressed(client, "/again", catalog="ide", chart="notebook")).status_code == 404


async def test_first_steps_tick_themselves_and_go_when_sent_away(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    assert (await browser.get("/")).text.count('class="done"') == 0
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    assert (await browser.get("/")).text.count('class="done"') == 1
    await browser.get(f"/services/{service.id}/open")
    assert (await browser.get("/")).text.count('class="done"') == 2
    await lab.rooms.identity.invitations.invite(by=ada, lifetime=keys.LONGEST_TOKEN)
    assert (await browser.get("/")).text.count('class="done"') == 3
    await pressed(browser, "/first-steps/hide")
    assert "First steps" not in (await browser.get("/")).text


async def test_what_is_nearly_full_is_said(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    for _ in range(2):
        service = await lab.launched(ada, resources={"requests": {"memory": "7Gi"}, "limits": {"memory": "8Gi"}})
        await lab.until(ada, service.id, State.READY)
    page = (await browser.get("/")).text
    assert "Nearly full" in page
    assert "14 / 16\u00a0GiB" in page
