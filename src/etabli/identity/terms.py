"""The terms of use: versions that are published once and kept, and who accepted which.

A version comes from an administrator, or from `branding/terms.<language>.md` when the lab starts and a file says something else than
it did at the start before. Whether somebody accepted the current one is asked at each request: who did is remembered in memory, which
nothing takes back; the current version is read again every minute, for a lab of several portals.
"""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from etabli.identity import accounts, models
from etabli.identity.people import require_admin
from etabli.identity.store import UserRow
from etabli.identity.terms_store import TermsAcceptanceRow, TermsRow, TermsTextRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database

log = structlog.get_logger()

LONGEST = 100_000  # Characters of one language.
PREFIX, SUFFIX = "terms.", ".md"
Texts = Mapping[str, str]


class Terms:
    """The terms of use of the lab. `open` comes first."""

    def __init__(self, *, database: Database, clock: Clock, folder: Path) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder
        self._current: models.Terms | None = None
        self._accepted: set[str] = set()  # Who accepted the current version.

    @property
    def current(self) -> models.Terms | None:
        """The version that holds; None where there is none."""
        return self._current

    async def open(self) -> None:
        """Read the version that holds; publish what the files of `branding/` say, where they say something new."""
        await self.refresh()
        texts = await asyncio.to_thread(_files, self._folder)
        if not texts:
            return
        async with self._database.session() as session:
            last = await session.scalar(select(func.max(TermsRow.version)).where(TermsRow.published_by.is_(None)))
            known = {} if last is None else await _texts(session, last)
        if texts != known:
            await self._publish(texts, by=None)

    async def refresh(self) -> None:
        """Read again which version holds."""
        async with self._database.session() as session:
            row = (await session.scalars(select(TermsRow).order_by(TermsRow.version.desc()).limit(1))).one_or_none()
            held = None if row is None or row.withdrawn_at is not None else await _read(session, row)
        if (held and held.version) != (self._current and self._current.version):
            self._accepted.clear()
        self._current = held

    async def publish(self, *, by: models.User, texts: Texts) -> models.Terms:
        """Publish a version, which everybody is asked to accept. The one that holds again where nothing changed.

        Forbidden but for administrators; Invalid by language; Conflict where somebody else publishes at this moment.
        """
        require_admin(by)
        kept = {language: _tidy(text) for language, text in texts.items() if text.strip()}
        problems = {language: _problem(language, text) for language, text in kept.items()}
        accounts.refuse({"en": "a text" if not kept else None, **problems})
        if self._current is not None and kept == dict(self._current.texts):
            return self._current
        return await self._publish(kept, by=by)

    async def withdraw(self, *, by: models.User) -> None:
        """Ask nobody any more; what was accepted is kept. None holding is well."""
        require_admin(by)
        async with self._database.session() as session:
            still = update(TermsRow).where(TermsRow.withdrawn_at.is_(None))
            await session.execute(still.values(withdrawn_at=self._clock.now()))
        log.info("terms withdrawn", by=by.id)
        await self.refresh()

    async def accept(self, *, user: models.User, version: int) -> None:
        """That person accepts that version. Conflict where it is not the one that holds; again is well."""
        if self._current is None or version != self._current.version:
            raise errors.Conflict("the terms have changed meanwhile", hint="read them again")
        try:
            async with self._database.session() as session:
                if await session.get(TermsAcceptanceRow, (user.id, version)) is None:
                    now = self._clock.now()
                    session.add(TermsAcceptanceRow(user_id=user.id, version=version, accepted_at=now))
        except IntegrityError:
            log.debug("terms accepted twice at once", user=user.id)
        self._accepted.add(user.id)
        log.info("terms accepted", user=user.id, version=version)

    async def is_due(self, *, user_id: str) -> bool:
        """Whether that person has still to accept the version that holds."""
        if self._current is None or user_id in self._accepted:
            return False
        async with self._database.session() as session:
            found = await session.get(TermsAcceptanceRow, (user_id, self._current.version))
        if found is None:
            return True
        self._accepted.add(user_id)
        return False

    async def versions(self, *, by: models.User) -> Sequence[tuple[models.Terms, int]]:
        """Every version with how many people accepted it, newest first. Forbidden but for administrators."""
        require_admin(by)
        counted = (
            select(TermsRow, func.count(TermsAcceptanceRow.user_id))
            .outerjoin(TermsAcceptanceRow, TermsAcceptanceRow.version == TermsRow.version)
            .group_by(TermsRow.version)
            .order_by(TermsRow.version.desc())
        )
        async with self._database.session() as session:
            rows = (await session.execute(counted)).all()
            return [(await _read(session, row), count) for row, count in rows]

    async def acceptances(self, *, by: models.User, version: int | None = None) -> Sequence[models.Acceptance]:
        """Who accepted which version, or that one, newest first. Forbidden but for administrators."""
        require_admin(by)
        statement = select(TermsAcceptanceRow, UserRow).join(UserRow, UserRow.id == TermsAcceptanceRow.user_id)
        if version is not None:
            statement = statement.where(TermsAcceptanceRow.version == version)
        newest = statement.order_by(TermsAcceptanceRow.accepted_at.desc(), UserRow.slug)
        async with self._database.session() as session:
            return [
                models.Acceptance(slug=user.slug, name=user.name, version=row.version, accepted_at=row.accepted_at)
                for row, user in (await session.execute(newest)).all()
            ]

    async def _publish(self, texts: Texts, *, by: models.User | None) -> models.Terms:
        now = self._clock.now()
        try:
            async with self._database.session() as session:
                version = (await session.scalar(select(func.max(TermsRow.version))) or 0) + 1
                session.add(TermsRow(version=version, published_at=now, published_by=by.id if by else None))
                await session.flush()
                session.add_all(
                    TermsTextRow(version=version, language=language, text=text) for language, text in texts.items()
                )
        except IntegrityError as error:
            raise errors.Conflict("somebody else published terms at this moment", hint="look at them first") from error
        log.info("terms published", version=version, by=by.id if by else None)
        await self.refresh()
        return models.Terms(version=version, published_at=now, texts=texts)


def _files(folder: Path) -> dict[str, str]:
    """What `terms.<language>.md` say, by language."""
    found = {
        path.name.removeprefix(PREFIX).removesuffix(SUFFIX): _tidy(path.read_text(encoding="utf-8", errors="replace"))
        for path in sorted(folder.glob(f"{PREFIX}*{SUFFIX}"))
    }
    wrong = {language: problem for language, text in found.items() if (problem := _problem(language, text))}
    if wrong:
        language, problem = next(iter(wrong.items()))
        name = f"{PREFIX}{language}{SUFFIX}"
        raise errors.Invalid(f"`{name}` is not good: {problem}", hint="correct it, then start again")
    return found


def _tidy(text: str) -> str:
    return text.replace("\r\n", "\n").strip() + "\n"


def _problem(language: str, text: str) -> str | None:
    if accounts.language_problem(language) is not None:
        return accounts.language_problem(language)
    if not text.strip():
        return "a text"
    return None if len(text) <= LONGEST else f"at most {LONGEST} characters"


async def _read(session: AsyncSession, row: TermsRow) -> models.Terms:
    texts = await _texts(session, row.version)
    return models.Terms(version=row.version, published_at=row.published_at, texts=texts, withdrawn_at=row.withdrawn_at)


async def _texts(session: AsyncSession, version: int) -> dict[str, str]:
    statement = select(TermsTextRow).where(TermsTextRow.version == version).order_by(TermsTextRow.language)
    return {row.language: row.text for row in await session.scalars(statement)}
