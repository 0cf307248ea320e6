"""Real sandboxes on this machine, as an ordinary user, each test with a lab of its own; whatever it started is ended."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.kernel.clock import SystemClock
from etabli.sandbox import models
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings

DEADLINE_S = 20.0  # For something real to happen on a busy machine.


async def until(true: Callable[[], bool]) -> None:
    """Wait until something that another process does is done."""
    async with asyncio.timeout(DEADLINE_S):
        while not true():  # noqa: ASYNC110 - What other processes do sets no event of ours.
            await asyncio.sleep(0.02)


@dataclass
class Lab:
    """A lab's sandboxes, with short words for what tests do."""

    base: Path
    sandboxes: Sandboxes
    folders: list[Path] = field(default_factory=list)
    grounds: dict[str, models.Ground] = field(default_factory=dict)

    async def ground(self, name: str = "project") -> models.Ground:
        self.grounds[name] = await self.sandboxes.ensure_project(name)
        return self.grounds[name]

    async def pod(self, number: int, *, project: str = "project") -> models.PodNetwork:
        ground = self.grounds.get(project) or await self.ground(project)
        return await self.sandboxes.ensure_pod(ground, f"pod{number}", address=ground.pod_address(number))

    def folder(self, name: str) -> Path:
        folder = self.base / "sandboxes" / name
        self.folders.append(folder)
        return folder

    def log(self, name: str) -> str:
        path = self.base / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def start(
        self, name: str, script: str, *, on: models.PodNetwork | models.Ground, spec: models.SandboxSpec | None = None
    ) -> Path:
        """Start `script`, for `sh`, or for the machine's Python where it begins with `import`."""
        argv = ("python3", "-c", script) if script.startswith("import ") else ("sh", "-c", script)
        chosen = replace(spec or models.SandboxSpec(id=name, argv=()), argv=argv)
        folder = self.folder(name)
        await self.sandboxes.start(chosen, on=on, folder=folder, log=self.base / f"{name}.log")
        return folder

    async def output(self, name: str, script: str, *, on: models.PodNetwork | models.Ground) -> str:
        """What a script says, from its start to its end."""
        return await self.said(await self.start(name, script, on=on))

    async def said(self, folder: Path) -> str:
        async with asyncio.timeout(DEADLINE_S):
            await self.sandboxes.wait(folder)
        return self.log(folder.name)

    async def until_said(self, name: str, text: str) -> None:
        """Wait until a sandbox has written `text`."""
        await until(lambda: text in self.log(name))

    async def again(self) -> Sandboxes:
        """Another process' view of the same lab: nothing but what is on disk."""
        return Sandboxes(
            state=self.base / "state",
            run=self.base / "run",
            settings=SandboxSettings(shared_memory_bytes=64 << 20),
            clock=SystemClock(),
        )


@pytest.fixture
def base() -> Iterator[Path]:
    """A short path: sockets lie under it."""
    folder = Path(tempfile.mkdtemp(prefix="sb-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def lab(base: Path) -> AsyncIterator[Lab]:
    if os.getuid() == 0:
        pytest.skip("sandboxes are made by ordinary users: run `tools/as-user`")
    sandboxes = Sandboxes(
        state=base / "state",
        run=base / "run",
        settings=SandboxSettings(shared_memory_bytes=64 << 20),
        clock=SystemClock(),
    )
    made = Lab(base, sandboxes)
    yield made
    for folder in made.folders:
        await sandboxes.stop(folder, grace=timedelta())
    for ground in made.grounds.values():
        if ground.gateway:
            await sandboxes.remove_tree(ground, base / "given")
        await sandboxes.remove_ground(ground)
    await sandboxes.close()
