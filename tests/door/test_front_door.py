"""What passes the front door, and what does not: real Caddy, real authoriser, real database."""

import asyncio
import json

import httpx
import pytest

from etabli.components import sites
from etabli.door import models
from tests.door.conftest import FrontDoor, person

pytestmark = pytest.mark.binaries

NAVIGATION = [("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document"), ("Sec-Fetch-Site", "none")]


def head_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text
    return str(json.loads(answer.text)["head"]).lower()


async def test_a_member_reaches_the_service_and_the_service_never_sees_the_cookie(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    cookie = await front.cookie("lab", alice)
    for sent, left in [
        (cookie, ""),
        (f"a=1; {cookie}; b=2", "a=1; b=2"),
        (f"a=1; {cookie}", "a=1"),
        (f"{cookie}; b=2", "b=2"),
    ]:
        head = head_of(await front.ask(host, "/tree?x=1", headers=[("Cookie", sent)]))
        assert "etabli-service" not in head
        assert head.startswith("get /tree?x=1 ")
        assert f"cookie: {left}\r\n" in head
        assert f"x-etabli-user: {alice.user_id}" in head


async def test_what_a_client_says_of_itself_reaches_nobody(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    await front.service("other", alice)
    lies = [
        ("X-Etabli-Upstream", "key-other"),
        ("X-Etabli-User", "u-mallory"),
        ("x-etabli-method", "GET"),
        ("X-Etabli-Operator", "admin"),
        ("X-Forwarded-For", "6.6.6.6"),
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "gopher"),
    ]
    answer = await front.ask(host, headers=[("Cookie", await front.cookie("lab", alice)), *lies])
    head = head_of(answer)
    assert json.loads(answer.text)["upstream"] == "key-lab"
    for trace in ("key-other", "mallory", "operator", "6.6.6.6", "evil", "gopher"):
        assert trace not in head
    portal = head_of(await front.ask(front.lab.domain, headers=lies))
    assert "x-etabli-door: 1" in portal
    assert "operator" not in portal
    assert f"x-forwarded-host: {front.lab.domain}:{front.lab.port}" in portal
    assert "x-forwarded-for: 127.0.0.1" in portal


async def test_no_cookie_another_persons_service_and_an_unknown_host_answer_alike(front: FrontDoor) -> None:
    alice, bob = await person(front.tables, "alice"), await person(front.tables, "bob")
    await front.service("lab", alice)
    await front.service("bobs", bob)
    bobs = await front.cookie("bobs", bob)
    seen = []
    for host, cookie in [
        ("lab", ""),
        ("nothing", ""),
        ("lab", bobs),
        ("nothing", bobs),
        ("lab", f"{models.SERVICE_COOKIE}=x"),
    ]:
        headers = [("Cookie", cookie)] if cookie else []
        moved = await front.ask(front.host(host), "/a?b=1", headers=[*NAVIGATION, *headers])
        assert moved.headers["Location"] == f"{front.lab.origin}/open?host={front.host(host)}&to=%2Fa%3Fb%3D1"
        refused = await front.ask(front.host(host), headers=headers)
        seen.append(
            (moved.status_code, moved.text, refused.status_code, refused.text, sorted(set(refused.headers) - {"date"}))
        )
    assert seen[0][0] == 303
    assert seen[0][2] == 401
    assert all(one == seen[0] for one in seen)


async def test_a_member_who_leaves_a_viewer_and_an_ended_session_are_out_at_once(front: FrontDoor) -> None:
    alice, vera = await person(front.tables, "alice"), await person(front.tables, "vera", role="viewer")
    host, viewed = await front.service("lab", alice), await front.service("viewed", vera)
    cookie, veras = await front.cookie("lab", alice), await front.cookie("viewed", vera)
    assert (await front.ask(viewed, headers=[("Cookie", veras)])).status_code == 401
    assert (await front.ask(host, headers=[("Cookie", cookie)])).status_code == 200
    async with front.tables.engine.begin() as connection:
        await connection.exec_driver_sql(
            "update sessions set ended_at = '2026-01-01 00:00:00.000000' where id = 's-alice'"
        )
    assert (await front.ask(host, headers=[("Cookie", cookie)])).status_code == 401


async def test_a_service_that_is_starting_sends_people_to_its_page_and_programs_to_later(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice, ready=False)
    cookie = ("Cookie", await front.cookie("lab", alice))
    assert (await front.ask(host, headers=[cookie, *NAVIGATION])).status_code == 303
    later = await front.ask(host, headers=[cookie])
    assert (later.status_code, later.headers["Retry-After"]) == (503, "2")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "PROPFIND"])
