"""Passwords: the same work for all, bounded, off the event loop."""

import asyncio
import time

import pytest

from etabli.identity import passwords
from etabli.identity.settings import IdentitySettings
from etabli.kernel import errors
from tests.identity.lab import CHEAP

PASSWORD = "une phrase assez longue"


async def test_a_hash_is_argon2id_and_opens_for_its_password_alone() -> None:
    hashing = passwords.Passwords(CHEAP)
    stored = await hashing.hash(PASSWORD)
    assert stored.startswith("$argon2id$")
    assert await hashing.verify(stored, PASSWORD)
    assert not await hashing.verify(stored, PASSWORD + " ")
    assert not await hashing.verify(None, PASSWORD)


async def test_nobody_costs_the_work_of_somebody() -> None:
    hashing = passwords.Passwords(IdentitySettings(hash_passes=4, hash_lanes=1))
    stored = await hashing.hash(PASSWORD)

    async def cost(of: str | None) -> float:
        times = []
        for _ in range(3):
            begun = time.perf_counter()
            await hashing.verify(of, "a guess")
            times.append(time.perf_counter() - begun)
        return min(times)

    # Skipping the work would make a difference of hundreds; a busy machine makes one of two or three.
    assert 0.2 < await cost(None) / await cost(stored) < 5


async def test_a_flood_of_text_is_refused_before_it_is_worked_on() -> None:
    hashing = passwords.Passwords(CHEAP)
    assert not await hashing.verify(await hashing.hash(PASSWORD), PASSWORD * 1_000_000)


async def test_past_the_queue_the_next_is_told_to_come_back() -> None:
    hashing = passwords.Passwords(CHEAP)
    many = [hashing.hash(PASSWORD) for _ in range(passwords.QUEUE + 5)]
    answers = await asyncio.gather(*many, return_exceptions=True)
    assert sum(isinstance(answer, errors.Unavailable) for answer in answers) == 5
    assert sum(isinstance(answer, str) for answer in answers) == passwords.QUEUE
    assert await hashing.hash(PASSWORD)


async def test_the_event_loop_turns_while_a_password_is_hashed() -> None:
    work = asyncio.create_task(passwords.Passwords(IdentitySettings()).hash(PASSWORD))
    turns = 0
    while not work.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


@pytest.mark.parametrize("password", ["\x00" * 20, "\ud800" * 20, "👩‍🔬" * 5, "密码" * 10])
async def test_any_text_may_be_a_password(password: str) -> None:
    hashing = passwords.Passwords(CHEAP)
    assert hashing.problem(password, names=()) is None
    assert await hashing.verify(await hashing.hash(password), password)
