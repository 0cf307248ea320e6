"""Pods of one project see each other by address and by Service; nobody else does."""

import asyncio
import os
import signal
import socket
from datetime import timedelta
from pathlib import Path

import pytest
from tests.sandbox.conftest import Lab

from etabli.kernel import processes
from etabli.kernel.clock import SystemClock
from etabli.sandbox import models, supervision
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings

pytestmark = pytest.mark.binaries

ANSWERING = """import socket, sys
listener = socket.create_server(("0.0.0.0", 8888), reuse_port=True)
print("listening", flush=True)
while True:
    peer, address = listener.accept()
    peer.sendall(b"I am NAME")
    peer.close()
"""


def answering(name: str) -> str:
    return ANSWERING.replace("NAME", name)


def asking(address: str, port: int = 8888) -> str:
    return f"""import socket
try:
    with socket.create_connection(("{address}", {port}), 3) as peer: print(peer.recv(100).decode())
except OSError as error: print(f"refused: {{error!r}}")
"""


async def two_pods(lab: Lab) -> tuple[models.PodNetwork, models.PodNetwork]:
    first, second = await lab.pod(2), await lab.pod(3)
    await lab.start("first", answering("first"), on=first)
    await lab.start("second", answering("second"), on=second)
    await lab.until_said("first", "listening")
    await lab.until_said("second", "listening")
    return first, second


async def test_two_pods_have_the_same_port_each_with_its_own_loopback(lab: Lab) -> None:
    first, second = await two_pods(lab)
    assert "I am first" in await lab.output("ask1", asking(first.address), on=second)
    assert "I am second" in await lab.output("ask2", asking(second.address), on=first)
    assert "I am second" in await lab.output("ask3", asking("127.0.0.1"), on=second)


async def test_who_is_given_an_address_again_is_reached_at_once(lab: Lab) -> None:
    first, second = await two_pods(lab)
    assert "I am second" in await lab.output("before", asking(second.address), on=first)
    await lab.sandboxes.stop(lab.base / "sandboxes/second", grace=timedelta())
    await lab.sandboxes.remove_pod(second.ground, second.id)
    third = await lab.sandboxes.ensure_pod(second.ground, "another", address=second.address)
    await lab.start("third", answering("third"), on=third)
    await lab.until_said("third", "listening")
    assert "I am third" in await lab.output("after", asking(third.address), on=first)


async def test_under_localhost_a_pods_loopback_reaches_the_gateway(lab: Lab, base: Path) -> None:
    sandboxes = Sandboxes(
        state=base / "state2",
        run=base / "r2",
        settings=SandboxSettings(internet=False),
        clock=SystemClock(),
        loopback_port=8700,
    )
    ground = await sandboxes.ensure_project("door")
    pod = await sandboxes.ensure_pod(ground, "pod", address=ground.pod_address(2))
    async with await asyncio.start_unix_server(_greet, path=base / "front.sock"):
        await sandboxes.set_relays(ground, [models.OutwardRelay(ground.gateway, 8700, base / "front.sock")])
        folder = lab.folder("loop")
        script = asking("127.0.0.1", 8700)
        spec = models.SandboxSpec(id="loop", argv=("python3", "-c", script))
        await sandboxes.run(spec, on=pod, folder=folder, log=base / "loop.log")
        assert "welcome" in lab.log("loop")
    await sandboxes.remove_pod(ground, "pod")
    await sandboxes.remove_ground(ground)
    await sandboxes.close()


async def _greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"welcome")
    await writer.drain()
    writer.close()


async def test_a_service_is_reached_from_another_pod_and_from_the_pod_behind_it(lab: Lab) -> None:
    first, second = await two_pods(lab)
    address = first.ground.service_address(7)
    service = models.VirtualService(address, 80, endpoints=((first.address, 8888),))
    await lab.sandboxes.set_services(first.ground, [service])
    assert "I am first" in await lab.output("other", asking(address, 80), on=second)
    assert "I am first" in await lab.output("self", asking(address, 80), on=first)


async def test_a_service_of_two_pods_reaches_both_and_one_without_pods_refuses(lab: Lab) -> None:
    first, second = await two_pods(lab)
    ground = first.ground
    both = models.VirtualService(ground.service_address(7), 80, ((first.address, 8888), (second.address, 8888)))
    nobody = models.VirtualService(ground.service_address(8), 80)
    await lab.sandboxes.set_services(ground, [both, nobody])
    script = asking(both.address, 80)
    heard = [await lab.output(f"ask{number}", script, on=second) for number in range(12)]
    assert {"I am first", "I am second"} <= {line.strip() for line in heard}
    assert "ConnectionRefused" in await lab.output("nobody", asking(nobody.address, 80), on=second)


