"""The container-credentials endpoint, over its socket as an agent uses it, in front of the real store."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pytest
import pytest_asyncio

from etabli.identity.models import Project
from etabli.kernel.ids import new_id
from etabli.storage.client import Client
from etabli.storage.endpoint import CredentialEndpoint, Limits
from etabli.storage.models import Keys
from etabli.storage.service import Storage
from etabli.storage.settings import StorageSettings
from tests import parts
from tests.storage.conftest import Store, boto

pytestmark = pytest.mark.binaries

LIMITS = Limits(request_seconds=0.5, whole_seconds=5, connections=12, connections_of_a_project=4)


@dataclass
class Endpoint:
    """The endpoint, its socket, and two projects with a service in each."""

    socket: Path
    project: Project
    token: str
    other: Project
    other_token: str

    async def ask(self, *, project: Project | None = None, **changes: str) -> tuple[int, dict[str, str]]:
        """One call as the project's agent relays it; `changes` of method, path, token."""
        source = project or self.project
        token = changes.get("token", self.token)
        lines = [
            f"{changes.get('method', 'GET')} {changes.get('path', '/credentials')} HTTP/1.1",
            "Host: 169.254.170.2",
        ]
        lines += [f"Authorization: {token}"] if token else []
        answer = await self.raw(f"project {source.id} 10.1.2.3\n" + "\r\n".join(lines) + "\r\n\r\n")
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body) if body else {}

    async def raw(self, content: str | bytes) -> bytes:
        """What comes back until the connection is closed."""
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            writer.write(content.encode() if isinstance(content, str) else content)
            async with asyncio.timeout(20):
                return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest_asyncio.fixture
async def endpoint(storage: Storage, people: parts.People, tmp_path: Path) -> AsyncIterator[Endpoint]:
    path = tmp_path / "c.sock"
    one, two = [await people.own(await people.person(f"{name}-{new_id()}")) for name in ("one", "two")]
    tokens = [await people.tokens.issue(service_id=new_id(), project_id=project.id) for project in (one, two)]
    async with CredentialEndpoint(storage=storage, tokens=people.tokens, limits=LIMITS).serving(path):
        yield Endpoint(path, one, tokens[0], two, tokens[1])


async def test_a_service_gets_keys_of_its_project(store: Store, storage: Storage, endpoint: Endpoint) -> None:
    bucket = await storage.ensure_bucket(project=endpoint.project)
    status, document = await endpoint.ask()
    assert status == 200
    assert set(document) == {"AccessKeyId", "SecretAccessKey", "Token", "Expiration"}
    assert datetime.fromisoformat(document["Expiration"]) > parts.CLOCK.now()
    s3 = boto(store, Keys(document["AccessKeyId"], document["SecretAccessKey"], document["Token"]))
    await asyncio.to_thread(s3.put_object, Bucket=bucket, Key="k", Body=b"x")
    assert await endpoint.ask() == (200, document)
    assert stat.S_IMODE(endpoint.socket.stat().st_mode) == 0o600


async def test_a_token_of_another_project_buys_nothing(endpoint: Endpoint) -> None:
    status, document = await endpoint.ask(project=endpoint.other)
    assert (status, document["code"]) == (403, "Forbidden")
    status, document = await endpoint.ask(token=endpoint.other_token)
    assert (status, document["code"]) == (403, "Forbidden")
    assert (await endpoint.ask(project=endpoint.other, token=endpoint.other_token))[0] == 200


async def test_a_token_that_ended_buys_nothing(endpoint: Endpoint, people: parts.People) -> None:
    service = new_id()
    token = await people.tokens.issue(service_id=service, project_id=endpoint.project.id)
    assert (await endpoint.ask(token=token))[0] == 200
    await people.tokens.end(service_id=service)
    assert (await endpoint.ask(token=token))[0] == 403


async def test_an_archived_project_gets_no_keys(endpoint: Endpoint, people: parts.People) -> None:
    await people.archive(endpoint.project)
    assert (await endpoint.ask())[0] == 403


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"token": ""}, 401, "Unauthorized"),
        ({"token": "nonsense"}, 403, "Forbidden"),
        ({"token": "é" * 100}, 403, "Forbidden"),
        ({"path": "/"}, 404, "NotFound"),
        ({"path": "/credentials/"}, 404, "NotFound"),
        ({"method": "PUT"}, 405, "MethodNotAllowed"),
        ({"method": "DELETE"}, 405, "MethodNotAllowed"),
    ],
    ids=["no token", "nonsense", "not ASCII", "root", "beside", "PUT", "DELETE"],
)
async def test_errors_are_json_with_their_status(
    endpoint: Endpoint, changes: dict[str, str], status: int, code: str
) -> None:
    got, document = await endpoint.ask(**changes)
    assert (got, document["code"]) == (status, code)
    assert document["message"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"project only-two\n",
        b"GET /credentials HTTP/1.1\r\n\r\n",
        b"project a 10.0.0.1 more\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"x" * 100_000,
        b"project a 10.0.0.1\n" + b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000,
        b"project a 10.0.0.1\n" + b"\x00" * 1000,
        b"project a 10.0.0.1\n" + b"GET /credentials HTTP/1.1\r\n",
        b"project a 10.0.0.1\nGET /credentials HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n",
    ],
    ids=[
        "nothing",
        "empty line",
        "short line",
        "no line",
        "long line",
        "no end",
        "headers",
        "zeros",
        "half",
        "two hosts",
    ],
)
async def test_what_is_not_a_request_is_dropped_in_time(endpoint: Endpoint, content: bytes) -> None:
    assert b"200 OK" not in await endpoint.raw(content)
    assert (await endpoint.ask())[0] == 200


async def test_callers_who_trickle_or_crowd_keep_nobody_out(endpoint: Endpoint) -> None:
    slow = [await asyncio.open_unix_connection(endpoint.socket) for _ in range(4)]
    for _, writer in slow:
        writer.write(f"project {endpoint.project.id} 10.1.2.3\nGET /cred".encode())
        await writer.drain()
    status, document = await endpoint.ask()
    assert (status, document["code"]) == (503, "SlowDown")
    assert (await endpoint.ask(project=endpoint.other, token=endpoint.other_token))[0] == 200
    for reader, writer in slow:
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
    assert (await endpoint.ask())[0] == 200


async def test_a_store_that_is_away_is_said_with_when_to_ask_again(people: parts.People, tmp_path: Path) -> None:
    client = Client(socket=tmp_path / "none.sock", origin=parts.LAB.s3_origin, region="eu-west-3", keys=Keys("a", "b"))
    away = Storage(client=client, issuer=people.issuer, lab=parts.LAB, settings=StorageSettings(), clock=parts.CLOCK)
    project = await people.own(await people.person(f"one-{new_id()}"))
    token = await people.tokens.issue(service_id=new_id(), project_id=project.id)
    path = tmp_path / "c.sock"
    async with CredentialEndpoint(storage=away, tokens=people.tokens).serving(path):
        raw = await Endpoint(path, project, token, project, token).raw(
            f"project {project.id} 10.1.2.3\nGET /credentials HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n"
        )
    assert b"503" in raw.split(b"\r\n")[0]
    assert b"Retry-After: 2" in raw
    await client.close()


async def test_the_next_portal_takes_the_socket_over(
    storage: Storage, people: parts.People, endpoint: Endpoint
) -> None:
    async with CredentialEndpoint(storage=storage, tokens=people.tokens).serving(endpoint.socket):
        assert (await endpoint.ask())[0] == 200
    with pytest.raises(ConnectionRefusedError):
        await endpoint.ask()
