"""A machine that lacks something still has its walls, and says what it lacks."""

import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
from tests.sandbox.conftest import DEADLINE_S, Lab

from etabli.kernel import errors
from etabli.kernel.clock import SystemClock
from etabli.sandbox import models
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings

pytestmark = pytest.mark.binaries

NOWHERE = Path("/nowhere/tool")


@pytest.fixture
async def poor(lab: Lab) -> AsyncIterator[Lab]:
    """A lab on a machine without subordinate ids, pasta and nft."""
    settings = SandboxSettings(subordinate_ids=False, pasta=NOWHERE, nft=NOWHERE, shared_memory_bytes=64 << 20)
    sandboxes = Sandboxes(state=lab.base / "poor", run=lab.base / "run", settings=settings, clock=SystemClock())
    made = Lab(lab.base, sandboxes)
    yield made
    for folder in made.folders:
        await sandboxes.stop(folder, grace=timedelta())
    for ground in made.grounds.values():
        await sandboxes.remove_ground(ground)
    await sandboxes.close()


async def test_without_subordinate_ids_projects_have_the_labs_uid_and_all_else_works(poor: Lab) -> None:
    pod, tree, home = await poor.pod(2), poor.base / "tree", poor.base / "home"
    for folder in (tree, home):
        folder.mkdir(mode=0o700)
    assert pod.ground.uid == os.getuid()
    await poor.sandboxes.take(pod.ground, tree, shared=True)
    await poor.sandboxes.give(pod.ground, home)
    mounts = (models.Mount("/home/etabli", home),)
    spec = models.SandboxSpec("poor", (), root=models.Root(environment=tree), mounts=mounts)
    script = "id -u; echo x > /opt/environment/x && echo y > ~/y && echo written; exec sleep 60"
    folder = await poor.start("poor", script, on=pod, spec=spec)
    await poor.until_said("poor", "written")
    seconds = timedelta(seconds=DEADLINE_S)
    found = await poor.sandboxes.exec(folder, ["cat", "/opt/environment/x"], env={"PATH": "/usr/bin"}, timeout=seconds)
    assert (found.exit_code, found.output) == (0, b"x\n")
    await poor.sandboxes.stop(folder, grace=timedelta())
    assert list(tree.iterdir()) == []
    assert (home / "y").read_text() == "y\n"
    await poor.sandboxes.remove_tree(pod.ground, home)
    assert not home.exists()


async def test_without_nft_a_service_is_refused_with_the_package_to_install(poor: Lab) -> None:
    ground = await poor.ground()
    with pytest.raises(errors.Unavailable) as caught:
        await poor.sandboxes.set_services(ground, [models.VirtualService(ground.service_address(1), 80)])
    assert "nftables" in str(caught.value.hint)


async def test_without_pasta_the_network_is_closed_and_pods_still_talk(poor: Lab) -> None:
    first = await poor.pod(2)
    assert not first.ground.internet
    assert first.ground.nameservers == ()
    script = "import socket\ns = socket.create_server(('0.0.0.0', 8888)); print('up', flush=True); s.accept()[0].sendall(b'hello')"
    await poor.start("server", script, on=first)
    await poor.until_said("server", "up")
    asking = f"import socket; print(socket.create_connection(('{first.address}', 8888), 5).recv(10))"
    assert "hello" in await poor.output("client", asking, on=await poor.pod(3))
