"""Labs in processes of their own, and builds that wait until a test lets them go on."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType

from etabli.environments.models import Tree

# It says that it is there, then waits until the test opens the gate (a name in the folder that only its build sees).
WAITS = "#!/bin/sh\necho at the gate\nwhile [ ! -e $VIRTUAL_ENV/../gate ] && [ ! -e /run/etabli-work/gate ]; do sleep 0.05; done\n"


async def go_on(root: Path, building: "asyncio.Task[Tree]") -> Tree:
    """Let every build that waits go on, those that come to wait later too, until `building` is done."""
    while not building.done():
        for build in (root / "pool/building").iterdir():
            with suppress(FileNotFoundError):
                (build / "work/gate").touch()
        await asyncio.sleep(0.02)
    return building.result()


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what other processes do; machines that test are busy, so the deadline is far."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


@asynccontextmanager
async def lab_process(
    root: Path,
    folder: Path,
    wheels: Path,
    *images: str,
    wall: tuple[str, ...] = (),
    env: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Another process's lab (lab_process.py); it ends with the block, by itself or killed."""
    command = (
        *wall,
        sys.executable,
        "-m",
        "tests.environments.lab_process",
        str(root),
        str(folder),
        str(wheels),
        *images,
    )
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **env, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        yield process
        if process.returncode is None:
            await asyncio.wait_for(process.wait(), 60)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
