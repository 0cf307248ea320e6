"""Whose account it is: the use cases of outside sign-in.

Whoever a provider names is looked for by provider, issuer and subject, which alone never change. Where they are nobody yet, an
account of the same e-mail is theirs only if both sides know it to be: the provider verified it and an administrator trusts it for
that, and it was verified here too. An e-mail that somebody merely typed here neither brings them in nor gives them anybody.
"""

from collections.abc import Mapping
from datetime import datetime

import structlog
from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, grants, limits, models, opaque, queries
from etabli.identity.factor_store import PasskeyRow
from etabli.identity.outside import attempts, errors, reading
from etabli.identity.outside.flow import Flow, Trip
from etabli.identity.outside.models import (
    METHOD,
    Arrival,
    Button,
    Departure,
    Finding,
    Identity,
    Newcomer,
    Said,
    Undecided,
)
from etabli.identity.outside.settings import ProviderSettings
from etabli.identity.outside.store import OutsideAttemptRow, OutsideIdentityRow
from etabli.identity.people import require_admin
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import UserRow
from etabli.kernel import errors as kernel_errors
from etabli.kernel import ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()


class Outside:
    """Signs people in through the providers of the settings."""

    def __init__(
        self,
        *,
        database: Database,
        clock: Clock,
        limiter: limits.Limits,
        settings: IdentitySettings,
        origin: str,
        environ: Mapping[str, str],
    ) -> None:
        self._database = database
        self._clock = clock
        self._limits = limiter
        self._origin = origin
        self._passwords = settings.password_for
        self._flows = {one.id: Flow(settings=one, clock=clock, environ=environ) for one in settings.providers}

    def providers(self) -> tuple[Button, ...]:
        """The providers, in the order of the settings."""
        return tuple(flow.button for flow in self._flows.values())

    async def begin(
        self, *, provider_id: str, browser: str, onward: str, language: str, user_id: str | None = None
    ) -> Departure:
        """Send a browser to a provider. `browser` is a secret of its own; `user_id`: for whom a link is asked, not a sign-in.

        NotFound where there is no such provider; Unavailable while it is down.
        """
        flow = self._flow(provider_id)
        trip = Trip(secret=browser, state=opaque.new(), redirect_uri=self.redirect_uri(provider_id))
        location = await flow.departure(trip, language=language)
        row = attempts.new(trip, provider_id=provider_id, onward=onward, user_id=user_id, now=self._clock.now())
        async with self._database.session() as session:
            session.add(row)
        return Departure(location=location, provider=flow.button)

    async def finish(
        self,
        *,
        provider_id: str,
        browsers: tuple[str, ...],
        query: Mapping[str, str],
        address: str,
        user_id: str | None,
    ) -> Arrival | Undecided:
        """Read a provider's answer. `browsers`: the secrets that the browser holds; `user_id`: who is signed in.

        Stale where nobody here asked for it, or it was used; NotAccepted where it is not believed; NotEntitled where the settings do
        not let them in; Unavailable while the provider is down; TooManyAttempts past the limit of one address.
        """
        flow = self._flow(provider_id)
        state = query.get("state", "")
        async with self._database.session() as session:
            taken = await attempts.take(
                session, state, provider_id=provider_id, browsers=browsers, now=self._clock.now()
            )
        if taken is None:
            raise errors.Stale()
        row, browser = taken
        if row.user_id is not None and row.user_id != user_id:
            raise errors.Stale()
        place = self._limits.place(limits.normal_address(address))
        await self._limits.take((place,))
        trip = Trip(secret=browser, state=state, redirect_uri=self.redirect_uri(provider_id))
        try:
            said = await flow.arrival(trip, query)
        except errors.NotAccepted as error:
            log.warning("an outside answer is not accepted", provider=provider_id, reason=error.reason)
            raise
        await self._limits.give_back((place,))
        if not reading.may_enter(said, flow.settings.enter):
            log.info("an outside person is not let in", provider=provider_id)
            raise errors.NotEntitled(flow.settings.name)
        return await self._known_or_kept(flow.settings, row, said)

    async def look(self, *, attempt_id: str, browsers: tuple[str, ...]) -> Newcomer:
        """What somebody undecided is asked. Stale where it is not theirs, decided, or too old."""
        async with self._database.session() as session:
            row, said = await self._undecided(session, attempt_id, browsers)
            settings = self._flow(row.provider_id).settings
            login = reading.proposed_login(said.login, said.name)
            base = ids.slugify(login, fallback="person")
            used = await queries.slugs_like(session, base[: ids.SLUG_LENGTH - 5])
            email = said.email if settings.trust_email else None
            holder = None if email is None else await queries.person_by_login(session, email)
            return Newcomer(
                attempt_id=row.id,
                provider=self._flow(row.provider_id).button,
                name=said.name or login,
                login=said.login,
                email=email if holder is None else None,
                slug=accounts.free_slug(base, used),
                email_is_taken=holder is not None,
                links=row.user_id is not None,
            )

    async def join(self, *, attempt_id: str, browsers: tuple[str, ...], name: str, slug: str, language: str) -> Arrival:
        """Make the account of somebody undecided. Invalid or Conflict by field; Stale as in `look`."""
        now = self._clock.now()
        async with accounts.unique_email(), self._database.session() as session:
            row, said = await self._undecided(session, attempt_id, browsers)
            settings = self._flow(row.provider_id).settings
            if row.user_id is not None:
                raise errors.Stale()
            form = _form(name, slug, language)
            email = said.email if settings.trust_email else None
            if email is not None and await queries.person_by_login(session, email) is None:
                form = accounts.Form(name=form.name, password="", email=email, language=language, slug=form.slug)
            user = await accounts.create(session, form, password_hash=None, is_admin=False, now=now)
            if form.email is not None:
                (await session.get_one(UserRow, user.id)).email_verified_at = now
            await self._link(session, row, said, user_id=user.id)
            await self._entered(session, settings, said, user_id=user.id)
            log.info("account created", user=user.id, provider=row.provider_id)
            return _arrival(row, said, user.id)

    async def link(self, *, attempt_id: str, browsers: tuple[str, ...], user: models.User) -> None:
        """Link what somebody brought back to the account that they are signed in to. Conflict where it is another account's."""
        async with self._database.session() as session:
            row, said = await self._undecided(session, attempt_id, browsers)
            if row.user_id != user.id:
                raise errors.Stale()
            await self._link(session, row, said, user_id=user.id)
            await self._entered(session, self._flow(row.provider_id).settings, said, user_id=user.id)
        log.info("outside identity linked", user=user.id, provider=row.provider_id)

    async def list(self, *, user_id: str) -> tuple[Identity, ...]:
        """Who a person is at which provider, oldest link first."""
        statement = (
            select(OutsideIdentityRow)
            .where(OutsideIdentityRow.user_id == user_id)
            .order_by(OutsideIdentityRow.linked_at, OutsideIdentityRow.id)
        )
        async with self._database.session() as session:
            return tuple(self._read(row) for row in await session.scalars(statement))

    async def unlink(self, *, user: models.User, identity_id: str) -> None:
        """Take a link away, and what its groups gave. NotFound where it is not theirs; Conflict for their last way in."""
        async with self._database.session() as session:
            person = await session.get_one(UserRow, user.id, with_for_update=True)
            row = await session.get(OutsideIdentityRow, identity_id)
            if row is None or row.user_id != user.id:
                raise kernel_errors.NotFound("no such link")
            if not await self._has_another_way(session, person, row):
                raise kernel_errors.Conflict(
                    "this is your only way in", hint="link another provider first, or choose a password"
                )
            await session.delete(row)
            await session.flush()
            if not await self._has_link(session, user.id, row.provider_id):
                await self._grant(session, row.provider_id, user_id=user.id, groups=())
        log.info("outside identity unlinked", user=user.id, provider=row.provider_id)

    async def check(self, *, by: models.User) -> tuple[Finding, ...]:
        """Try each provider now, for an administrator: discovery, keys, the lab's registration there."""
        require_admin(by)
        found = []
        for flow in self._flows.values():
            redirect_uri = self.redirect_uri(flow.settings.id)
            problems = await flow.problems(redirect_uri)
            finding = Finding(
                provider=flow.button,
                issuer=flow.settings.issuer,
                redirect_uri=redirect_uri,
                well=not problems,
                problems=problems,
            )
            found.append(finding)
        return tuple(found)

    async def sweep(self) -> None:
        """Forget trips that took too long."""
        async with self._database.session() as session:
            await session.execute(delete(OutsideAttemptRow).where(OutsideAttemptRow.expires_at <= self._clock.now()))

    async def close(self) -> None:
        """Close every connection."""
        for flow in self._flows.values():
            await flow.close()

    def redirect_uri(self, provider_id: str) -> str:
        """Where a provider sends browsers back: one address for each, so that none answers for another."""
        return f"{self._origin}/sign-in/with/{provider_id}/back"

    async def _known_or_kept(
        self, settings: ProviderSettings, row: OutsideAttemptRow, said: Said
    ) -> Arrival | Undecided:
        now = self._clock.now()
        async with self._database.session() as session:
            if row.user_id is None and (user_id := await self._known(session, settings, said)) is not None:
                await self._entered(session, settings, said, user_id=user_id)
                return _arrival(row, said, user_id)
            if row.user_id is None:
                await self._refuse_making(session, settings)
            await attempts.keep(session, row.id, said, now=now)
            return Undecided(attempt_id=row.id, provider=self._flow(row.provider_id).button)

    async def _known(self, session: AsyncSession, settings: ProviderSettings, said: Said) -> str | None:
        """Whose account it is already; None where it is nobody's. One of the same e-mail is linked where both sides verified it."""
        linked = await session.scalar(
            select(OutsideIdentityRow.user_id).where(*_same(settings.id, said.issuer, said.subject))
        )
        if linked is not None or said.email is None or not settings.trust_email:
            return linked
        holder = await queries.person_by_login(session, said.email)
        if holder is None or holder.email != said.email or holder.email_verified_at is None:
            return None
        session.add(_identity(settings.id, said, user_id=holder.id, now=self._clock.now()))
        log.info("outside identity linked", user=holder.id, provider=settings.id, by="verified e-mail")
        return holder.id

    async def _refuse_making(self, session: AsyncSession, settings: ProviderSettings) -> None:
        """Refused where nobody new comes in by this provider."""
        if settings.enter.invited_only or not settings.enter.makes_accounts:
            raise errors.NotEntitled(settings.name)
        if not await queries.has_people(session):
            raise kernel_errors.Refused("the lab has no administrator yet", hint="follow its first link")

    async def _entered(self, session: AsyncSession, settings: ProviderSettings, said: Said, *, user_id: str) -> None:
        """Note a sign-in: when, as whom, with which groups; an e-mail that both sides give is verified by it."""
        now, same = self._clock.now(), _same(settings.id, said.issuer, said.subject)
        seen = {"last_used_at": now, "login": _shown(said)}
        await session.execute(update(OutsideIdentityRow).where(*same).values(**seen))
        if settings.trust_email and said.email is not None:
            own = (UserRow.id == user_id, UserRow.email == said.email, UserRow.email_verified_at.is_(None))
            await session.execute(update(UserRow).where(*own).values(email_verified_at=now))
        await self._grant(session, settings.id, user_id=user_id, groups=said.groups)

    async def _grant(self, session: AsyncSession, provider_id: str, *, user_id: str, groups: tuple[str, ...]) -> None:
        flow = self._flows.get(provider_id)
        await grants.apply(
            session,
            user_id=user_id,
            provider_id=provider_id,
            rules=flow.settings.projects if flow else [],
            groups=groups,
            now=self._clock.now(),
        )

    async def _undecided(
        self, session: AsyncSession, attempt_id: str, browsers: tuple[str, ...]
    ) -> tuple[OutsideAttemptRow, Said]:
        found = await attempts.kept(session, attempt_id, browsers=browsers, now=self._clock.now())
        if found is None or found[0].provider_id not in self._flows:
            raise errors.Stale()
        return found

    async def _link(self, session: AsyncSession, row: OutsideAttemptRow, said: Said, *, user_id: str) -> None:
        """Link what was said, once. Conflict where it is linked to another account."""
        if not await attempts.decide(session, row.id):
            raise errors.Stale()
        there = await session.scalar(
            select(OutsideIdentityRow.user_id).where(*_same(row.provider_id, said.issuer, said.subject))
        )
        if there is None:
            session.add(_identity(row.provider_id, said, user_id=user_id, now=self._clock.now()))
            await session.flush()
        elif there != user_id:
            raise kernel_errors.Conflict(
                "that person is linked to another account of this lab",
                hint="sign in with it, and take the link away there first",
            )

    async def _has_another_way(self, session: AsyncSession, person: UserRow, but: OutsideIdentityRow) -> bool:
        """Whether they come in without that link: by password, by passkey, or by another provider that the settings still have."""
        if person.password_hash is not None and (self._passwords == "everyone" or person.is_admin):
            return True
        others = select(OutsideIdentityRow.id).where(
            OutsideIdentityRow.user_id == person.id,
            OutsideIdentityRow.id != but.id,
            OutsideIdentityRow.provider_id.in_(self._flows),
        )
        passkeys = select(PasskeyRow.id).where(PasskeyRow.user_id == person.id, PasskeyRow.copied_at.is_(None))
        return any([await session.scalar(one.limit(1)) is not None for one in (others, passkeys)])

    async def _has_link(self, session: AsyncSession, user_id: str, provider_id: str) -> bool:
        mine = (OutsideIdentityRow.user_id == user_id, OutsideIdentityRow.provider_id == provider_id)
        return await session.scalar(select(OutsideIdentityRow.id).where(*mine).limit(1)) is not None

    def _flow(self, provider_id: str) -> Flow:
        flow = self._flows.get(provider_id)
        if flow is None:
            raise kernel_errors.NotFound("there is no such page")
        return flow

    def _read(self, row: OutsideIdentityRow) -> Identity:
        flow = self._flows.get(row.provider_id)
        return Identity(
            id=row.id,
            user_id=row.user_id,
            provider_id=row.provider_id,
            provider_name=flow.settings.name if flow else row.provider_id,
            login=row.login,
            linked_at=row.linked_at,
            last_used_at=row.last_used_at,
        )


