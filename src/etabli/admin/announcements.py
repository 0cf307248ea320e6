"""What the lab tells its people: in each language, from when, until when, and whether one may put it away.

What is current is kept in memory, since every page shows it; who put what away is asked only while something may be put away.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import structlog
from sqlalchemy import ForeignKey, String, Text, delete, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from etabli.identity.models import User
from etabli.identity.people import require_admin
from etabli.kernel import errors, ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database, Table
from etabli.kernel.events import Event, Events

log = structlog.get_logger()

LONGEST = 2000  # Characters of one language.
MOST = 200  # Kept in all.
FRESH = timedelta(seconds=30)  # How old what is in memory may be: another portal may have changed it.
TOPIC = "announcement"


class Level(StrEnum):
    """How much it matters."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class AnnouncementRow(Table):
    """One announcement."""

    __tablename__ = "announcements"

    id: Mapped[str] = mapped_column(String(16), primary_key=True)
    level: Mapped[str] = mapped_column(String(16))
    text_en: Mapped[str] = mapped_column(Text)
    text_fr: Mapped[str] = mapped_column(Text)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime | None]
    dismissable: Mapped[bool]
    created_by: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]


class DismissalRow(Table):
    """Who put which announcement away."""

    __tablename__ = "announcement_dismissals"

    announcement_id: Mapped[str] = mapped_column(ForeignKey("announcements.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(String(32), primary_key=True)


@dataclass(frozen=True)
class Draft:
    """What an administrator writes. A language left empty shows the other one."""

    level: Level = Level.INFO
    texts: Mapping[str, str] = field(default_factory=dict)  # Markdown, by language: `en`, `fr`.
    starts_at: datetime | None = None  # None: now.
    ends_at: datetime | None = None  # None: until it is taken back.
    dismissable: bool = True


@dataclass(frozen=True)
class Announcement:
    """One announcement as it is stored."""

    id: str
    level: Level
    texts: Mapping[str, str]
    starts_at: datetime
    ends_at: datetime | None
    dismissable: bool
    created_at: datetime

    def text(self, language: str) -> str:
        """Its Markdown in that language, else in the other."""
        return self.texts.get(language) or next(filter(None, self.texts.values()), "")

    def is_current(self, now: datetime) -> bool:
        """Whether people see it at that moment."""
        return self.starts_at <= now and (self.ends_at is None or now < self.ends_at)


class Announcements:
    """What the lab tells."""

    def __init__(self, *, database: Database, clock: Clock, events: Events) -> None:
        self._database = database
        self._clock = clock
        self._events = events
        self._known: tuple[float, tuple[Announcement, ...]] | None = None

    async def list(self, *, by: User) -> tuple[Announcement, ...]:
        """All of them, the newest first, those that are over too."""
        require_admin(by)
        async with self._database.session() as session:
            rows = await session.scalars(
                select(AnnouncementRow).order_by(AnnouncementRow.starts_at.desc(), AnnouncementRow.id)
            )
            return tuple(_read(row) for row in rows)

    async def get(self, *, by: User, announcement_id: str) -> Announcement:
        """One of them. NotFound where there is none."""
        require_admin(by)
        async with self._database.session() as session:
            row = await session.get(AnnouncementRow, announcement_id)
        if row is None:
            raise _not_found()
        return _read(row)

    async def publish(self, *, by: User, draft: Draft) -> Announcement:
        """Tell people. Invalid by field."""
        require_admin(by)
        row = AnnouncementRow(id=ids.new_id(), created_by=by.id, created_at=self._clock.now())
        self._write(row, draft)
        async with self._database.session() as session:
            kept = await session.scalars(select(AnnouncementRow.id).limit(MOST))
            if len(kept.all()) >= MOST:
                raise errors.Conflict("there are too many announcements", hint="delete some that are over")
            session.add(row)
        self._changed(row.id)
        log.info("announcement published", announcement=row.id, by=by.id)
        return _read(row)

    async def change(self, *, by: User, announcement_id: str, draft: Draft) -> Announcement:
        """Write it anew; who put it away sees it again. Invalid by field; NotFound."""
        require_admin(by)
        async with self._database.session() as session:
            row = await session.get(AnnouncementRow, announcement_id)
            if row is None:
                raise _not_found()
            self._write(row, draft)
            await session.execute(delete(DismissalRow).where(DismissalRow.announcement_id == row.id))
        self._changed(row.id)
        return _read(row)

    async def end(self, *, by: User, announcement_id: str) -> None:
        """Take it back for good; none of that id is well."""
        require_admin(by)
        async with self._database.session() as session:
            await session.execute(delete(DismissalRow).where(DismissalRow.announcement_id == announcement_id))
            await session.execute(delete(AnnouncementRow).where(AnnouncementRow.id == announcement_id))
        self._changed(announcement_id)

    async def current(self, *, user_id: str) -> tuple[Announcement, ...]:
        """What this person sees now: what matters most first, what they put away left out."""
        now = self._clock.now()
        shown = [one for one in await self._all() if one.is_current(now)]
        may_be_away = [one.id for one in shown if one.dismissable]
        if may_be_away:
            mine = (DismissalRow.user_id == user_id, DismissalRow.announcement_id.in_(may_be_away))
            async with self._database.session() as session:
                away = set(await session.scalars(select(DismissalRow.announcement_id).where(*mine)))
            shown = [one for one in shown if one.id not in away]
        return tuple(sorted(shown, key=lambda one: -list(Level).index(one.level)))

    async def dismiss(self, *, user_id: str, announcement_id: str) -> None:
        """Put it away for this person. NotFound where there is none; Forbidden where it may not be."""
        found = next((one for one in await self._all() if one.id == announcement_id), None)
        if found is None:
            raise _not_found()
        if not found.dismissable:
            raise errors.Forbidden("this announcement stays until its end")
        try:
            async with self._database.session() as session:
                session.add(DismissalRow(announcement_id=announcement_id, user_id=user_id))
        except IntegrityError:
            return  # Put away already, or taken back this very moment.

    async def _all(self) -> tuple[Announcement, ...]:
        """Those that are not over, from memory while it is fresh."""
        moment = self._clock.monotonic()
        if self._known is None or moment - self._known[0] > FRESH.total_seconds():
            to_come = or_(AnnouncementRow.ends_at.is_(None), AnnouncementRow.ends_at > self._clock.now())
            async with self._database.session() as session:
                rows = await session.scalars(select(AnnouncementRow).where(to_come).order_by(AnnouncementRow.starts_at))
                self._known = (moment, tuple(_read(row) for row in rows))
        return self._known[1]

    def _write(self, row: AnnouncementRow, draft: Draft) -> None:
        texts = {code: _tidy(draft.texts.get(code, "")) for code in ("en", "fr")}
        starts_at = draft.starts_at or self._clock.now()
        faults = {f"text_{code}": f"at most {LONGEST} characters" for code in texts if len(texts[code]) > LONGEST}
        if not any(texts.values()):
            faults["text_en"] = "say something, in one language at least"
        if draft.ends_at is not None and draft.ends_at <= starts_at:
            faults["ends_at"] = "must be after its beginning"
        if faults:
            raise errors.Invalid("an announcement is wrong", hint="see each field", fields=faults)
        row.level, row.dismissable = draft.level.value, draft.dismissable
        row.text_en, row.text_fr = texts["en"], texts["fr"]
        row.starts_at, row.ends_at = starts_at, draft.ends_at

    def _changed(self, announcement_id: str) -> None:
        self._known = None
        self._events.publish(Event(topic=TOPIC, subject=announcement_id))


def _tidy(text: str) -> str:
    """The text with plain line ends and no characters of control."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text.replace("\r\n", "\n")).strip()


def _read(row: AnnouncementRow) -> Announcement:
    return Announcement(
        id=row.id,
        level=Level(row.level),
        texts={"en": row.text_en, "fr": row.text_fr},
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        dismissable=row.dismissable,
        created_at=row.created_at,
    )


def _not_found() -> errors.NotFound:
    return errors.NotFound("there is no such announcement", hint="it may have been taken back")
