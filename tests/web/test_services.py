"""My services and one service, and what is said as they change."""

import asyncio
import json

import httpx
import pytest

from etabli.identity import models
from etabli.kernel import ids
from etabli.services.models import State
from etabli.web import live
from tests.web.lab import Lab, csrf, polled


async def pressed(browser: httpx.AsyncClient, address: str, page: str = "", **fields: str) -> httpx.Response:
    """Press the button of a form of `page`."""
    token = csrf((await browser.get(page or "/services")).text)
    return await browser.post(address, data={"csrf": token, **fields})


async def test_a_service_shows_where_it_is_and_the_next_step(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    empty = (await browser.get("/services")).text
    service = await lab.launched(ada, "Index of May")
    await lab.until(ada, service.id, State.READY)
    page = (await browser.get("/services")).text
    assert "Nothing runs yet" in empty
    assert "Index of May" in page
    assert f'href="/services/{service.id}/open"' in page
    assert "/ 2\xa0cores" in page


async def test_it_is_paused_and_resumed_renamed_extended_and_deleted(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    address = f"/services/{service.id}"
    assert (await pressed(browser, address + "/stop")).status_code == 303
    stopped = await lab.until(ada, service.id, State.STOPPED)
    assert "Resume" in (await browser.get(address)).text
    await pressed(browser, address + "/resume")
    await lab.until(ada, service.id, State.READY)
    await pressed(browser, address + "/rename", name="Élodie's «index» <b>")
    assert "Élodie&#39;s «index» &lt;b&gt;" in (await browser.get(address)).text
    await pressed(browser, address + "/extend")
    extended = await lab.rooms.services.get(user_id=ada.id, service_id=service.id)
    assert stopped.expires_at is not None
    assert extended.expires_at is not None
    assert extended.expires_at > stopped.expires_at
    asked = await browser.get(address + "/delete")
    assert "are lost" in asked.text
    answer = await pressed(browser, address + "/delete")
    assert answer.headers["location"] == "/services?done=deleted"
    async with asyncio.timeout(20):
        async for _ in polled():
            if (await browser.get(address)).status_code == 404:
                break


async def test_a_name_that_cannot_be_used_is_kept_with_its_fault(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    answer = await pressed(browser, f"/services/{service.id}/rename", name="x" * 101)
    assert answer.status_code == 422
    assert 'id="name-wrong"' in answer.text
    assert "x" * 101 in answer.text


@pytest.mark.parametrize("tail", ["", "/open", "/delete", "/logs", "/logs/stream"])
async def test_another_persons_service_reads_exactly_as_one_that_does_not_exist(
    lab: Lab, ada: models.User, tail: str
) -> None:
    theirs = (await lab.launched(ada)).id
    bob = await lab.person("Bob Martin", by=ada)
    nowhere = ids.new_id()
    async with lab.browser(await lab.token(bob)) as client:
        one = await client.get(f"/services/{theirs}{tail}")
        other = await client.get(f"/services/{nowhere}{tail}")
    assert one.status_code == other.status_code == 404
    assert one.text.replace(theirs, "") == other.text.replace(nowhere, "")


async def test_another_persons_service_cannot_be_changed(lab: Lab, ada: models.User) -> None:
    service = await lab.launched(ada)
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        for action in ("stop", "resume", "extend", "rename", "delete"):
            assert (await pressed(client, f"/services/{service.id}/{action}", name="mine")).status_code == 404


async def test_what_a_service_writes_is_shown_as_text_never_as_a_page(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    await lab.engine.write(service.id, "<script>alert(1)</script>")
    answer = await browser.get(f"/services/{service.id}/logs")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text == "<script>alert(1)</script>\n"
    lines = lab.rooms.services.logs(user_id=ada.id, service_id=service.id)
    async with asyncio.timeout(20):
        first = await anext(live.logs(lines))
    assert json.loads(first.removeprefix("data: ")) == {"text": "<script>alert(1)</script>\n", "isFirst": True}


async def test_opening_signs_in_to_the_services_own_origin_once(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    sent = await browser.get(f"/services/{service.id}/open", params={"to": "/lab/tree"})
    way_in = sent.headers["location"]
    assert f"-{service.id}.svc.etabli.localhost/.etabli/enter?code=" in way_in
    entered = await browser.get(way_in)
    cookie = entered.headers["set-cookie"]
    assert entered.headers["location"] == "/lab/tree"
    assert cookie.startswith("__Host-etabli-service=")
    assert "HttpOnly" in cookie
    assert (await browser.get(way_in)).status_code == 403


async def test_who_comes_by_the_services_address_is_let_in_by_the_portal(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    sent = await browser.get(f"/services/{service.id}/open")
    host = httpx.URL(sent.headers["location"]).host
    turned = await browser.get(f"https://{host}/notebooks")
    assert turned.headers["location"].startswith("https://etabli.localhost/open?")
    opened = await browser.get(turned.headers["location"])
    assert opened.headers["location"].startswith(f"https://{host}/.etabli/enter?code=")
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        assert (await client.get(turned.headers["location"])).status_code == 404


async def test_a_service_that_does_not_answer_yet_is_followed_on_its_page(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    lab.engine.automatic = False
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.STARTING)
    answer = await browser.get(f"/services/{service.id}/open")
    assert answer.headers["location"] == f"/services/{service.id}"
    assert "On its way" in (await browser.get(f"/services/{service.id}")).text
