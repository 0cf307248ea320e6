"""Sessions: from sign-in by password to their end.

A token is 32 random bytes that only the browser keeps. A session ends when it is not used for the idle time, at its absolute end at
the latest, or when somebody ends it. Its end is written down, once seen, and nothing opens it again: not even a clock that goes back.
Sessions that were made while the clock was ahead are counted from now, so that they never last longer than the settings say.
"""

import hmac
import secrets
from datetime import datetime, timedelta
from functools import partial

import structlog
from sqlalchemy import or_, select, update

from etabli.audit import models as audit_models
from etabli.audit.service import Audit
from etabli.identity import errors, limits, models, opaque, queries
from etabli.identity.factor_store import SignInStepRow, TotpRow
from etabli.identity.passwords import LONGEST, Passwords
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import SessionRow, UserRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel import ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

SEEN_EVERY = timedelta(minutes=1)  # How often a session that is used is written.
SIGN_IN = "session.sign_in"  # As the audit log names it.
FRESH = timedelta(minutes=10)  # How old a proof may be where a page asks for one: passwords, keys, tokens.
STEP_LIFETIME = timedelta(minutes=10)  # How long a sign-in waits for its second factor.
TOLERANCE = timedelta(minutes=5)  # How far ahead a moment may lie before it is a clock that went back.


