"""A whole, real lab: somebody is taken out of a project while a service that they launched there runs, and a project is closed."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

import httpx
import pytest

from tests import lab as labs
from tests.story import people

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(900)]

HANDSHAKE = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
WORK = """
    import os, sys, boto3, hvac
    assert os.environ["ETABLI_BUCKET"] == "prices"
    boto3.client("s3").put_object(Bucket="prices", Key=sys.argv[1], Body=b"x")
    path = os.environ["VAULT_TOP_DIR"] + "/" + sys.argv[1]
    hvac.Client().secrets.kv.v2.create_or_update_secret(path, {"a": "b"}, mount_point=os.environ["VAULT_MOUNT"])
"""
# What a stranger to this project finds of the one who launched it, in all that the service holds.
SEARCH = """
    import os, sys
    print(*sorted(os.environ.items()), open("/run/etabli/token").read(), sep="\\n")
"""


@dataclass
class Scene:
    """Alice's shared project, and Bob, who launched a notebook there and has it open."""

    lab: labs.Lab
    alice: people.Person
    bob: people.Person
    notebook: str
    origin: str

    def websocket(self, person: people.Person) -> tuple[int, socket.socket]:
        """A websocket to a kernel's channels, as that person's open page holds one: the status, and the connection."""
        kernel = self.alice.ask("POST", f"{self.origin}/api/kernels", json={}).json()["id"]
        host = f"{httpx.URL(self.origin).host}:{self.lab.port}"
        cookie = "; ".join(f"{name}={value}" for name, value in person.jars.get(host, {}).items())
        connection = socket.create_connection(("127.0.0.1", self.lab.port), timeout=20)
        lines = (
            f"GET /api/kernels/{kernel}/channels HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nCookie: {cookie}"
        )
        connection.sendall(f"{lines}\r\n{HANDSHAKE}\r\n\r\n".encode())
        return int(connection.recv(4096).split()[1]), connection


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with labs.lab() as lab:
        lab.up()
        alice = people.joined(lab, lab.link, "Alice")
        lab.etabli("projects", "create", "Prices", "--slug", "prices")
        bob = people.joined(lab, lab.etabli("projects", "invite", "prices").strip(), "Bob Intime")
        notebook = lab.etabli("--as", "bob-intime", "launch", "jupyter-python", "--project", "prices").strip()
        lab.until_state(notebook, "ready", seconds=labs.BUILD_SECONDS)
        bob.open(notebook)
        yield Scene(lab, alice, bob, notebook, alice.open(notebook))


def test_a_service_that_bob_launched_holds_nothing_of_his(scene: Scene) -> None:
    found = people.inside(scene.lab, scene.notebook, SEARCH)
    assert "prices" in found
    assert "bob" not in found.lower()
    assert "intime" not in found.lower()


def test_bob_removed_is_out_at_once_and_the_service_works_on(scene: Scene) -> None:
    lab = scene.lab
    people.inside(lab, scene.notebook, WORK, "before")
    (his, line), (hers, other) = scene.websocket(scene.bob), scene.websocket(scene.alice)
    assert (his, hers) == (101, 101)
    pod = people.init(lab, scene.notebook)
    lab.etabli("projects", "remove", "prices", "bob-intime")
    for connection in (line, other):
        with suppress(ConnectionError):
            while connection.recv(65536):
                pass  # What a kernel still had to say; TimeoutError after 20 s of silence.
        connection.close()
    refused, connection = scene.websocket(scene.bob)
    connection.close()
    assert refused in (401, 403, 404)
    assert scene.bob.ask("GET", f"{scene.origin}/api/kernels").status_code in (303, 401, 404)
    assert scene.bob.ask("GET", f"{lab.origin}/projects/prices").status_code == 404
    again, connection = scene.websocket(scene.alice)
    connection.close()
    assert again == 101
    assert people.init(lab, scene.notebook) == pod
    people.inside(lab, scene.notebook, WORK, "after")


def test_a_closed_project_runs_nothing_and_an_opened_one_goes_on(scene: Scene) -> None:
    lab = scene.lab
    lab.etabli("projects", "archive", "prices")
    lab.until_state(scene.notebook, "stopped")
    refused = lab.etabli("launch", "jupyter-python", "--project", "prices", check=False)
    assert "this project is archived" in refused
    assert scene.alice.ask("GET", f"{lab.origin}/services/{scene.notebook}").status_code == 200
    lab.etabli("projects", "reopen", "prices")
    lab.etabli("resume", scene.notebook)
    lab.until_state(scene.notebook, "ready", seconds=120)
    people.inside(lab, scene.notebook, WORK, "reopened")
