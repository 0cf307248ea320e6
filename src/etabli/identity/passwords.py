"""Passwords: argon2id, the same work whether or not the person exists, off the event loop, a few at a time.

A password is prepared as RFC 8265 says of OpaqueString (non-ASCII spaces become spaces, then NFC), so that the same keys typed on two
systems give the same password. What is longer than LONGEST is refused before anything is computed. When too many wait for their hash,
the next is told to come back rather than held.
"""

import asyncio
import unicodedata
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import argon2

from etabli.identity.settings import IdentitySettings
from etabli.kernel import errors

LONGEST = 512  # Characters, before normalisation: a passphrase fits, a flood of text does not.
QUEUE = 64  # Hashes that may wait; at 0.1 s each, the last waits some seconds.


T = TypeVar("T")


class Passwords:
    """Hashes passwords and checks them."""

    def __init__(self, settings: IdentitySettings) -> None:
        self._shortest = settings.password_min_length
        self._hasher = argon2.PasswordHasher(
            time_cost=settings.hash_passes, memory_cost=settings.hash_memory_kib, parallelism=settings.hash_lanes
        )
        self._turns = asyncio.Semaphore(settings.hashes_at_once)
        self._waiting = 0

    def problem(self, password: str, *, names: tuple[str, ...]) -> str | None:
        """What is wrong with a new password; None where nothing is. `names` are the words it must not be."""
        if len(password) > LONGEST:
            return f"at most {LONGEST} characters"
        if len(prepare(password)) < self._shortest:
            return f"at least {self._shortest} characters; a few words in a row make a good one"
        if prepare(password).casefold() in {name.casefold() for name in names}:
            return "not your own name or e-mail"
        return None

    async def hash(self, password: str) -> str:
        """The argon2id hash of a password that has no `problem`."""
        return await self._in_turn(lambda: self._hash(password))

    async def verify(
        self, stored: str | None, password: str, *, first: Callable[[], Awaitable[None]] | None = None
    ) -> bool:
        """Whether `password` is the one behind `stored`. With nothing stored, the same work is done in vain.

        `first` is awaited once there is a place in the queue: whoever is told to come back has not been counted as an attempt.
        """
        if len(password) > LONGEST:
            if first is not None:
                await first()
            return False
        if stored is None:
            await self._in_turn(lambda: self._hash(password), first)
            return False
        return await self._in_turn(lambda: self._verify(stored, password), first)

    def is_outdated(self, stored: str) -> bool:
        """Whether `stored` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def _in_turn(self, work: Callable[[], T], first: Callable[[], Awaitable[None]] | None = None) -> T:
        if self._waiting >= QUEUE:
            raise errors.Unavailable(
                "too many people are signing in at this moment",
                hint="wait a few seconds, then try again",
                retry_after=timedelta(seconds=5),
            )
        self._waiting += 1
        try:
            if first is not None:
                await first()
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_encode(password))

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, _encode(password))
        except argon2.exceptions.VerifyMismatchError:
            return False


def prepare(password: str) -> str:
    """The password as it is hashed: RFC 8265 section 4.2 (OpaqueString), without its refusals."""
    spaced = "".join(" " if unicodedata.category(character) == "Zs" else character for character in password)
    return unicodedata.normalize("NFC", spaced)


def _encode(password: str) -> bytes:
    return prepare(password).encode(errors="surrogatepass")
