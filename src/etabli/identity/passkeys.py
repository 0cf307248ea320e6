"""Passkeys: a key that a person's device keeps, which it uses only once it has verified them, and only for this very host.

A passkey counts as two factors: the device that has it, and the finger, face or PIN that opens it. A challenge is bound to one visit
and purpose, and is spent by the answer that it gets. A counter that does not advance says that the key was copied: it opens nothing
any more, and says so, since the person is the one to act (WebAuthn level 3, section 6.1.1). Keys cannot be guessed: failures need no
limit.
"""

import asyncio
import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NoReturn

import structlog
from sqlalchemy import delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, errors, models, queries
from etabli.identity.factor_store import PasskeyRow, SpentChallengeRow
from etabli.identity.sealing import Seal
from etabli.identity.sessions import Sessions
from etabli.identity.store import UserRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel import ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

if TYPE_CHECKING:
    from etabli.identity.ceremonies import Answer

log = structlog.get_logger()

MOST = 20  # Passkeys of one person.
LONGEST_ANSWER = 100_000  # Characters: an attestation with its certificates has some thousand.
ADD, ENTER, PROVE = "passkey add", "passkey enter", "passkey prove"  # What a challenge is for.
FACTORS = 2


class Passkeys:
    """The passkeys of people."""

    def __init__(
        self, *, database: Database, clock: Clock, seal: Seal, sessions: Sessions, origin: str, lab: str
    ) -> None:
        self._database = database
        self._clock = clock
        self._seal = seal
        self._sessions = sessions
        self._origin = origin
        self._lab = lab

    async def list(self, *, user_id: str) -> tuple[models.Passkey, ...]:
        """A person's passkeys, oldest first."""
        async with self._database.session() as session:
            return tuple(row.read() for row in await _rows(session, user_id))

    async def offer(self, *, user: models.User, visit: str) -> str:
        """What a browser is asked to make a passkey with: JSON for `PublicKeyCredential.parseCreationOptionsFromJSON`.

        `visit` is what the answer must come back with. Conflict for a person who has MOST.
        """
        from etabli.identity import ceremonies  # noqa: PLC0415 - Loaded when it is first used; its docstring says why.

        async with self._database.session() as session:
            rows = await _rows(session, user.id)
        _check_room(rows)
        return ceremonies.offer(
            self._origin,
            self._seal.challenge(purpose=ADD, visit=visit),
            lab=self._lab,
            handle=self._handle(user.id, rows),
            slug=user.slug,
            name=user.name,
            known=[ceremonies.Known(row.credential_id, row.read().transports) for row in rows],
        )

    async def add(self, *, user: models.User, visit: str, credential: str, name: str) -> models.Passkey:
        """Keep the passkey that a browser made, under `name`. WrongPasskey where it does not hold; Conflict where it is known."""
        name = accounts.tidy(name)
        accounts.refuse({"passkey": accounts.name_problem(name)})
        answer, ends = await self._read(credential, purpose=ADD, visit=visit)
        made = await asyncio.to_thread(answer.made, self._origin)
        row = PasskeyRow(
            id=ids.new_id(),
            user_id=user.id,
            credential_hash=_digest(made.credential_id),
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            transports=json.dumps(made.transports),
            synced=made.synced,
            name=name,
            created_at=self._clock.now(),
        )
        try:
            async with self._database.session() as session:
                rows = await _rows(session, user.id)
                _check_room(rows)
                row.handle = self._handle(user.id, rows).hex()
                await _spend(session, answer, ends)
                session.add(row)
        except IntegrityError as error:
            raise kernel_errors.Conflict("this passkey is known already", hint="use another device") from error
        log.info("passkey added", user=user.id, passkey=row.id)
        return row.read()

    async def remove(self, *, user_id: str, passkey_id: str, even_last: bool = False) -> None:
        """Forget a passkey. NotFound where it is not theirs; Conflict where nothing else lets them in, but with `even_last`."""
        async with self._database.session() as session:
            user = await session.get(UserRow, user_id, with_for_update=True)
            rows = await _rows(session, user_id)
            row = next((row for row in rows if row.id == passkey_id), None)
            if row is None or user is None:
                raise kernel_errors.NotFound("no such passkey")
            if len(rows) == 1 and user.password_hash is None and not even_last:
                raise kernel_errors.Conflict(
                    "this is your only way in but for a provider elsewhere", hint="add another passkey, or a password"
                )
            await session.delete(row)
        log.info("passkey removed", user=user_id, passkey=passkey_id)

    async def ask(self, *, visit: str, purpose: str = ENTER) -> str:
        """What a browser is asked to use a passkey with: JSON for `PublicKeyCredential.parseRequestOptionsFromJSON`."""
        from etabli.identity import ceremonies  # noqa: PLC0415 - As above.

        return ceremonies.ask(self._origin, self._seal.challenge(purpose=purpose, visit=visit))

    async def sign_in(self, *, visit: str, credential: str, address: str, user_agent: str = "") -> models.Opened:
        """Open a session for who has a passkey. WrongPasskey, Forbidden for a copied one or a suspended account."""
        user_id = await self._check(credential, purpose=ENTER, visit=visit)
        return await self._sessions.open(
            user_id=user_id, address=address, user_agent=user_agent, method=models.PASSKEY, factors=FACTORS
        )

    async def prove(self, *, user_id: str, session_id: str, visit: str, credential: str) -> None:
        """Who is signed in shows one of their own passkeys again. WrongPasskey where it is not theirs."""
        if await self._check(credential, purpose=PROVE, visit=visit) != user_id:
            raise errors.WrongPasskey()
        await self._sessions.proved(session_id=session_id, factors=FACTORS)

    async def sweep(self) -> None:
        """Forget the challenges that have ended: they are refused for that."""
        async with self._database.session() as session:
            await queries.count(
                session, delete(SpentChallengeRow).where(SpentChallengeRow.expires_at < self._clock.now())
            )

    async def _check(self, credential: str, *, purpose: str, visit: str) -> str:
        """Whose passkey answered; its counter and its last use are written."""
        answer, ends = await self._read(credential, purpose=purpose, visit=visit)
        async with self._database.session() as session:
            statement = select(PasskeyRow).where(PasskeyRow.credential_hash == _digest(answer.credential_id))
            row = (await session.scalars(statement)).one_or_none()
        if row is None or answer.handle.hex() != row.handle:
            log.info("passkey refused")
            raise errors.WrongPasskey()
        count = await asyncio.to_thread(answer.counted, self._origin, public_key=row.public_key)
        if row.copied_at is not None or (count <= row.sign_count and (count or row.sign_count)):
            await self._close(row, count=count)
        same = (PasskeyRow.id == row.id, PasskeyRow.sign_count == row.sign_count)
        try:
            async with self._database.session() as session:
                await _spend(session, answer, ends)
                used = update(PasskeyRow).where(*same).values(sign_count=count, last_used_at=self._clock.now())
                if not await queries.count(session, used):
                    raise errors.WrongPasskey()  # Removed, or used elsewhere at this very moment.
        except IntegrityError as error:
            raise errors.WrongPasskey() from error
        return row.user_id

    async def _close(self, row: PasskeyRow, *, count: int) -> NoReturn:
        """A passkey of which there are two opens nothing any more: the copy could count on until it passes."""
        log.warning("passkey copied", user=row.user_id, passkey=row.id, count=count, seen=row.sign_count)
        now = self._clock.now()
        async with self._database.session() as session:
            seen = (PasskeyRow.id == row.id, PasskeyRow.copied_at.is_(None))
            await session.execute(update(PasskeyRow).where(*seen).values(copied_at=now))
        raise kernel_errors.Forbidden(
            "this passkey may have been copied: its count went back",
            hint="sign in another way, remove it from your account, and tell an administrator",
        )

    async def _read(self, credential: str, *, purpose: str, visit: str) -> "tuple[Answer, datetime]":
        from etabli.identity import ceremonies  # noqa: PLC0415 - As above.

        answer = ceremonies.read(credential[:LONGEST_ANSWER])
        ends = self._seal.end_of(answer.challenge, purpose=purpose, visit=visit)
        if ends is None:
            raise errors.WrongPasskey()
        return answer, ends

    def _handle(self, user_id: str, rows: Sequence[PasskeyRow]) -> bytes:
        # What their devices know them by stays, whatever becomes of the lab's key.
        return bytes.fromhex(rows[0].handle) if rows else self._seal.handle(user_id)


async def _rows(session: AsyncSession, user_id: str) -> Sequence[PasskeyRow]:
    statement = select(PasskeyRow).where(PasskeyRow.user_id == user_id).order_by(PasskeyRow.created_at, PasskeyRow.id)
    return (await session.scalars(statement)).all()


async def _spend(session: AsyncSession, answer: "Answer", ends: datetime) -> None:
    """Write down that a challenge was answered. IntegrityError, at the flush, where it was before."""
    session.add(SpentChallengeRow(challenge_hash=_digest(answer.challenge), expires_at=ends))
    await session.flush()


def _check_room(rows: Sequence[PasskeyRow]) -> None:
    if len(rows) >= MOST:
        raise kernel_errors.Conflict(f"{MOST} passkeys are the most one may have", hint="remove one first")


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()