class Sessions:
    """Signs people in and out."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        settings: IdentitySettings,
        passwords: Passwords,
        limiter: limits.Limits,
        audit: Audit,
    ) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._passwords = passwords
        self._limits = limiter
        self._audit = audit
        self._salt = secrets.token_bytes(32)

    async def sign_in(self, *, login: str, password: str, address: str, user_agent: str = "") -> models.Opened:
        """Open a session for who knows the password of `login` (a slug or an e-mail).

        WrongCredentials, the same for a wrong password and for nobody by that name; TooManyAttempts past the limits; Forbidden for
        a suspended account, or where administrators alone have passwords, told only to who knows the account's; SecondFactorNeeded as
        `enter`.
        """
        login, place = login[:LONGEST].strip().lower(), limits.normal_address(address)
        user, stored, is_known = await self._look_up(login, place)
        buckets = self._limits.buckets(account=user.id if user else login, address=place, is_known=is_known)
        counted = partial(self._limits.take, buckets)
        if not await self._passwords.verify(stored, password, first=counted) or user is None or stored is None:
            log.info("sign-in refused", address=place)
            await self._record_refusal(user, typed=login, place=place)
            raise errors.WrongCredentials(
                "the name or the password is wrong", hint="check both; names are in lower case"
            )
        await self._limits.give_back(buckets)
        if self._settings.password_for == "administrators" and not user.is_admin:
            raise kernel_errors.Forbidden(
                "passwords are for administrators in this lab", hint="sign in by one of the other ways"
            )
        if self._passwords.is_outdated(stored):
            await self._rehash(user.id, stored, password)
        return await self.enter(user_id=user.id, address=address, user_agent=user_agent, method=models.PASSWORD)

    async def enter(
        self, *, user_id: str, address: str, method: str, user_agent: str = "", factors: int = 1
    ) -> models.Opened:
        """Open a session for who has shown a password, or a provider's word (`outside:<id>`), which may tell of two `factors`.

        SecondFactorNeeded where they showed one, and have turned a second one on: `codes.finish` goes on from its step.
        """
        step = opaque.new()
        async with self._database.session() as session:
            asked = select(TotpRow.user_id).where(TotpRow.user_id == user_id, TotpRow.confirmed_at.is_not(None))
            is_asked = factors < 2 and await session.scalar(asked) is not None
            if is_asked:
                expires = self._clock.now() + STEP_LIFETIME
                waiting = SignInStepRow(
                    token_hash=opaque.digest(step), user_id=user_id, method=method, expires_at=expires
                )
                session.add(waiting)
        if is_asked:
            raise errors.SecondFactorNeeded(step)
        return await self.open(user_id=user_id, address=address, user_agent=user_agent, method=method, factors=factors)

    async def refused(self, *, user: models.User, address: str) -> None:
        """Write down that somebody who knew the first factor did not have the second."""
        await self._record_refusal(user, typed="", place=limits.normal_address(address))

    async def open(
        self, *, user_id: str, address: str, user_agent: str = "", method: str = models.PASSWORD, factors: int = 1
    ) -> models.Opened:
        """Open a session for somebody who has proved who they are, by `method`. Forbidden where they are suspended."""
        now, token = self._clock.now(), opaque.new()
        row = SessionRow(
            id=ids.new_id(),
            user_id=user_id,
            token_hash=opaque.digest(token),
            created_at=now,
            expires_at=self._expiry(now, now),
            last_seen_at=now,
            user_agent=_shown(user_agent),
            address=limits.normal_address(address),
            method=method,
            factors=factors,
        )
        async with self._database.session() as session:
            user = await session.get(UserRow, user_id, with_for_update=True)
            if user is None:
                raise kernel_errors.NotFound("no such person")
            if user.disabled_at is not None:
                raise kernel_errors.Forbidden("this account is suspended", hint="ask an administrator of the lab")
            session.add(row)
        log.info("session opened", user=user_id, session=row.id)
        await self._record_entry(user.read(), row.read())
        return models.Opened(token=token, session=row.read(), user=user.read())

    @property
    def warns(self) -> bool:
        """Whether people are told before a session that nobody uses ends: where that is a matter of minutes."""
        return self._settings.session_idle_minutes is not None

    def left(self, session: models.Session) -> timedelta:
        """How long a session lasts if nobody uses it from now on."""
        return max(timedelta(), session.expires_at - self._clock.now())

    async def find(self, *, token: str, is_use: bool = True) -> models.SignedIn | None:
        """Who is behind a token; None where it opens nothing. `is_use` keeps the session alive: a page that asks by itself is none."""
        now = self._clock.now()
        async with self._database.session() as session:
            found = await queries.session_by_hash(session, opaque.digest(token))
            if found is None:
                return None
            row, user = found
            if now >= row.expires_at:
                row.ended_at = now
                return None
            if is_use:
                self._use(row, now)
        return models.SignedIn(user=user.read(), session=row.read())

    async def used(self, session_id: str, by_hand: bool) -> None:
        """A session is used at a service's origin. Where minutes without use end it, only a person's hand counts (door.activity)."""
        if self.warns and not by_hand:
            return
        now = self._clock.now()
        async with self._database.session() as session:
            row = await session.get(SessionRow, session_id)
            if row is not None and row.ended_at is None and now < row.expires_at:
                self._use(row, now)

    async def list(self, *, user_id: str) -> tuple[models.Session, ...]:
        """The open sessions of a person, last used first."""
        statement = (
            select(SessionRow)
            .where(
                SessionRow.user_id == user_id,
                SessionRow.ended_at.is_(None),
                SessionRow.expires_at > self._clock.now(),
            )
            .order_by(SessionRow.last_seen_at.desc(), SessionRow.id)
        )
        async with self._database.session() as session:
            return tuple(row.read() for row in await session.scalars(statement))

    async def end(self, *, user_id: str, session_id: str) -> None:
        """End one session of that person. Already ended is well; NotFound where it is not theirs."""
        async with self._database.session() as session:
            row = await session.get(SessionRow, session_id)
            if row is None or row.user_id != user_id:
                raise kernel_errors.NotFound("no such session")
            row.ended_at = row.ended_at or self._clock.now()

    async def end_all(self, *, user_id: str, keep: str | None = None) -> int:
        """End every session of that person, but the one with the id `keep`; how many ended."""
        async with self._database.session() as session:
            return await queries.end_sessions(session, user_id, now=self._clock.now(), keep=keep)

    def is_fresh(self, session: models.Session) -> bool:
        """Whether its person proved who they are within FRESH."""
        return timedelta() <= self._clock.now() - session.proved_at < FRESH

    async def prove(self, *, user_id: str, session_id: str, password: str, address: str) -> None:
        """Who is signed in types their password again. WrongCredentials, TooManyAttempts."""
        async with self._database.session() as session:
            stored = await session.scalar(select(UserRow.password_hash).where(UserRow.id == user_id))
        place = limits.normal_address(address)
        buckets = self._limits.buckets(account=user_id, address=place, is_known=True)
        if not await self._passwords.verify(stored, password, first=partial(self._limits.take, buckets)):
            raise errors.WrongCredentials("the password is wrong", hint="type the one you sign in with")
        await self._limits.give_back(buckets)
        await self.proved(session_id=session_id, factors=1)

    async def proved(self, *, session_id: str, factors: int) -> None:
        """Who this session is of has just proved who they are again, by so many factors; what it had shown before still counts."""
        async with self._database.session() as session:
            row = await session.get(SessionRow, session_id)
            if row is None or row.ended_at is not None:
                raise kernel_errors.NotFound("no such session")
            row.proved_at, row.factors = self._clock.now(), max(row.factors, factors)

    async def sweep(self) -> None:
        """Write down what has expired, and count from now what a clock that went back left in the future."""
        now = self._clock.now()
        still_open = SessionRow.ended_at.is_(None)
        ahead = or_(SessionRow.created_at > now + TOLERANCE, SessionRow.last_seen_at > now + TOLERANCE)
        async with self._database.session() as session:
            await session.execute(
                update(SessionRow).where(still_open, SessionRow.expires_at <= now).values(ended_at=now)
            )
            for row in await session.scalars(select(SessionRow).where(still_open, ahead)):
                row.created_at = min(row.created_at, now)
                row.last_seen_at, row.expires_at = now, self._expiry(row.created_at, now)

    async def _record_entry(self, user: models.User, session: models.Session) -> None:
        await self._audit.record(
            audit_models.Entry(
                actor=audit_models.Actor(
                    audit_models.ActorKind.PERSON, audit_models.Means.SESSION, id=user.id, name=user.slug
                ),
                action=SIGN_IN,
                target_kind="session",
                target=session.id,
                address=session.address,
                detail={"browser": session.user_agent, "method": session.method},
            )
        )

    async def _record_refusal(self, user: models.User | None, *, typed: str, place: str) -> None:
        """Whose account was tried. What was typed is a password now and then: of what names nobody, a mark is kept that tells two
        attempts of the same name while this process lives, and that nothing can be guessed back from after."""
        mark = hmac.new(self._salt, typed.encode(), "sha256").hexdigest()[:12]
        await self._audit.record(
            audit_models.Entry(
                actor=audit_models.NOBODY,
                action=SIGN_IN,
                outcome=audit_models.Outcome.REFUSED,
                target_kind="person",
                target=user.slug if user else "",
                address=place,
                detail={} if user else {"unknown name": mark},
            )
        )

    def _use(self, row: SessionRow, now: datetime) -> None:
        if timedelta() <= now - row.last_seen_at < SEEN_EVERY:
            return
        if row.created_at > now + TOLERANCE:
            row.created_at = now
        row.last_seen_at, row.expires_at = now, self._expiry(row.created_at, now)

    def _expiry(self, created_at: datetime, now: datetime) -> datetime:
        return min(created_at + self._settings.session_length, now + self._settings.session_idle)

    async def _look_up(self, login: str, place: str) -> tuple[models.User | None, str | None, bool]:
        async with self._database.session() as session:
            row = await queries.person_by_login(session, login)
            # Asked for nobody too: one more query must not tell who exists.
            is_known = await queries.knows_address(session, row.id if row else "", place)
            return (row.read(), row.password_hash, is_known) if row else (None, None, is_known)

    async def _rehash(self, user_id: str, stored: str, password: str) -> None:
        fresh = await self._passwords.hash(password)
        async with self._database.session() as session:
            # Only over what was read: a password changed meanwhile stays.
            mine = (UserRow.id == user_id, UserRow.password_hash == stored)
            await session.execute(update(UserRow).where(*mine).values(password_hash=fresh))


def _shown(user_agent: str) -> str:
    return "".join(character for character in user_agent[:200] if character.isprintable())
