"""Tokens of people's programs: made, listed, ended, and recognised when a program shows one.

A token may do less than its owner, never more, and no token makes tokens: `web` lets none near what proves who a person is. Its end
is written down once seen, as a session's is. Whoever shows a good token is let in, however many wrong ones came from the same
address: only failures are counted, and apart from failed sign-ins, so that a forgotten program locks no institution out.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, errors, limits, models, opaque, queries, token_models, tokens
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import ProjectRow, UserRow
from etabli.identity.token_models import Scope
from etabli.identity.token_store import AccessTokenRow, ServiceAccountRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel import ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

SEEN_EVERY = timedelta(minutes=1)  # How often the use of a token is written.
MOST = 50  # Live tokens of one owner: past it, some are forgotten ones.


class AccessTokens:
    """What programs prove themselves with."""

    def __init__(self, *, database: Database, clock: Clock, settings: IdentitySettings, limiter: limits.Limits) -> None:
        self._database = database
        self._clock = clock
        self._settings = settings
        self._limits = limiter

    @property
    def longest_days(self) -> int:
        """Days that a token lives at most."""
        return self._settings.token_days

    async def issue(self, *, by: models.User, name: str, scopes: Sequence[Scope], days: int) -> token_models.Issued:
        """Make a token for a person. Invalid by field; QuotaExceeded past `MOST` live ones."""
        name = accounts.tidy(name)
        missing = None if scopes else "choose at least one"
        if Scope.ADMIN in scopes and not by.is_admin:
            missing = "administrators alone"
        accounts.refuse(
            {"name": accounts.name_problem(name), "scopes": missing, "days": days_problem(days, self._settings)}
        )
        async with self._database.session() as session:
            return await issue(
                session,
                kind=tokens.Kind.PERSONAL,
                owner=by.id,
                name=name,
                scopes=scopes,
                days=days,
                now=self._clock.now(),
            )

    async def list(self, *, user_id: str) -> tuple[token_models.AccessToken, ...]:
        """A person's tokens that are good, newest first."""
        async with self._database.session() as session:
            return await live(session, AccessTokenRow.user_id == user_id, now=self._clock.now())

    async def end(self, *, user_id: str, token_id: str) -> None:
        """End a token of that person, at once. Already ended is well; NotFound where it is not theirs."""
        async with self._database.session() as session:
            row = await session.get(AccessTokenRow, token_id)
            if row is None or row.user_id != user_id:
                raise kernel_errors.NotFound("no such token")
            row.ended_at = row.ended_at or self._clock.now()
        log.info("token ended", token=token_id, user=user_id)

    async def end_all(self, *, user_id: str) -> int:
        """End every token of that person; how many ended."""
        mine = (AccessTokenRow.user_id == user_id, AccessTokenRow.ended_at.is_(None))
        async with self._database.session() as session:
            return await queries.count(session, update(AccessTokenRow).where(*mine).values(ended_at=self._clock.now()))

    async def revoke(self, *, secret: str) -> None:
        """End the token that a program shows: its own. Not good already is well (RFC 7009, 2.2)."""
        this = (AccessTokenRow.token_hash == opaque.digest(secret), AccessTokenRow.ended_at.is_(None))
        async with self._database.session() as session:
            ended = await queries.count(session, update(AccessTokenRow).where(*this).values(ended_at=self._clock.now()))
        if ended:
            log.info("token revoked by who holds it")

    async def find(self, *, secret: str, address: str) -> token_models.Bearer:
        """Who a token speaks for. WrongToken, one answer for all that is not good; TooManyAttempts past the limit on those."""
        place = limits.normal_address(address)
        found = await self._find(secret, place) if tokens.is_well_formed(secret) else None
        if found is None:
            log.info("token refused", address=place)
            await self._limits.take([self._limits.bearer_bucket(address=place)])
            raise errors.WrongToken("this token is not good (any more)", hint="make another in your account")
        return found

    async def is_open(self, *, token_id: str) -> bool:
        """Whether that token is still good, for what was begun with it."""
        async with self._database.session() as session:
            row = await session.get(AccessTokenRow, token_id)
            return row is not None and await _bearer(session, row, self._clock.now()) is not None

    async def sweep(self) -> None:
        """Write down what has expired: the clock going back does not open it again."""
        now = self._clock.now()
        expired = (AccessTokenRow.ended_at.is_(None), AccessTokenRow.expires_at <= now)
        async with self._database.session() as session:
            await session.execute(update(AccessTokenRow).where(*expired).values(ended_at=now))

    async def _find(self, secret: str, place: str) -> token_models.Bearer | None:
        now = self._clock.now()
        async with self._database.session() as session:
            this = select(AccessTokenRow).where(AccessTokenRow.token_hash == opaque.digest(secret))
            row = (await session.scalars(this)).one_or_none()
            if row is None or (bearer := await _bearer(session, row, now)) is None:
                return None
            if row.last_used_at is None or not timedelta() <= now - row.last_used_at < SEEN_EVERY:
                row.last_used_at, row.last_address = now, place
        return bearer


