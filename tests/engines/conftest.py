"""Engines to test: the fake, and `process` on real sandboxes of this machine."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest

from etabli.engines import contract
from etabli.engines.fake import FakeEngine
from etabli.engines.process import ports
from etabli.engines.process.engine import ProcessEngine
from etabli.engines.process.settings import ProcessSettings
from etabli.kernel import errors
from etabli.kernel.clock import Clock, SystemClock
from etabli.kernel.settings import Layout
from etabli.sandbox import models as sandbox
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings
from tests.engines import charts

PATIENCE = 20.0  # Seconds: a limit for what hangs, never a measure.
TOTAL = contract.Resources(cpu=8, memory_bytes=16 << 30)


class Bench(Protocol):
    """An engine on a bench: what its tests need beyond the contract."""

    @property
    def engine(self) -> contract.Engine: ...

    async def reborn(self) -> contract.Engine:
        """The engine after a restart of the portal."""
        ...

    async def write(self, service_id: str, text: str) -> None:
        """See to it that the service's first container writes a line."""
        ...


class FakeBench:
    def __init__(self) -> None:
        self.engine = FakeEngine(total=TOTAL)

    async def reborn(self) -> contract.Engine:
        self.engine = FakeEngine(self.engine.world, total=TOTAL)
        return self.engine

    async def write(self, service_id: str, text: str) -> None:
        await self.engine.write(service_id, text)


class HostTrees:
    """One environment: this machine's own system."""

    async def root(self, digest: str) -> sandbox.Root:
        if digest != charts.DIGEST:
            raise errors.NotFound(f"no environment has the digest `{digest}`")
        return sandbox.Root()


class ProcessBench:
    """The process engine over folders of its own."""

    def __init__(
        self,
        layout: Layout,
        *,
        clock: Clock | None = None,
        door: ports.Door | None = None,
        nft: Path | None = None,
        linger_seconds: float = 0,
    ) -> None:
        self.layout = layout
        self.linger_seconds = linger_seconds
        self.nft = nft
        self.clock = clock or SystemClock()
        self.door = door or ports.Door()
        self.engine, self.sandboxes = self._make()

    async def reborn(self) -> ProcessEngine:
        """The portal is gone without a word, and another one starts."""
        await self.leave()
        self.engine, self.sandboxes = self._make()
        await self.engine.start()
        return self.engine

    async def write(self, service_id: str, text: str) -> None:
        folder = next((self.layout.engine / "services" / service_id / "logs").iterdir())
        with next(folder.iterdir()).open("a") as file:
            file.write(text + "\n")

    async def leave(self) -> None:
        await self.engine.close()
        await self.sandboxes.close()

    def _make(self) -> tuple[ProcessEngine, Sandboxes]:
        sandboxes = Sandboxes(
            state=self.layout.data / "sandbox",
            run=self.layout.run / "sandbox",
            settings=SandboxSettings(internet=False, nft=self.nft),
            clock=self.clock,
        )
        settings = ProcessSettings(
            cpu=TOTAL.cpu, memory_bytes=TOTAL.memory_bytes, heal_seconds=1, linger_seconds=self.linger_seconds
        )
        engine = ProcessEngine(
            layout=self.layout,
            sandboxes=sandboxes,
            trees=HostTrees(),
            clock=self.clock,
            settings=settings,
            door=self.door,
        )
        return engine, sandboxes


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A lab's folders under a short path, as sockets need."""
    root = Path(tempfile.mkdtemp(prefix="e-"))
    made = Layout(data=root / "data", run=root / "run")
    made.make()
    yield made
    shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
async def process_bench(layout: Layout) -> AsyncIterator[ProcessBench]:
    """The process engine, started; all that runs is ended afterwards."""
    bench = ProcessBench(layout)
    await bench.engine.start()
    try:
        yield bench
        await clear(bench)
    finally:
        await bench.leave()


@pytest.fixture(params=["fake", pytest.param("process", marks=pytest.mark.binaries)])
async def bench(request: pytest.FixtureRequest, layout: Layout) -> AsyncIterator[Bench]:
    """Each engine in turn."""
    if request.param == "fake":
        yield FakeBench()
        return
    made = ProcessBench(layout)
    await made.engine.start()
    try:
        yield made
        await clear(made)
    finally:
        await made.leave()


def marked(layout: Layout) -> str:
    """A word for the command line of a service, by which it is seen from outside whoever it belongs to."""
    return f"lives-in-{layout.data.parent.name}"


def living(mark: str) -> list[int]:
    """Python processes with a word in their command line, inside sandboxes or not."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            if mark in (process / "cmdline").read_text() and (process / "comm").read_text().startswith("python"):
                found.append(int(process.name))
        except (OSError, ValueError):
            continue  # It ended meanwhile, or is no process.
    return found


async def clear(bench: ProcessBench) -> None:
    """Destroy every service."""
    services = bench.layout.engine / "services"
    for folder in sorted(services.iterdir()) if services.is_dir() else []:
        handle = contract.Handle("process", 1, {"service": folder.name})
        await bench.engine.stop(handle, grace=timedelta())
        await bench.engine.destroy(handle)
        await until(bench.engine, handle, lambda status: status.phase is contract.Phase.GONE)


async def until(
    engine: contract.Engine, handle: contract.Handle, wanted: Callable[[contract.Status], bool]
) -> contract.Status:
    """Follow a service until its status is as wanted, woken by the engine's own stream. Fails after PATIENCE."""
    changes = engine.watch()
    status = await engine.status(handle)
    try:
        async with asyncio.timeout(PATIENCE):
            while not wanted(status):
                await anext(changes)
                status = await engine.status(handle)
    except TimeoutError:
        pytest.fail(f"the service stays {status}")
    return status


async def reach(engine: contract.Engine, handle: contract.Handle, phase: contract.Phase) -> contract.Status:
    """Follow a service until it is in a phase."""
    return await until(engine, handle, lambda status: status.phase is phase)