async def test_another_project_the_machine_and_its_loopback_are_out_of_reach(lab: Lab) -> None:
    first, _second = await two_pods(lab)
    stranger = await lab.pod(2, project="other")
    with socket.create_server(("0.0.0.0", 0)) as machine:
        port = machine.getsockname()[1]
        asker = await lab.pod(4, project="other")
        for number, address in enumerate((first.address, "127.0.0.1", asker.ground.gateway, _own_address())):
            target = port if number else 8888
            assert "refused" in await lab.output(f"ask{number}", asking(address, target), on=asker), address
        # The control: the machine itself is answered.
        socket.create_connection(("127.0.0.1", port), 3).close()
    assert stranger.ground.uid != first.ground.uid or os.getuid() == first.ground.uid


async def test_containers_of_one_pod_share_loopback_and_shared_memory(lab: Lab) -> None:
    pod = await lab.pod(2)
    await lab.start("one", "echo shared > /dev/shm/x; echo written; exec sleep 60", on=pod)
    await lab.until_said("one", "written")
    assert "shared" in await lab.output("two", "cat /dev/shm/x", on=pod)
    assert "No such file" in await lab.output("three", "cat /dev/shm/x", on=await lab.pod(3))


async def test_names_are_seen_as_soon_as_they_are_written(lab: Lab) -> None:
    pod, names = await lab.pod(2), lab.base / "names"
    lab.sandboxes.write_hosts(names, {"db": "10.1.1.1"})
    mount = models.Mount(models.HOSTS_FOLDER, names, read_only=True)
    script = "getent hosts db; while ! getent hosts later; do sleep 0.05; done"
    folder = await lab.start("pod", script, on=pod, spec=models.SandboxSpec("pod", (), mounts=(mount,)))
    await lab.until_said("pod", "10.1.1.1")
    lab.sandboxes.write_hosts(names, {"later": "10.2.2.2"})
    assert "10.2.2.2" in await lab.said(folder)


async def test_a_pods_network_can_be_made_twice_and_removed_twice(lab: Lab) -> None:
    pod = await lab.pod(2)
    assert await lab.pod(2) == pod
    await lab.sandboxes.remove_pod(pod.ground, pod.id)
    await lab.sandboxes.remove_pod(pod.ground, pod.id)
    assert "fine" in await lab.output("again", "echo fine", on=await lab.pod(2))


async def test_a_killed_holder_is_replaced_and_running_pods_keep_talking(lab: Lab) -> None:
    first, second = await two_pods(lab)
    for path in (
        "holder.json",
        "pasta.json",
    ):  # With pasta gone too, nothing keeps the router's network: it is made anew.
        await kill(first.ground, path)
    healed = await lab.ground()
    assert healed.holder != first.ground.holder
    third = await lab.pod(4)
    assert "I am first" in await lab.output("ask", asking(first.address), on=third)
    joined = models.PodNetwork(second.id, healed, second.address)
    assert "I am second" in await lab.output("joined", asking("127.0.0.1"), on=joined)


async def test_a_killed_holder_whose_network_lives_on_is_replaced_in_it(lab: Lab) -> None:
    first, _second = await two_pods(lab)
    with_relay = models.InwardRelay(lab.base / "in.sock", first.address, 8888)
    await lab.sandboxes.set_relays(first.ground, [with_relay])
    await kill(first.ground, "holder.json")
    await lab.ground()
    reader, writer = await asyncio.open_unix_connection(with_relay.socket)
    assert await reader.read() == b"I am first"
    writer.close()
    assert "I am first" in await lab.output("ask", asking(first.address), on=await lab.pod(4))


async def test_a_ground_whose_maker_was_killed_before_its_rules_is_made_whole(lab: Lab) -> None:
    first, _second = await two_pods(lab)
    service = models.VirtualService(first.ground.service_address(7), 80, endpoints=((first.address, 8888),))
    await lab.sandboxes.set_services(first.ground, [service])
    (first.ground.folder / "whole.json").unlink()
    other = await lab.again()
    try:
        assert await other.ensure_project("project") == first.ground
    finally:
        await other.close()
    assert "I am first" in await lab.output("ask", asking(service.address, 80), on=await lab.pod(4))


async def kill(ground: models.Ground, record: str) -> None:
    ref = processes.load(ground.folder / record)
    if ref is not None and processes.send_signal(ref, signal.SIGKILL):
        assert await supervision.wait(ref, within=timedelta(seconds=5))


def _own_address() -> str:
    """The machine's address towards others; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])
