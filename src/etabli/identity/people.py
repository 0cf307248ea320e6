"""People who have an account: found, changed, suspended. How they come in is `invitations`; how they sign in, `sessions`."""

from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, departures, errors, limits, models, queries
from etabli.identity.endings import NOBODY
from etabli.identity.factor_store import PasskeyRow
from etabli.identity.passwords import Passwords
from etabli.identity.store import UserRow
from etabli.identity.token_store import ServiceAccountRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()


@dataclass(frozen=True)
class Profile:
    """What people may change of themselves."""

    name: str
    email: str | None
    language: str


class People:
    """The people of the lab."""

    def __init__(self, *, database: Database, clock: Clock, passwords: Passwords, limiter: limits.Limits) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._limits = limiter

    async def get(self, *, user_id: str) -> models.User:
        """A person by id, or a service account as one. NotFound where there is none."""
        async with self._database.session() as session:
            account = await session.get(ServiceAccountRow, user_id)
            return account.as_user() if account else (await _row(session, user_id)).read()

    async def named(self, *, slug: str) -> models.User:
        """A person by slug, for the lab's own operator. NotFound where there is none."""
        async with self._database.session() as session:
            row = (await session.scalars(select(UserRow).where(UserRow.slug == slug))).one_or_none()
            if row is None:
                raise kernel_errors.NotFound("no such person")
            return row.read()

    async def first_admin(self) -> models.User:
        """The administrator who has been there longest, and is not suspended. NotFound where there is none yet."""
        statement = (
            select(UserRow)
            .where(UserRow.is_admin.is_(True), UserRow.disabled_at.is_(None))
            .order_by(UserRow.created_at, UserRow.id)
            .limit(1)
        )
        async with self._database.session() as session:
            row = (await session.scalars(statement)).one_or_none()
            if row is None:
                raise kernel_errors.NotFound("the lab has no administrator yet", hint="follow its first link")
            return row.read()

    async def administrators(self) -> tuple[models.User, ...]:
        """Who may answer for the lab, suspended ones left out; asked by the lab itself."""
        statement = select(UserRow).where(UserRow.is_admin.is_(True), UserRow.disabled_at.is_(None))
        async with self._database.session() as session:
            return tuple(
                row.read() for row in await session.scalars(statement.order_by(UserRow.created_at, UserRow.id))
            )

    async def list(self, *, by: models.User) -> tuple[models.User, ...]:
        """Everybody, by name. Forbidden but for administrators."""
        require_admin(by)
        async with self._database.session() as session:
            rows = await session.scalars(select(UserRow).order_by(UserRow.name, UserRow.id))
            return tuple(row.read() for row in rows)

    async def ways(self, *, user_id: str) -> models.Ways:
        """What a person may prove themselves with. NotFound where there is no such person."""
        async with self._database.session() as session:
            row = await _row(session, user_id)
            mine = select(func.count()).where(PasskeyRow.user_id == user_id)
            return models.Ways(password=row.password_hash is not None, passkeys=await session.scalar(mine) or 0)

    async def is_empty(self) -> bool:
        """Whether nobody has an account yet."""
        async with self._database.session() as session:
            return not await queries.has_people(session)

    async def change_profile(self, *, user_id: str, profile: Profile) -> models.User:
        """Change what a person says of themselves; the slug stays. Invalid by field; Conflict where the e-mail is taken."""
        name, email = accounts.tidy(profile.name), (profile.email or "").strip().lower() or None
        accounts.refuse(
            {
                "name": accounts.name_problem(name),
                "email": accounts.email_problem(email),
                "language": accounts.language_problem(profile.language),
            }
        )
        async with accounts.unique_email(), self._database.session() as session:
            row = await _row(session, user_id)
            await accounts.check_email_is_free(session, email, but=user_id)
            if row.email != email:
                row.email_verified_at = None
            row.name, row.email, row.language = name, email, profile.language
            return row.read()

    async def change_password(
        self, *, user_id: str, current: str, new: str, address: str, session_id: str | None
    ) -> None:
        """Change a password and end the person's other sessions, all but `session_id`.

        WrongCredentials where `current` is not theirs (counted as a failed sign-in), Invalid where `new` will not do.
        """
        async with self._database.session() as session:
            row = await _row(session, user_id)
            user, stored = row.read(), row.password_hash
        names = tuple(word for word in (user.name, user.slug, user.email) if word)
        accounts.refuse({"new": self._passwords.problem(new, names=names)})
        place = limits.normal_address(address)
        buckets = self._limits.buckets(account=user_id, address=place, is_known=True)
        if not await self._passwords.verify(stored, current, first=partial(self._limits.take, buckets)):
            raise errors.WrongCredentials("the current password is wrong", hint="type the one you signed in with")
        await self._limits.give_back(buckets)
        fresh = await self._passwords.hash(new)
        async with self._database.session() as session:
            await session.execute(update(UserRow).where(UserRow.id == user_id).values(password_hash=fresh))
            await queries.end_sessions(session, user_id, now=self._clock.now(), keep=session_id)
        log.info("password changed", user=user_id)

    async def choose_password(self, *, user_id: str, new: str, session_id: str | None) -> None:
        """Give a first password to who came in another way, and end their other sessions; whoever calls has just had a proof of them.

        Invalid where `new` will not do; Conflict where they have one: that is `change_password`.
        """
        async with self._database.session() as session:
            user = (await _row(session, user_id)).read()
        names = tuple(word for word in (user.name, user.slug, user.email) if word)
        accounts.refuse({"new": self._passwords.problem(new, names=names)})
        fresh = await self._passwords.hash(new)
        none = (UserRow.id == user_id, UserRow.password_hash.is_(None))
        async with self._database.session() as session:
            if not await queries.count(session, update(UserRow).where(*none).values(password_hash=fresh)):
                raise kernel_errors.Conflict("this account has a password", hint="change it with the current one")
            await queries.end_sessions(session, user_id, now=self._clock.now(), keep=session_id)
        log.info("password chosen", user=user_id)

    async def suspend(self, *, by: models.User, user_id: str) -> models.User:
        """Keep a person out: their sessions end at once, all that is theirs stays. Conflict for the last administrator."""
        require_admin(by)
        now = self._clock.now()
        async with self._database.session() as session:
            admins = await queries.count_admins(session)
            row = await _row(session, user_id)
            if row.is_admin and row.disabled_at is None and admins == 1:
                raise kernel_errors.Conflict(
                    "the last administrator cannot be suspended", hint="name another administrator first"
                )
            row.disabled_at = row.disabled_at or now
            await queries.end_sessions(session, user_id, now=now)
            await departures.note_person(session, user_id=user_id, is_out=True, now=now)
            log.info("person suspended", user=user_id, by=by.id)
            return row.read()

    async def restore(self, *, by: models.User, user_id: str) -> models.User:
        """Let a suspended person in again. Their old sessions stay ended. Conflict where they ended their account themselves."""
        require_admin(by)
        async with self._database.session() as session:
            row = await _row(session, user_id)
            if row.name == NOBODY:
                raise kernel_errors.Conflict("this account has ended", hint="invite the person again")
            row.disabled_at = None
            await departures.note_person(session, user_id=user_id, is_out=False, now=self._clock.now())
            log.info("person restored", user=user_id, by=by.id)
            return row.read()


def require_admin(user: models.User) -> None:
    """Forbidden but for administrators."""
    if not user.is_admin:
        raise kernel_errors.Forbidden("this is for administrators of the lab", hint="ask one of them")


async def _row(session: AsyncSession, user_id: str) -> UserRow:
    row = await session.get(UserRow, user_id)
    if row is None:
        raise kernel_errors.NotFound("no such person")
    return row
