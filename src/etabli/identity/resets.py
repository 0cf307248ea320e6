"""Links for who cannot get in any more: an administrator makes one, or the lab's operator on its machine, and hands it over.

A link is good once, for a day, and only the last one made for a person. It lets them choose a password; it removes passkeys and codes
only where whoever made it said that it may, and its person asks for it. All their sessions end.
"""

from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, delete, select, update

from etabli.identity import accounts, codes, models, opaque, queries
from etabli.identity.factor_store import PasskeyRow, ResetLinkRow
from etabli.identity.passwords import Passwords
from etabli.identity.people import require_admin
from etabli.identity.store import UserRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

LIFETIME = timedelta(days=1)


class Resets:
    """Lets people in again."""

    def __init__(self, *, database: Database, clock: Clock, passwords: Passwords) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords

    async def make(self, *, by: models.User, slug: str, removes_factors: bool = False) -> models.ResetLink:
        """A link for the person with that slug; the one before it ends. Forbidden but for administrators; NotFound; Conflict for who
        is suspended.
        """
        require_admin(by)
        now, token = self._clock.now(), opaque.new()
        async with self._database.session() as session:
            row = (await session.scalars(select(UserRow).where(UserRow.slug == slug))).one_or_none()
            if row is None:
                raise errors.NotFound("no such person")
            if row.disabled_at is not None:
                raise errors.Conflict("this account is suspended", hint="restore it first")
            open_links = (ResetLinkRow.user_id == row.id, ResetLinkRow.ended_at.is_(None))
            await session.execute(update(ResetLinkRow).where(*open_links).values(ended_at=now))
            link = ResetLinkRow(
                token_hash=opaque.digest(token),
                user_id=row.id,
                removes_factors=removes_factors,
                created_by=by.id,
                created_at=now,
                expires_at=now + LIFETIME,
            )
            session.add(link)
        log.info("reset link made", user=row.id, by=by.id, removes_factors=removes_factors)
        return models.ResetLink(token=token, user=row.read(), expires_at=now + LIFETIME)

    async def look(self, *, token: str) -> models.Reset:
        """What a link leads to. NotFound where it is none, was used, or is too old."""
        async with self._database.session() as session:
            statement = select(ResetLinkRow, UserRow).join(UserRow, UserRow.id == ResetLinkRow.user_id)
            found = (await session.execute(statement.where(*self._live(token)))).one_or_none()
        if found is None:
            raise _spent()
        return models.Reset(user=found[1].read(), removes_factors=found[0].removes_factors)

    async def use(self, *, token: str, password: str, remove_factors: bool = False) -> models.User:
        """Choose a new password by a link; every session ends. Invalid `password`; NotFound as `look`."""
        user = (await self.look(token=token)).user
        names = tuple(word for word in (user.name, user.slug, user.email) if word)
        accounts.refuse({"password": self._passwords.problem(password, names=names)})
        fresh, now = await self._passwords.hash(password), self._clock.now()
        async with self._database.session() as session:
            row = (await session.scalars(select(ResetLinkRow).where(*self._live(token)))).one_or_none()
            spend = update(ResetLinkRow).where(*self._live(token)).values(ended_at=now)
            if row is None or not await queries.count(session, spend):
                raise _spent()
            await session.execute(update(UserRow).where(UserRow.id == user.id).values(password_hash=fresh))
            await queries.end_sessions(session, user.id, now=now)
            if remove_factors and row.removes_factors:
                await codes.forget(session, user.id)
                await session.execute(delete(PasskeyRow).where(PasskeyRow.user_id == user.id))
        log.info("password reset", user=user.id, removed_factors=remove_factors and row.removes_factors)
        return user

    def _live(self, token: str) -> tuple[ColumnElement[bool], ...]:
        return (
            ResetLinkRow.token_hash == opaque.digest(token),
            ResetLinkRow.ended_at.is_(None),
            ResetLinkRow.expires_at > self._clock.now(),
        )


def _spent() -> errors.NotFound:
    return errors.NotFound(
        "this link is not good, or no more", hint="ask an administrator for a new one; each is good once, for a day"
    )