async def issue(
    session: AsyncSession,
    *,
    kind: tokens.Kind,
    owner: str,
    name: str,
    scopes: Sequence[Scope],
    days: int,
    now: datetime,
) -> token_models.Issued:
    """Write a token, its fields checked before. QuotaExceeded past `MOST` live ones of that owner."""
    is_personal = kind is tokens.Kind.PERSONAL
    owned_by = AccessTokenRow.user_id if is_personal else AccessTokenRow.service_account_id
    count = select(func.count()).where(owned_by == owner, *_live(now))
    if (await session.scalar(count) or 0) >= MOST:
        raise kernel_errors.QuotaExceeded(
            f"there are {MOST} tokens already", hint="end those that are not used any more"
        )
    secret = tokens.new(kind)
    row = AccessTokenRow(
        id=ids.new_id(),
        token_hash=opaque.digest(secret),
        user_id=owner if is_personal else None,
        service_account_id=None if is_personal else owner,
        name=name,
        scopes=" ".join(scope for scope in Scope if scope in scopes),
        created_at=now,
        expires_at=now + timedelta(days=days),
        last_used_at=None,
        last_address="",
        ended_at=None,
    )
    session.add(row)
    await session.flush()
    log.info("token issued", token=row.id, owner=owner)
    return token_models.Issued(secret=secret, token=row.read())


async def live(
    session: AsyncSession, *where: ColumnElement[bool], now: datetime
) -> tuple[token_models.AccessToken, ...]:
    """The good tokens that `where` names, newest first."""
    statement = (
        select(AccessTokenRow).where(*where, *_live(now)).order_by(AccessTokenRow.created_at.desc(), AccessTokenRow.id)
    )
    return tuple(row.read() for row in await session.scalars(statement))


def days_problem(days: int, settings: IdentitySettings) -> str | None:
    """What is wrong with a token's length of life; None where nothing is."""
    return None if 1 <= days <= settings.token_days else f"between 1 and {settings.token_days} days"


def _live(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return AccessTokenRow.ended_at.is_(None), AccessTokenRow.expires_at > now


async def _bearer(session: AsyncSession, row: AccessTokenRow, now: datetime) -> token_models.Bearer | None:
    """Who the token of a row speaks for; None where it, or its owner, is not good any more."""
    if row.ended_at is not None:
        return None
    if now >= row.expires_at:
        row.ended_at = now
        return None
    if row.user_id is not None:
        user = await session.get_one(UserRow, row.user_id)
        return None if user.disabled_at else token_models.Bearer(user=user.read(), token=row.read())
    account = await session.get_one(ServiceAccountRow, row.service_account_id)
    project = await session.get_one(ProjectRow, account.project_id)
    if account.ended_at is not None or project.archived_at is not None:
        return None
    return token_models.Bearer(user=account.as_user(), token=row.read(), is_service_account=True)
