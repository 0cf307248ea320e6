"""The command line's client over the portal's own UNIX socket, as the operator uses it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest
import uvicorn

from etabli.cli.client import Client, operated
from etabli.identity import models
from etabli.kernel import errors
from etabli.services.models import State
from tests.web.lab import Lab

Json = dict[str, object]


@pytest.fixture
async def socket(lab: Lab, tmp_path: Path) -> AsyncIterator[Path]:
    """The portal's socket, with nothing before it."""
    path = tmp_path / "portal.sock"
    config = uvicorn.Config(lab.web, uds=str(path), lifespan="off", log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for.
        await asyncio.sleep(0.01)
    yield path
    server.should_exit = True
    await serving


@contextmanager
def called(socket: Path, *, acting_as: str | None) -> Iterator[Client]:
    """The client, its connections closed at the end: a command's process ends, a test's goes on."""
    client = operated(socket, acting_as=acting_as)
    yield client
    client.close()


async def test_the_command_line_launches_lists_extends_and_deletes(lab: Lab, ada: models.User, socket: Path) -> None:
    body: Json = {"chart": "notebook", "name": "By hand", "values": {"resources": {"limits": {"memory": "3Gi"}}}}
    with called(socket, acting_as=None) as client:
        await story(lab, ada, client, body)


async def story(lab: Lab, ada: models.User, client: Client, body: Json) -> None:
    """From launch to deletion."""
    launched = cast("Json", await asyncio.to_thread(client.post, "/services", body))
    service_id = str(launched["id"])
    await lab.until(ada, service_id, State.READY)
    (listed,) = cast("list[Json]", await asyncio.to_thread(client.get, "/services"))
    assert (listed["name"], listed["state"]) == ("By hand", "ready")
    assert str(listed["page"]) == f"{lab.rooms.lab.origin}/services/{service_id}/open"
    await lab.engine.write(service_id, "hello")
    assert await asyncio.to_thread(_log, client, service_id) == ["hello"]
    extended = cast("Json", await asyncio.to_thread(client.post, f"/services/{service_id}/extend"))
    assert str(extended["expires_at"]) > str(launched["expires_at"])
    await asyncio.to_thread(client.delete, f"/services/{service_id}")


async def test_the_command_line_is_told_the_fields_that_are_wrong(ada: models.User, socket: Path) -> None:
    body = {"chart": "notebook", "values": {"resources": {"limits": {"memory": "9000Gi"}}}}
    with called(socket, acting_as=ada.slug) as client, pytest.raises(errors.Invalid) as refused:
        await asyncio.to_thread(client.post, "/services", body)
    assert list(refused.value.fields) == ["resources.limits.memory"]


async def test_the_operator_acts_as_one_person_and_sees_what_they_see(lab: Lab, ada: models.User, socket: Path) -> None:
    service = await lab.launched(ada)
    bob = await lab.person("Bob Martin", by=ada)
    with called(socket, acting_as=bob.slug) as client, pytest.raises(errors.NotFound):
        await asyncio.to_thread(client.get, f"/services/{service.id}")


def _log(client: Client, service_id: str) -> list[str]:
    with client.stream(f"/services/{service_id}/logs", follow="false") as lines:
        return list(lines)
