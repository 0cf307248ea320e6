"""Relays carry bytes both ways between sockets of the machine and a ground's network; pods do not depend on them."""

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest
from tests.sandbox.conftest import Lab

from etabli.kernel import errors, processes
from etabli.sandbox import models, supervision
from etabli.sandbox.grounds import AGENT_FILE
from etabli.sandbox.models import CREDENTIALS_ADDRESS

pytestmark = pytest.mark.binaries

# Answers, to whoever has said all, how much was said and its digest.
DIGESTING = """import hashlib, socket
listener = socket.create_server(("0.0.0.0", 9000), backlog=200)
print("listening", flush=True)
while True:
    peer, _ = listener.accept()
    digest, count = hashlib.sha256(), 0
    while data := peer.recv(65536): digest.update(data); count += len(data)
    peer.sendall(f"{count} {digest.hexdigest()}".encode())
    peer.close()
"""


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[list[bytes]]:
    """A part of the lab: keeps what it heard first, answers `OK`."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        writer.write(b"OK")
        writer.close()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield heard
    finally:
        server.close()


async def digest_of(path: Path, sent: bytes) -> str:
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(sent)
    await writer.drain()
    writer.write_eof()
    answer = (await reader.read()).decode()
    writer.close()
    return answer


async def digesting(lab: Lab) -> tuple[models.PodNetwork, models.InwardRelay]:
    pod = await lab.pod(2)
    await lab.start("digest", DIGESTING, on=pod)
    await lab.until_said("digest", "listening")
    return pod, models.InwardRelay(lab.base / "up.sock", pod.address, 9000)


async def test_much_is_carried_inward_and_an_end_in_one_way_leaves_the_other_open(lab: Lab) -> None:
    pod, relay = await digesting(lab)
    await lab.sandboxes.set_relays(pod.ground, [relay])
    sent = b"0123456789abcdef" * (1 << 19)
    assert await digest_of(relay.socket, sent) == f"{len(sent)} {hashlib.sha256(sent).hexdigest()}"


async def test_many_connections_at_once(lab: Lab) -> None:
    pod, relay = await digesting(lab)
    await lab.sandboxes.set_relays(pod.ground, [relay])
    answers = await asyncio.gather(*(digest_of(relay.socket, str(number).encode() * 1000) for number in range(100)))
    assert [answer.split()[1] for answer in answers] == [
        hashlib.sha256(str(number).encode() * 1000).hexdigest() for number in range(100)
    ]


async def test_a_pod_reaches_the_lab_which_is_told_who_calls(lab: Lab) -> None:
    pod = await lab.pod(2)
    sockets = [lab.base / "front.sock", lab.base / "credentials.sock"]
    relays = [
        models.OutwardRelay(pod.ground.gateway, 80, sockets[0]),
        models.OutwardRelay(CREDENTIALS_ADDRESS, 80, sockets[1], preface="project abc {peer}\n"),
    ]
    await lab.sandboxes.set_relays(pod.ground, relays)
    async with listening(sockets[0]) as front, listening(sockets[1]) as credentials:
        for number, address in enumerate((pod.ground.gateway, CREDENTIALS_ADDRESS)):
            script = f"""import socket
with socket.create_connection(("{address}", 80), 5) as s:
    s.sendall(b"hello"); s.shutdown(socket.SHUT_WR); print(s.recv(10).decode())
