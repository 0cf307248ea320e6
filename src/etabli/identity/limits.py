"""Limits on failed sign-ins: leaky buckets in the database, so that a restart forgets nothing.

Each failure fills three buckets by one; each leaks one attempt per pause. Together they slow whoever guesses and lock nobody out:

- *person and address*: small; what an owner who mistypes meets, and only where they mistype;
- *person, from addresses they never signed in from*: stops a guess spread over many machines; the person's own places are not counted;
- *address*: wide, since a whole institution may share one.

An attempt takes its place before the password is looked at, so that fifty at once count as fifty, and gives it back when it succeeds.
A clock that goes backward neither empties a bucket nor holds it full longer: the bucket leaks on from the new time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv6Address, ip_address

from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import errors, opaque, queries
from etabli.identity.settings import IdentitySettings
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

EMAIL_ASKS = 3  # In a row for one e-mail, then one an hour: nobody's mailbox is filled by strangers.


@dataclass(frozen=True)
class Bucket:
    """One limit: `size` attempts at once, then one per `pause`."""

    key: str
    size: int
    pause: timedelta


class Limits:
    """Counts failed attempts."""

    def __init__(self, *, database: Database, clock: Clock, settings: IdentitySettings) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings

    def buckets(self, *, account: str, address: str, is_known: bool) -> tuple[Bucket, ...]:
        """The limits on one attempt. `is_known`: whether that person signed in from that address before."""
        chosen = self._settings
        pair = _bucket(f"pair {account} {address}", chosen.pair_failures, chosen.pair_pause_seconds)
        shared = self.place(address)
        if is_known:
            return pair, shared
        return pair, shared, _bucket(f"account {account}", chosen.account_failures, chosen.account_pause_seconds)

    def bearer_bucket(self, *, address: str) -> Bucket:
        """The limit on wrong tokens from one address, apart from failed sign-ins: a forgotten program must not keep people out."""
        return _bucket(f"bearer {address}", self._settings.address_failures, self._settings.address_pause_seconds)

    def asking(self, *, email: str, address: str) -> tuple[Bucket, ...]:
        """The limits on asking for an account: for one e-mail, and from one address."""
        pause = self._settings.ask_pause_seconds
        return (
            _bucket(f"asking {email}", EMAIL_ASKS, 3600),
            _bucket(f"asking from {address}", self._settings.asks_at_once, pause),
        )

    def device_bucket(self, *, address: str) -> Bucket:
        """The limit on programs that ask for a token from one address."""
        return _bucket(f"device {address}", self._settings.address_failures, self._settings.address_pause_seconds)

    def code_buckets(self, *, user_id: str, address: str) -> tuple[Bucket, ...]:
        """The limits on wrong codes that one person types, and that are typed at one address."""
        chosen = self._settings
        mine = _bucket(f"code {user_id}", chosen.pair_failures, chosen.pair_pause_seconds)
        return mine, _bucket(f"codes {address}", chosen.address_failures, chosen.address_pause_seconds)

    def place(self, address: str) -> Bucket:
        """The limit on one address alone, for what is no guess at a person."""
        return _bucket(f"address {address}", self._settings.address_failures, self._settings.address_pause_seconds)

    def second_factor(self, *, account: str, address: str) -> tuple[Bucket, ...]:
        """The limits on one attempt of a second factor: by person, wherever it comes from, and by address."""
        chosen = self._settings
        mine = _bucket(f"second factor {account}", chosen.code_failures, chosen.code_pause_seconds)
        return mine, _bucket(f"address {address}", chosen.address_failures, chosen.address_pause_seconds)

    async def take(self, buckets: Sequence[Bucket]) -> None:
        """Count one attempt. TooManyAttempts, and nothing counted, where one of the buckets is full."""
        now = self._clock.now()
        async with self._database.session() as session:
            levels = {bucket.key: await _level(session, bucket, now) for bucket in _ordered(buckets)}
            waits = [(levels[bucket.key] + 1 - bucket.size) * bucket.pause for bucket in buckets]
            longest = max(waits)
            taken = 1 if longest <= timedelta() else 0
            for bucket in buckets:
                # Written when refused too: after a clock that went back, the bucket leaks from the new time on.
                await queries.set_level(session, bucket.key, level=levels[bucket.key] + taken, now=now)
        if longest > timedelta():
            raise _too_many(longest)

    async def give_back(self, buckets: Sequence[Bucket]) -> None:
        """The attempt was a good one: it does not count."""
        now = self._clock.now()
        async with self._database.session() as session:
            for bucket in _ordered(buckets):
                level = await _level(session, bucket, now)
                await queries.set_level(session, bucket.key, level=max(0.0, level - 1), now=now)

    async def forget(self) -> None:
        """Drop the buckets that must have leaked empty: every one untouched for its size times its pause."""
        chosen = self._settings
        slowest = max(
            chosen.pair_failures * chosen.pair_pause_seconds,
            chosen.account_failures * chosen.account_pause_seconds,
            chosen.address_failures * chosen.address_pause_seconds,
            chosen.asks_at_once * chosen.ask_pause_seconds,
            EMAIL_ASKS * 3600,
            chosen.code_failures * chosen.code_pause_seconds,
        )
        async with self._database.session() as session:
            await queries.drop_levels(session, before=self._clock.now() - timedelta(seconds=slowest))


def normal_address(address: str) -> str:
    """The part of a client's address that one subscriber holds: an IPv4 address, or the /64 of an IPv6 one (RFC 6177)."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"


def _bucket(name: str, size: int, pause_seconds: int) -> Bucket:
    return Bucket(key=opaque.digest_text(name), size=size, pause=timedelta(seconds=pause_seconds))


def _ordered(buckets: Sequence[Bucket]) -> list[Bucket]:
    # Rows are locked in one order, or two attempts could wait for each other.
    return sorted(buckets, key=lambda bucket: bucket.key)


async def _level(session: AsyncSession, bucket: Bucket, now: datetime) -> float:
    level, since = await queries.lock_level(session, bucket.key, now=now)
    elapsed = max(timedelta(), now - since)
    return max(0.0, level - elapsed / bucket.pause)


def _too_many(wait: timedelta) -> errors.TooManyAttempts:
    seconds = max(1, -(-wait // timedelta(seconds=1)))
    return errors.TooManyAttempts(
        "too many failed attempts",
        hint=f"wait {seconds} s, then try again",
        retry_after=timedelta(seconds=seconds),
    )