async def test_a_sibling_service_cannot_act_as_the_person(front: FrontDoor, method: str) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    await front.service("evil", alice)
    cookie = ("Cookie", await front.cookie("lab", alice))
    for origin in (
        front.origin("evil"),
        front.lab.origin,
        "null",
        "https://evil.example",
        f"{front.origin('lab')}.evil.example",
    ):
        forged = await front.ask(
            host, method=method, headers=[cookie, ("Origin", origin), ("Sec-Fetch-Site", "same-site")]
        )
        assert forged.status_code == 403
    assert (await front.ask(host, method=method, headers=[cookie])).status_code == 403
    twice = [cookie, ("Origin", front.origin("evil")), ("Origin", front.origin("lab"))]
    assert (await front.ask(host, method=method, headers=twice)).status_code == 403
    own = [cookie, ("Origin", front.origin("lab")), ("Sec-Fetch-Site", "same-origin")]
    assert (await front.ask(host, method=method, headers=own, content=b"x" * 100_000)).status_code == 200
    quiet = [cookie, ("Origin", "null"), ("Sec-Fetch-Site", "same-origin")]
    assert (await front.ask(host, method=method, headers=quiet)).status_code == 200


@pytest.mark.parametrize("dest", ["iframe", "image", "script", "empty", "embed", "object", "document"])
async def test_another_origin_neither_frames_nor_embeds_nor_fetches_a_service(front: FrontDoor, dest: str) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    cookie = ("Cookie", await front.cookie("lab", alice))
    mode = "navigate" if dest in ("iframe", "document", "embed", "object") else "no-cors"
    fetch = [("Sec-Fetch-Mode", mode), ("Sec-Fetch-Dest", dest)]
    for site in ("same-site", "cross-site"):
        answer = await front.ask(host, headers=[cookie, *fetch, ("Sec-Fetch-Site", site)])
        assert answer.status_code == (200 if dest == "document" else 403)
    answer = await front.ask(host, headers=[cookie, *fetch, ("Sec-Fetch-Site", "same-origin")])
    assert answer.status_code == 200
    assert answer.headers.get_list("Content-Security-Policy")[-1] == "frame-ancestors 'self'"
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


