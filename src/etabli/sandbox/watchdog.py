"""Memory limits where no cgroup holds them: looking twice a second, and killing what grew beyond.

Best effort: between two looks a sandbox may grow beyond its limit, and nobody looks while the lab is stopped. `doctor` says so.
"""

import asyncio
import contextlib
from datetime import timedelta
from pathlib import Path

import structlog

from etabli.kernel.clock import Clock
from etabli.sandbox import limits, supervision

log = structlog.get_logger()

KILLED_FILE = "out-of-memory"  # In a sandbox's folder: the watchdog ended it.
_INTERVAL = timedelta(seconds=0.5)


class Watchdog:
    """Looks at the sandboxes that it was told of."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._limits: dict[Path, int] = {}
        self._task: asyncio.Task[None] | None = None

    def watch(self, folder: Path, memory_bytes: int) -> None:
        """Look at the sandbox of `folder` from now on, until it ended."""
        (folder / KILLED_FILE).unlink(missing_ok=True)
        self._limits[folder] = memory_bytes
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())

    def forget(self, folder: Path) -> None:
        """Look at it no more."""
        self._limits.pop(folder, None)

    async def close(self) -> None:
        """End the looking."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _look(self) -> None:
        while self._limits:
            for folder, limit in tuple(self._limits.items()):
                await self._look_at(folder, limit)
            await self._clock.sleep(_INTERVAL)

    async def _look_at(self, folder: Path, limit: int) -> None:
        record = supervision.read(folder)
        if not record.alive:
            self._limits.pop(folder, None)
            return
        if record.init is None:
            return
        used = await asyncio.to_thread(limits.consumption_under, record.init)
        if used.memory_bytes > limit:
            log.warning("a sandbox outgrew its memory", folder=folder.name, used=used.memory_bytes, limit=limit)
            (folder / KILLED_FILE).touch()
            await supervision.end(folder, grace=timedelta())


def killed(folder: Path) -> bool:
    """Whether the watchdog ended the sandbox of `folder`."""
    return (folder / KILLED_FILE).exists()
