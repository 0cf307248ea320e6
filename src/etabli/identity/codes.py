"""Second factors that are typed: codes by time (RFC 6238) from an application, and ten codes for the day when it is lost.

A code by time is taken one step early or late (30 s: clocks drift, people type), and once: the step of the last one is written. Its
secret is sealed with the lab's key, with whom it is of, so that a row moved to another person opens for nobody. Recovery codes have 80
random bits, which nobody guesses: they are kept as SHA-256. Attempts are limited by person, wherever they come from, harder than
passwords: only who knows the password comes so far, and six digits are few.
"""

import hmac
import json
from collections.abc import Sequence
from datetime import datetime

import pyotp
import structlog
from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import errors, limits, models, opaque, queries
from etabli.identity.factor_store import RecoveryCodeRow, SignInStepRow, TotpRow
from etabli.identity.sealing import Seal
from etabli.identity.sessions import Sessions
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import UserRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

STEP = 30  # Seconds; RFC 6238, section 5.2.
WINDOW = 1  # Steps before and after.
DIGITS = 6
RECOVERY_CODES = 10
GROUP = 4
LONGEST = 100  # Characters of what is typed as a code.
PURPOSE = "codes by time"
FACTORS = 2


class Codes:
    """The codes of people."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        seal: Seal,
        sessions: Sessions,
        settings: IdentitySettings,
        limiter: limits.Limits,
        lab: str,
    ) -> None:
        self._database = database
        self._clock = clock
        self._seal = seal
        self._sessions = sessions
        self._settings = settings
        self._limits = limiter
        self._lab = lab

    def is_required(self, user: models.User) -> bool:
        """Whether the lab asks a second factor of this person."""
        asked = self._settings.second_factor
        return asked == "everyone" or (asked == "administrators" and user.is_admin)

    @property
    def is_offered(self) -> bool:
        """Whether people may turn codes on."""
        return self._settings.second_factor != "off"

    async def state(self, *, user: models.User) -> models.SecondFactor:
        """How a person's codes stand."""
        async with self._database.session() as session:
            row = await session.get(TotpRow, user.id)
            left = await _left(session, user.id)
        since = None if row is None else row.confirmed_at
        return models.SecondFactor(since=since, recovery_left=left, is_required=self.is_required(user))

    async def begin(self, *, user: models.User) -> None:
        """Make a secret that waits for its first code, or keep the one that does. Conflict for who has codes already."""
        if not self.is_offered:
            raise kernel_errors.Forbidden("this lab uses no codes", hint="add a passkey instead")
        sealed = self._sealed(pyotp.random_base32(), user.id)
        async with self._database.session() as session:
            row = await session.get(TotpRow, user.id)
            if row is not None and row.confirmed_at is not None:
                raise kernel_errors.Conflict("your codes are on already", hint="turn them off first")
            if row is None:
                session.add(TotpRow(user_id=user.id, secret=sealed, created_at=self._clock.now()))

    async def waiting(self, *, user: models.User) -> models.SetUp | None:
        """What the application is to be told; None where no secret waits for its first code."""
        async with self._database.session() as session:
            row = await session.get(TotpRow, user.id)
        if row is None or row.confirmed_at is not None:
            return None
        secret = self._secret(row)
        uri = pyotp.TOTP(secret).provisioning_uri(name=user.slug, issuer_name=self._lab)
        return models.SetUp(secret=_grouped(secret), uri=uri)

    async def confirm(self, *, user: models.User, session_id: str, code: str, address: str) -> Sequence[str]:
        """Turn codes on by a first one; the recovery codes, this once. Invalid `code` where it is wrong; Conflict where none waits."""
        await self._counted(user.id, address, code, confirmed=False)
        async with self._database.session() as session:
            waiting = (TotpRow.user_id == user.id, TotpRow.confirmed_at.is_(None))
            turned = update(TotpRow).where(*waiting).values(confirmed_at=self._clock.now())
            if not await queries.count(session, turned):
                raise kernel_errors.Conflict("your codes are on already", hint="turn them off first")
            fresh = await _renewed(session, user.id)
        await self._sessions.proved(session_id=session_id, factors=FACTORS)
        log.info("codes turned on", user=user.id)
        return fresh

    async def renew(self, *, user: models.User) -> Sequence[str]:
        """Ten fresh recovery codes, this once; those before open nothing. Conflict for who has no codes."""
        async with self._database.session() as session:
            row = await session.get(TotpRow, user.id)
            if row is None or row.confirmed_at is None:
                raise kernel_errors.Conflict("recovery codes go with codes by time", hint="turn those on first")
            fresh = await _renewed(session, user.id)
        log.info("recovery codes renewed", user=user.id)
        return fresh

    async def turn_off(self, *, user: models.User) -> None:
        """Forget a person's codes, and their recovery codes. None is well."""
        async with self._database.session() as session:
            await forget(session, user.id)
        log.info("codes turned off", user=user.id)

    async def finish(self, *, step: str, code: str, address: str, user_agent: str = "") -> models.Recovered:
        """Open the session that waits behind `step`, by a code of either kind.

        NotFound where none waits there, or it waited too long; Invalid `code`; TooManyAttempts.
        """
        async with self._database.session() as session:
            row = await _waiting(session, step, now=self._clock.now())
            user_id, method = row.user_id, row.method
            user = (await session.get_one(UserRow, user_id)).read()
        try:
            left = await self._counted(user_id, address, code, confirmed=True)
        except kernel_errors.Invalid:
            await self._sessions.refused(user=user, address=address)
            raise
        async with self._database.session() as session:
            if not await queries.count(
                session, delete(SignInStepRow).where(SignInStepRow.token_hash == row.token_hash)
            ):
                raise _too_late()
        opened = await self._sessions.open(
            user_id=user_id, address=address, user_agent=user_agent, method=method, factors=FACTORS
        )
        return models.Recovered(opened=opened, recovery_left=left)

    async def who(self, *, step: str) -> models.User:
        """Whose sign-in waits behind `step`. NotFound as `finish`."""
        async with self._database.session() as session:
            row = await _waiting(session, step, now=self._clock.now())
            return (await session.get_one(UserRow, row.user_id)).read()

    async def sweep(self) -> None:
        """Forget the sign-ins that nobody finished."""
        async with self._database.session() as session:
            await queries.count(session, delete(SignInStepRow).where(SignInStepRow.expires_at <= self._clock.now()))

    async def _counted(self, user_id: str, address: str, code: str, *, confirmed: bool) -> int | None:
        """Take a code, under the limits. How many recovery codes are left where it was one. Invalid `code`, TooManyAttempts."""
        bucket = self._limits.second_factor(account=user_id, address=limits.normal_address(address))
        await self._limits.take(bucket)
        plain = "".join(letter for letter in code[:LONGEST].lower() if letter.isalnum())
        if plain.isascii() and plain.isdecimal() and len(plain) == DIGITS:
            is_good, left = await self._take_code(user_id, plain, confirmed=confirmed), None
        else:
            is_good, left = await self._take_recovery(user_id, plain) if confirmed else (False, None)
        if not is_good:
            log.info("code refused", user=user_id)
            raise kernel_errors.Invalid(
                "the code is wrong",
                hint="type the one that your application shows now",
                fields={"code": "a code of six digits, good for half a minute, and once"},
            )
        await self._limits.give_back(bucket)
        return left

    async def _take_code(self, user_id: str, code: str, *, confirmed: bool) -> bool:
        async with self._database.session() as session:
            row = await session.get(TotpRow, user_id)
        if row is None or (row.confirmed_at is not None) is not confirmed:
            return False
        made, now = pyotp.TOTP(self._secret(row)), int(self._clock.now().timestamp()) // STEP
        steps = range(now - WINDOW, now + WINDOW + 1)
        fits = [step for step in steps if hmac.compare_digest(made.generate_otp(step), code)]
        async with self._database.session() as session:
            for step in fits:
                # One written while the clock was ahead keeps nobody out once it is right again.
                unused = or_(TotpRow.last_step.is_(None), TotpRow.last_step < step, TotpRow.last_step > now + WINDOW)
                this = update(TotpRow).where(TotpRow.user_id == user_id, TotpRow.secret == row.secret, unused)
                if await queries.count(session, this.values(last_step=step)):
                    return True
        return False

    async def _take_recovery(self, user_id: str, code: str) -> tuple[bool, int | None]:
        this = (RecoveryCodeRow.code_hash == opaque.digest(code), RecoveryCodeRow.user_id == user_id)
        used = update(RecoveryCodeRow).where(*this, RecoveryCodeRow.used_at.is_(None)).values(used_at=self._clock.now())
        async with self._database.session() as session:
            if not await queries.count(session, used):
                return False, None
            left = await _left(session, user_id)
        log.info("recovery code used", user=user_id, left=left)
        return True, left

    def _sealed(self, secret: str, user_id: str) -> str:
        return self._seal.seal(json.dumps({"user": user_id, "secret": secret}), purpose=PURPOSE)

    def _secret(self, row: TotpRow) -> str:
        kept = json.loads(self._seal.unseal(row.secret, purpose=PURPOSE))
        if kept["user"] != row.user_id:
            raise errors.WrongCredentials("these codes are of somebody else", hint="ask an administrator for a link")
        return str(kept["secret"])