async def test_two_cookies_of_that_name_are_refused(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    cookie = await front.cookie("lab", alice)
    tossed = f"{models.SERVICE_COOKIE}=evil"
    for headers in ([("Cookie", f"{tossed}; {cookie}")], [("Cookie", cookie), ("Cookie", tossed)]):
        assert (await front.ask(host, headers=headers)).status_code == 400


async def test_an_upstream_that_is_no_plain_name_is_never_dialled(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    cookie = ("Cookie", await front.cookie("lab", alice))
    for hostile in ("../portal.sock", "a/b", "..", "{env.HOME}", "A", ""):
        async with front.tables.engine.begin() as connection:
            await connection.exec_driver_sql("update door_routes set upstream = ?", (hostile,))
        assert (await front.ask(host, headers=[cookie])).status_code == 502
    assert front.upstreams["portal"].requests == []


async def websocket(front: FrontDoor, host: str, *headers: str) -> tuple[bytes, bytes]:
    """Ask for a websocket, send bytes, and read them back: the status line and the echo."""
    reader, writer = await asyncio.open_connection("127.0.0.1", front.lab.port)
    lines = [f"GET /api/kernels HTTP/1.1\r\nHost: {host}:{front.lab.port}", "Upgrade: websocket", "Connection: Upgrade"]
    lines += ["Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Version: 13", *headers]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    status = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]
    echo = b""
    if b" 101 " in status:
        writer.write(b"hello")
        echo = await reader.readexactly(5)
    writer.close()
    return status, echo


async def test_a_websocket_passes_from_the_services_own_pages_alone(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    cookie = f"Cookie: {await front.cookie('lab', alice)}"
    status, echo = await websocket(front, host, cookie, f"Origin: {front.origin('lab')}")
    assert echo == b"hello", status
    assert b"etabli-service" not in front.upstreams["key-lab"].requests[-1]
    for origin in (front.origin("evil"), front.lab.origin, "null"):
        status, _ = await websocket(front, host, cookie, f"Origin: {origin}")
        assert b" 403 " in status
    status, _ = await websocket(front, host, cookie)
    assert b" 403 " in status
    status, _ = await websocket(front, host, f"Origin: {front.origin('lab')}")
    assert b" 401 " in status


async def test_the_portal_alone_answers_its_paths_on_a_services_host(front: FrontDoor) -> None:
    head = head_of(await front.ask(front.host("anything"), "/.etabli/enter?code=x&to=/"))
    assert head.startswith("get /.etabli/enter?code=x&to=/ ")
    assert "x-etabli-door: 1" in head
    assert (await front.ask(front.host("anything"), "/.etabliother")).status_code == 401


@pytest.mark.parametrize(
    ("path", "passes"),
    [
        ("/v1/auth/jwt/login", True),
        ("/v1/auth/token/lookup-self", True),
        ("/v1/auth/token/renew-self", True),
        ("/v1/auth/token/revoke-self", True),
        ("/v1/kv/data/alice/x", True),
        ("/v1/kv/metadata/alice?list=true", True),
        ("/v1/auth/token/create", False),
        ("/v1/auth/token/lookup-self/x", False),
        ("/v1/sys/health", False),
        ("/v1/sys/init", False),
        ("/v1/kv/../sys/seal", False),
        ("/v1/kv/%2e%2e/sys/seal", False),
        ("/v1/kv/..%2fsys/seal", False),
        ("/v1/kv//../sys/seal", False),
        ("/V1/kv/data/x", False),
        ("/v1/identity/entity", False),
        ("/", False),
    ],
)
async def test_of_the_vault_few_paths_pass(front: FrontDoor, path: str, passes: bool) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", front.lab.port)  # As is: httpx would clean the path.
    lines = [f"GET {path} HTTP/1.1", f"Host: vault.{front.lab.domain}:{front.lab.port}", "X-Vault-Namespace: up"]
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200 " if passes else b"HTTP/1.1 404 ")
    assert len(front.upstreams["vault"].requests) == int(passes)
    assert b"Namespace" not in b"".join(front.upstreams["vault"].requests)


async def test_s3_gets_the_request_as_it_was_signed(front: FrontDoor) -> None:
    body = b"z" * (8 * 1024 * 1024)
    signed = [("Accept-Encoding", "identity"), ("Authorization", "AWS4-HMAC-SHA256 x"), ("Expect", "100-continue")]
    answer = await front.ask(
        f"s3.{front.lab.domain}", "/alice/a%2Fb+c%20d?list-type=2&prefix=", method="PUT", headers=signed, content=body
    )
    head = head_of(answer)
    assert head.startswith("put /alice/a%2fb+c%20d?list-type=2&prefix= ")
    assert f"host: s3.{front.lab.domain}:{front.lab.port}\r\n" in head
    assert f"content-length: {len(body)}" in head
    assert "accept-encoding: identity" in head
    assert "aws4-hmac-sha256" in head


async def test_any_other_host_is_misdirected(front: FrontDoor) -> None:
    for host in (
        "example.org",
        "127.0.0.1",
        f"x.{front.lab.domain}",
        f"a.b.{front.lab.services_domain}",
        front.lab.services_domain,
    ):
        assert (await front.ask(host)).status_code == 421


async def test_the_same_sites_answer_on_the_socket_that_sandboxes_reach(front: FrontDoor) -> None:
    socket = front.layout.socket("front")
    assert socket.stat().st_mode & 0o777 == 0o600
    transport = httpx.AsyncHTTPTransport(uds=str(socket))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        url = f"http://s3.{front.lab.domain}:{front.lab.port}/alice"
        head = head_of(await client.get(url, headers={"X-Forwarded-For": "6.6.6.6"}))
    assert f"x-forwarded-host: s3.{front.lab.domain}:{front.lab.port}" in head
    assert "6.6.6.6" not in head


async def test_a_killed_authoriser_costs_a_wait_and_no_request(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    cookie = ("Cookie", await front.cookie("lab", alice))
    front.processes["authoriser"].kill()
    front.processes["authoriser"].wait()
    asked = [asyncio.create_task(front.ask(host, headers=[cookie])) for _ in range(5)]
    front.start_authoriser()
    assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200] * 5


async def test_an_upstream_that_restarts_costs_a_wait_and_no_request(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    headers = [("Cookie", await front.cookie("lab", alice)), ("Origin", front.origin("lab"))]
    await front.upstreams["key-lab"].stop()
    asked = [asyncio.create_task(front.ask(host, method=method, headers=headers)) for method in ("GET", "POST")]
    await asyncio.wait(asked, timeout=0.3)
    await front.upstreams["key-lab"].start()
    assert [answer.status_code for answer in await asyncio.gather(*asked)] == [200, 200]


def test_caddy_and_the_authoriser_speak_of_the_same_cookie() -> None:
    assert sites.SERVICE_COOKIE == models.SERVICE_COOKIE
