"""Time as an argument, so that tests never sleep and a machine whose clock jumps is a case like another.

`now` is wall time, for what people and other systems read. `monotonic` is for durations and deadlines inside one process: it
never jumps.
"""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where a room reads the time."""

    def now(self) -> datetime:
        """Wall time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment; only differences mean anything."""
        ...

    async def sleep(self, duration: timedelta) -> None:
        """Let others run for `duration`."""
        ...


class SystemClock:
    """The machine's own time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        await asyncio.sleep(duration.total_seconds())


class ManualClock:
    """Time that moves only when told: `advance` wakes whoever slept long enough; `jump` moves wall time alone."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._wall = start
        self._elapsed = timedelta()
        self._sleepers: list[tuple[timedelta, asyncio.Event]] = []

    def now(self) -> datetime:
        return self._wall

    def monotonic(self) -> float:
        return self._elapsed.total_seconds()

    async def sleep(self, duration: timedelta) -> None:
        if duration <= timedelta():
            await asyncio.sleep(0)
            return
        woken = asyncio.Event()
        self._sleepers.append((self._elapsed + duration, woken))
        await woken.wait()

    async def advance(self, duration: timedelta) -> None:
        """Move both times forward, waking sleepers, and give each a turn to run."""
        self._wall += duration
        self._elapsed += duration
        due = [woken for moment, woken in self._sleepers if moment <= self._elapsed]
        self._sleepers = [(moment, woken) for moment, woken in self._sleepers if moment > self._elapsed]
        for woken in due:
            woken.set()
        for _ in range(3):
            await asyncio.sleep(0)

    def jump(self, by: timedelta) -> None:
        """Move wall time alone, as an administrator or NTP does to a real machine."""
        self._wall += by