async def forget(session: AsyncSession, user_id: str) -> None:
    """Remove a person's codes of both kinds."""
    await session.execute(delete(TotpRow).where(TotpRow.user_id == user_id))
    await session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))


async def _renewed(session: AsyncSession, user_id: str) -> Sequence[str]:
    await session.execute(delete(RecoveryCodeRow).where(RecoveryCodeRow.user_id == user_id))
    fresh = [pyotp.random_base32(32)[:16].lower() for _ in range(RECOVERY_CODES)]
    session.add_all(RecoveryCodeRow(code_hash=opaque.digest(code), user_id=user_id) for code in fresh)
    return tuple(_grouped(code, "-") for code in fresh)


async def _left(session: AsyncSession, user_id: str) -> int:
    unused = select(func.count()).where(RecoveryCodeRow.user_id == user_id, RecoveryCodeRow.used_at.is_(None))
    return await session.scalar(unused) or 0


async def _waiting(session: AsyncSession, step: str, *, now: datetime) -> SignInStepRow:
    row = await session.get(SignInStepRow, opaque.digest(step))
    if row is None or now >= row.expires_at:
        raise _too_late()
    return row


def _too_late() -> kernel_errors.NotFound:
    return kernel_errors.NotFound("this sign-in is over", hint="begin again from the sign-in page")


def _grouped(code: str, between: str = " ") -> str:
    return between.join(code[place : place + GROUP] for place in range(0, len(code), GROUP))