"""
            assert "OK" in await lab.output(f"call{number}", script, on=pod)
    assert front == [b"hello"]
    assert credentials == [f"project abc {pod.address}\nhello".encode()]


async def test_relays_are_replaced_and_what_nobody_relays_any_more_is_gone(lab: Lab) -> None:
    pod, relay = await digesting(lab)
    other = models.InwardRelay(lab.base / "other.sock", pod.address, 9000)
    await lab.sandboxes.set_relays(pod.ground, [relay])
    agent = processes.load(pod.ground.folder / AGENT_FILE)
    await lab.sandboxes.set_relays(pod.ground, [other])
    assert not relay.socket.exists()
    assert (await digest_of(other.socket, b"")).startswith("0 ")
    assert processes.load(pod.ground.folder / AGENT_FILE) == agent


async def test_a_relay_that_cannot_be_made_is_refused_by_name(lab: Lab) -> None:
    ground = await lab.ground()
    with pytest.raises(errors.Refused, match=r"front\.sock"):
        await lab.sandboxes.set_relays(ground, [models.OutwardRelay("203.0.113.9", 80, lab.base / "front.sock")])


async def test_a_caller_of_a_service_that_does_not_listen_is_refused_at_once(lab: Lab) -> None:
    pod = await lab.pod(2)
    relay = models.InwardRelay(lab.base / "up.sock", pod.address, 9000)
    await lab.sandboxes.start(
        models.SandboxSpec("idle", ("sleep", "60")), on=pod, folder=lab.folder("idle"), log=lab.base / "idle.log"
    )
    await lab.sandboxes.set_relays(pod.ground, [relay])
    with pytest.raises((ConnectionError, AssertionError)):
        assert await digest_of(relay.socket, b"x")


async def test_a_killed_agent_comes_back_and_pods_never_noticed(lab: Lab) -> None:
    pod, relay = await digesting(lab)
    await lab.sandboxes.set_relays(pod.ground, [relay])
    agent = processes.load(pod.ground.folder / AGENT_FILE)
    assert agent is not None
    running = supervision.read(lab.base / "sandboxes" / "digest").supervisor
    processes.send_signal(agent, signal.SIGKILL)
    assert await supervision.wait(agent, within=timedelta(seconds=5))
    await lab.ground()
    assert (await digest_of(relay.socket, b"")).startswith("0 ")
    assert supervision.read(lab.base / "sandboxes" / "digest").supervisor == running


async def test_an_enclave_has_a_loopback_and_nothing_else_but_its_relays(lab: Lab) -> None:
    enclave = await lab.sandboxes.ensure_enclave("components")
    lab.grounds["components"] = enclave
    record = lab.base / "component.json"
    script = """import os, socket
listener = socket.create_server(("127.0.0.1", 9000))
print(os.getuid(), socket.if_nameindex(), flush=True)
while True:
    peer, _ = listener.accept(); peer.sendall(b"component"); peer.close()
"""
    ref = await lab.sandboxes.start_component(
        ["/usr/bin/python3", "-c", script], on=enclave, env={}, cwd=Path("/"), log=lab.base / "c.log", record=record
    )
    await lab.until_said("c", "[(")
    assert lab.log("c").split()[1:] == ["[(1,", "'lo')]"]
    assert processes.load(record) == ref
    relay = models.InwardRelay(lab.base / "c.sock", "127.0.0.1", 9000)
    await lab.sandboxes.set_relays(enclave, [relay])
    reader, writer = await asyncio.open_unix_connection(relay.socket)
    assert await reader.read() == b"component"
    writer.close()
    processes.send_signal(ref, signal.SIGKILL)


async def test_an_agent_is_light(lab: Lab) -> None:
    pod, relay = await digesting(lab)
    await lab.sandboxes.set_relays(pod.ground, [relay])
    agent = processes.load(pod.ground.folder / AGENT_FILE)
    assert agent is not None
    assert pss_kib(agent.pid) < 25 * 1024


def pss_kib(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


async def test_hanging_up_ends_what_is_open_and_lets_others_in(lab: Lab) -> None:
    pod, relay = await digesting(lab)
    await lab.sandboxes.set_relays(pod.ground, [relay])
    reader, writer = await asyncio.open_unix_connection(relay.socket)
    writer.write(b"a websocket says a word, and waits")
    await writer.drain()
    await lab.sandboxes.hang_up("project")
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 10) == b""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    assert (await digest_of(relay.socket, b"again")).startswith("5 ")


async def test_hanging_up_where_nothing_is_open_is_well(lab: Lab) -> None:
    await lab.sandboxes.hang_up("nowhere")
    await lab.ground()
    await lab.sandboxes.hang_up("project")
