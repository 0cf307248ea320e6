"""A program on a machine without the lab's pages asks its person for a token: the device flow (RFC 8628).

The program gets two codes: a secret one to ask with, and a short one that its person types into a page where they are signed in,
which says what asks, from where, for what. Once they agree, the next time that the program asks buys a token, once.

What could go wrong is a person led to type a code that somebody else's program was given (section 5.4): the page says where the
program is and that nobody is ever asked for this. Guesses at codes are limited per person and per address (5.1, 5.2).
"""

import secrets
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import access_tokens, accounts, errors, limits, models, opaque, queries, token_models, tokens
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import UserRow
from etabli.identity.token_models import Scope
from etabli.identity.token_store import DeviceRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel import ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CLIENT = "etabli-cli"  # The one program that may ask; it holds no secret.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"  # RFC 8628, 6.1: no vowels, so no words; no digit that reads as a letter.
LENGTH = 8  # 20^8 is above 2^34.
LIFETIME = timedelta(minutes=10)
INTERVAL = timedelta(seconds=3)  # Between two questions of a program.
SLOWER = timedelta(seconds=5)  # What each question that came too early adds (3.5).
EARLY = timedelta(milliseconds=500)  # By how much a question may be early: clocks are not alike.
TOKEN_DAYS = 90
LONGEST_NAME = 60


@dataclass(frozen=True)
class Asked:
    """What a program is given when it asks, with the one copy of its codes."""

    device_code: str
    user_code: str  # As it is typed: `BCDF-GHJK`.
    expires_in: timedelta
    interval: timedelta


@dataclass(frozen=True)
class Question:
    """What a person is asked to agree to."""

    name: str  # What the program says of itself: nobody checked it.
    address: str
    scopes: tuple[Scope, ...]
    asked_at: datetime