def _form(name: str, slug: str, language: str) -> accounts.Form:
    """What a newcomer chose, checked. Invalid by field."""
    name, slug = accounts.tidy(name), slug.strip()
    accounts.refuse(
        {
            "name": accounts.name_problem(name),
            "language": accounts.language_problem(language),
            "slug": None if ids.is_slug(slug) else "3 to 40 of a-z, 0-9 and single dashes, not reserved",
        }
    )
    return accounts.Form(name=name, password="", language=language, slug=slug)


def _arrival(row: OutsideAttemptRow, said: Said, user_id: str) -> Arrival:
    method = f"{METHOD}{row.provider_id}"
    return Arrival(user_id=user_id, onward=row.onward, method=method, factors=said.factors)


def _identity(provider_id: str, said: Said, *, user_id: str, now: datetime) -> OutsideIdentityRow:
    return OutsideIdentityRow(
        id=ids.new_id(),
        provider_id=provider_id,
        issuer=said.issuer,
        subject=said.subject,
        user_id=user_id,
        login=_shown(said),
        linked_at=now,
    )


def _shown(said: Said) -> str:
    return (said.login or said.name or said.subject)[: accounts.LONGEST_NAME]


def _same(provider_id: str, issuer: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return (
        OutsideIdentityRow.provider_id == provider_id,
        OutsideIdentityRow.issuer == issuer,
        OutsideIdentityRow.subject == subject,
    )
