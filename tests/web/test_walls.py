"""What no request passes: who calls, which host, from where, how much."""

from collections.abc import AsyncIterator

import httpx
import pytest

from etabli.identity import models
from etabli.web import walls
from tests.web.lab import Lab, csrf, operator


@pytest.fixture
async def socket(lab: Lab) -> AsyncIterator[httpx.AsyncClient]:
    """The portal's own socket, without the door before it."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=lab.web), base_url="http://portal") as client:
        yield client


async def test_the_operator_acts_as_the_person_named(lab: Lab, ada: models.User, socket: httpx.AsyncClient) -> None:
    answer = await socket.get("/api/v1/me", headers=operator(lab, ada.slug))
    assert answer.json()["slug"] == ada.slug
    first = await socket.get("/api/v1/me", headers=operator(lab, "@admin"))
    assert first.json()["slug"] == ada.slug


async def test_the_operator_acts_as_nobody_who_does_not_exist(lab: Lab, socket: httpx.AsyncClient) -> None:
    assert (await socket.get("/api/v1/me", headers=operator(lab, "nobody"))).status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Etabli-Door": "1", "X-Etabli-Operator": "ada-lovelace"},
        {"X-Etabli-Operator": "ada-lovelace", "X-Forwarded-For": "192.0.2.1"},
        {"X-Etabli-Operator": "ada-lovelace", "X-Forwarded-Host": "etabli.localhost"},
        {"X-Etabli-Operator": "ada-lovelace", "Via": "1.1 Caddy"},
        {"X-Etabli-Operator": ""},
        {"X-Etabli-Door": "2"},
    ],
)
async def test_who_is_neither_the_door_nor_the_operator_gets_nothing(
    ada: models.User, socket: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    for path in ("/api/v1/me", "/sign-in", "/static/x", "/.well-known/openid-configuration"):
        assert (await socket.get(path, headers=headers)).status_code == 403
    assert (await socket.get("/healthz", headers=headers)).text == "ok\n"


async def test_a_client_cannot_name_itself_the_operator_through_the_door(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        answer = await client.get("/api/v1/me", headers=operator(lab, ada.slug))
    assert answer.status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil-abc.svc.etabli.localhost", "Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil-abc.svc.etabli.localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://etabli.localhost", "Sec-Fetch-Site": "same-site"},
        {"Origin": "http://etabli.localhost", "Sec-Fetch-Site": "same-origin"},
    ],
)
async def test_a_form_sent_from_another_origin_does_nothing(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    token = csrf((await browser.get("/account")).text)
    answer = await browser.post("/sign-out", data={"csrf": token}, headers=headers)
    assert answer.status_code == 403
    assert (await browser.get("/account")).status_code == 200


async def test_a_form_that_says_nothing_of_where_it_comes_from_does_nothing(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    token = csrf((await browser.get("/account")).text)
    for name in ("Origin", "Sec-Fetch-Site"):
        del browser.headers[name]
    assert (await browser.post("/sign-out", data={"csrf": token})).status_code == 403


async def test_a_sibling_origin_reads_nothing_but_may_link_here(browser: httpx.AsyncClient) -> None:
    fetched = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"}
    framed = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"}
    linked = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    assert (await browser.get("/api/v1/me", headers=fetched)).status_code == 403
    assert (await browser.get("/services", headers=framed)).status_code == 403
    assert (await browser.get("/services", headers=linked)).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "etabli.localhost:9999", "s3.etabli.localhost", ""])
async def test_another_host_is_answered_nothing(lab: Lab, browser: httpx.AsyncClient, host: str) -> None:
    assert (await browser.get("/services", headers={"Host": host})).status_code == 404


async def test_a_services_host_is_answered_its_way_in_alone(lab: Lab) -> None:
    host = "prices-abc.svc.etabli.localhost"
    headers = {"X-Etabli-Door": "1", "Host": host, "Accept": "text/html"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=lab.web), base_url=f"http://{host}") as client:
        assert (await client.get("/sign-in", headers=headers)).status_code == 404
        assert (await client.get("/.etabli/enter?code=x", headers=headers)).status_code == 403
        assert (await client.get("/.etabli/other", headers=headers)).status_code == 404
    async with lab.browser() as portal:
        assert (await portal.get("/.etabli/enter?code=x")).status_code == 404


async def test_every_answer_carries_the_walls_of_the_browser(lab: Lab, browser: httpx.AsyncClient) -> None:
    for path in ("/services", "/sign-in", "/nope", "/api/v1/me", "/healthz"):
        headers = (await browser.get(path)).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cache-control"] == "no-store"
        assert headers["x-request-id"]


async def test_pages_hold_no_script_or_style_of_their_own(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/launcher/ide/notebook")).text
    assert "<script>" not in page
    assert " style=" not in page
    assert " onclick=" not in page


async def test_static_files_are_kept_for_good_under_the_hash_of_their_content(browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/services")).text
    address = page.split('<link rel="stylesheet" href="')[1].split('"')[0]
    answer = await browser.get(address)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"].startswith("text/css")
    digest = address.split("/")[2]
    assert (await browser.get(address.replace(digest, "0" * 16))).status_code == 404


async def test_a_body_too_large_is_refused(browser: httpx.AsyncClient) -> None:
    token = csrf((await browser.get("/account")).text)
    data = {"csrf": token, "name": "x" * (walls.BODY_LIMIT + 1)}
    assert (await browser.post("/account/profile", data=data)).status_code == 413


async def test_a_body_too_large_that_does_not_say_so_is_refused(browser: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    token = (await browser.get("/api/v1/me")).json()["csrf"]
    headers = {"Content-Type": "application/json", "X-CSRF-Token": token}
    assert (await browser.post("/api/v1/services", content=endless(), headers=headers)).status_code == 413
