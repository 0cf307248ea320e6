"""The controller dies at any moment, and the next one finds what it left: one pod, not two, not none."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from etabli.kernel import processes
from etabli.kernel.settings import Layout
from tests.engines.conftest import PATIENCE, living, marked

pytestmark = pytest.mark.binaries

SERVICE = "srvaaaaaaa"
ROUNDS = 6
LONGEST_START = 0.5  # Seconds in which a start is over, most often.


class Portal:
    """A portal in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, verb: str) -> dict[str, object]:
        await self.send(verb)
        return await self.read()

    async def send(self, verb: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({verb: SERVICE}).encode() + b"\n")
        await self._process.stdin.drain()

    async def read(self) -> dict[str, object]:
        assert self._process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            answer: dict[str, object] = json.loads(await self._process.stdout.readline())
        return answer

    async def reach(self, phase: str) -> dict[str, object]:
        """Ask until the service is in a phase."""
        async with asyncio.timeout(PATIENCE):
            while (status := await self.ask("status"))["phase"] != phase:  # noqa: ASYNC110 - It is another process.
                await asyncio.sleep(0.02)
        return status


@asynccontextmanager
async def portal(layout: Layout) -> AsyncIterator[Portal]:
    """A portal that is killed at the end, as by `kill -9`."""
    errors = (layout.data.parent / "portal.log").open("ab")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engines.process.portal", str(layout.data.parent)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=errors,
    )
    errors.close()
    try:
        made = Portal(process)
        await made.read()
        yield made
    finally:
        process.kill()
        await process.wait()
        process._transport.close()  # type: ignore[attr-defined] # asyncio offers no other way to close its pipes.


async def test_a_portal_killed_while_it_starts_a_service_leaves_one_service(layout: Layout) -> None:
    chance = random.Random(7)
    for _ in range(ROUNDS):
        async with portal(layout) as first:
            await first.send("apply")
            await asyncio.sleep(chance.uniform(0, LONGEST_START))
        async with portal(layout) as second:
            await second.ask("apply")
            await second.reach("ready")
            assert len(_supervisors(layout)) == 1
            assert len(living(marked(layout))) == 1
            await second.ask("destroy")
            await second.reach("gone")
        assert living(marked(layout)) == []


async def test_a_killed_portal_finds_its_services_with_the_same_process(layout: Layout) -> None:
    async with portal(layout) as first:
        await first.ask("apply")
        before = await first.reach("ready")
        pid = _supervisors(layout)
    for _ in range(2):
        async with portal(layout) as another:
            after = await another.reach("ready")
            assert after["starts"] == before["starts"]
            assert _supervisors(layout) == pid
    async with portal(layout) as last:
        await last.ask("destroy")
        await last.reach("gone")


async def test_a_service_destroyed_half_way_finishes_being_destroyed(layout: Layout) -> None:
    chance = random.Random(11)
    for _ in range(ROUNDS // 2):
        async with portal(layout) as first:
            await first.ask("apply")
            await first.reach("ready")
            await first.send("destroy")
            await asyncio.sleep(chance.uniform(0, 0.2))
        async with portal(layout) as second:
            status = await second.ask("status")
            if status["phase"] not in ("gone", "stopping", "stopped"):
                await second.ask("destroy")  # It died before it stored the wish.
            elif status["phase"] == "stopped":
                await second.ask("destroy")
            await second.reach("gone")
        assert list((layout.engine / "services").iterdir()) == []
        assert living(marked(layout)) == []


def _supervisors(layout: Layout) -> list[processes.ProcessRef]:
    """Processes recorded in sandboxes' folders that live."""
    records = (layout.engine / "services" / SERVICE / "pods").glob("*/run/*/process.json")
    found = [processes.load(path) for path in records]
    return [one for one in found if one is not None and processes.is_alive(one)]
