"""Time as an argument."""

import asyncio
from datetime import timedelta

from etabli.kernel.clock import ManualClock


async def test_manual_time_wakes_who_slept_long_enough() -> None:
    clock, woken = ManualClock(), []

    async def sleeper(seconds: int) -> None:
        await clock.sleep(timedelta(seconds=seconds))
        woken.append(seconds)

    async with asyncio.TaskGroup() as group:
        for seconds in (10, 20):
            group.create_task(sleeper(seconds))
        await asyncio.sleep(0)
        await clock.advance(timedelta(seconds=15))
        assert woken == [10]
        await clock.advance(timedelta(seconds=5))
    assert woken == [10, 20]


def test_a_jump_moves_wall_time_alone() -> None:
    clock = ManualClock()
    before, elapsed = clock.now(), clock.monotonic()
    clock.jump(timedelta(days=365))
    assert clock.now() - before == timedelta(days=365)
    assert clock.monotonic() == elapsed