class Devices:
    """Programs that ask for a token."""

    def __init__(
        self, *, database: Database, clock: Clock, settings: IdentitySettings, limiter: limits.Limits, origin: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._limits = limiter
        self._origin = origin

    @property
    def page(self) -> str:
        """Where a person types their code."""
        return f"{self._origin}/device"

    async def ask(self, *, form: Mapping[str, str], address: str) -> Asked:
        """Answer a program that wants a token (3.1). ProtocolError; TooManyAttempts where too many ask from one address."""
        if form.get("client_id") != CLIENT:
            raise errors.ProtocolError("invalid_client", f"only `{CLIENT}` may ask here")
        scopes = _scopes(form.get("scope", ""))
        place, now = limits.normal_address(address), self._clock.now()
        await self._limits.take([self._limits.device_bucket(address=place)])
        device_code, user_code = opaque.new(), "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
        row = DeviceRow(
            id=ids.new_id(),
            device_hash=opaque.digest(device_code),
            user_hash=opaque.digest(user_code),
            name=_shown(form.get("name", "")),
            address=place,
            scopes=" ".join(scopes),
            created_at=now,
            expires_at=now + LIFETIME,
            interval_seconds=int(INTERVAL.total_seconds()),
        )
        async with self._database.session() as session:
            session.add(row)
        return Asked(device_code, f"{user_code[:4]}-{user_code[4:]}", expires_in=LIFETIME, interval=INTERVAL)

    async def look(self, *, code: str, by: models.User, address: str) -> Question:
        """What the program behind a typed code asks. NotFound where the code is not good; TooManyAttempts past the limit on those."""
        buckets = self._limits.code_buckets(user_id=by.id, address=limits.normal_address(address))
        await self._limits.take(buckets)
        async with self._database.session() as session:
            row = (await session.scalars(select(DeviceRow).where(*self._open(code)))).one_or_none()
        if row is None:
            raise _no_code()
        await self._limits.give_back(buckets)
        scopes = tuple(Scope(word) for word in row.scopes.split())
        return Question(name=row.name, address=row.address, scopes=_allowed(scopes, by), asked_at=row.created_at)

    async def decide(self, *, code: str, by: models.User, agreed: bool, address: str) -> None:
        """Say yes or no to the program behind a code, once. Refused as `look` refuses."""
        buckets = self._limits.code_buckets(user_id=by.id, address=limits.normal_address(address))
        await self._limits.take(buckets)
        decided = {"user_id": by.id, "agreed": agreed, "decided_at": self._clock.now()}
        async with self._database.session() as session:
            if not await queries.count(session, update(DeviceRow).where(*self._open(code)).values(**decided)):
                raise _no_code()
        await self._limits.give_back(buckets)
        log.info("device decided", user=by.id, agreed=agreed)

    async def redeem(self, *, form: Mapping[str, str]) -> token_models.Issued:
        """The token that a program was granted (3.4), once. ProtocolError, with the protocol's words, in all other cases."""
        if form.get("client_id") != CLIENT:
            raise errors.ProtocolError("invalid_client", f"only `{CLIENT}` may ask here")
        device_hash = opaque.digest(form.get("device_code", ""))
        try:
            async with self._database.session() as session:
                outcome = await self._redeem(session, device_hash)
        except kernel_errors.QuotaExceeded as error:
            raise errors.ProtocolError("access_denied", error.message) from error
        if isinstance(outcome, errors.ProtocolError):
            raise outcome  # After what it wrote is kept.
        return outcome

    async def sweep(self) -> None:
        """Forget what was asked long ago."""
        async with self._database.session() as session:
            old = DeviceRow.expires_at < self._clock.now() - timedelta(days=1)
            await queries.count(session, delete(DeviceRow).where(old))

    async def _redeem(self, session: AsyncSession, device_hash: str) -> token_models.Issued | errors.ProtocolError:
        now = self._clock.now()
        this = DeviceRow.device_hash == device_hash
        row = (await session.scalars(select(DeviceRow).where(this).with_for_update())).one_or_none()
        if row is None or row.spent_at is not None:
            return errors.ProtocolError("invalid_grant", "this code is not known, or was used")
        if now >= row.expires_at:
            return errors.ProtocolError("expired_token", "nobody agreed in time")
        if row.decided_at is None:
            return _pending(row, now)
        user = await session.get(UserRow, row.user_id)
        if not row.agreed or user is None or user.disabled_at is not None:
            return errors.ProtocolError("access_denied", "it was refused")
        # Of two that ask at once, one gets the row.
        if not await queries.count(
            session, update(DeviceRow).where(this, DeviceRow.spent_at.is_(None)).values(spent_at=now)
        ):
            return errors.ProtocolError("invalid_grant", "this code is not known, or was used")
        return await access_tokens.issue(
            session,
            kind=tokens.Kind.PERSONAL,
            owner=user.id,
            name=row.name,
            scopes=_allowed(tuple(Scope(word) for word in row.scopes.split()), user.read()),
            days=min(TOKEN_DAYS, self._settings.token_days),
            now=now,
        )

    def _open(self, code: str) -> tuple[ColumnElement[bool], ...]:
        """The row of a typed code that still waits for an answer."""
        typed = "".join(letter for letter in code[:50].upper() if letter in ALPHABET)
        return (
            DeviceRow.user_hash == opaque.digest(typed),
            DeviceRow.decided_at.is_(None),
            DeviceRow.expires_at > self._clock.now(),
        )


def _pending(row: DeviceRow, now: datetime) -> errors.ProtocolError:
    """Not decided: to ask again later, and later still where it asked too early."""
    early = row.polled_at is not None and now - row.polled_at < timedelta(seconds=row.interval_seconds) - EARLY
    row.polled_at = now
    if not early:
        return errors.ProtocolError("authorization_pending", "nobody agreed yet")
    row.interval_seconds += int(SLOWER.total_seconds())
    return errors.ProtocolError("slow_down", f"ask every {row.interval_seconds} seconds")


def _scopes(asked: str) -> tuple[Scope, ...]:
    words = asked.split()
    if not words or not set(words) <= set(Scope):
        raise errors.ProtocolError("invalid_scope", f"scopes are {', '.join(Scope)}")
    return tuple(scope for scope in Scope if scope in words)


def _allowed(scopes: tuple[Scope, ...], by: models.User) -> tuple[Scope, ...]:
    """What that person can grant."""
    return tuple(scope for scope in scopes if scope is not Scope.ADMIN or by.is_admin)


def _shown(name: str) -> str:
    """A program's name of itself, as a page may show it."""
    plain = "".join(mark for mark in accounts.tidy(name[:200]) if mark not in accounts.DIRECTION_MARKS)
    printable = "".join(mark for mark in plain if unicodedata.category(mark)[0] != "C")
    return printable[:LONGEST_NAME].strip() or "etabli"


def _no_code() -> kernel_errors.NotFound:
    return kernel_errors.NotFound(
        "this code is not good (any more)", hint="type the one that the program shows; it is good for ten minutes, once"
    )
