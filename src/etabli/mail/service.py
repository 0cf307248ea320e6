"""Sending: now, with the outcome told to whoever waits; or later, kept and tried again.

A message that holds a link that lets somebody in is sent now and never kept; where it cannot be sent, its writer shows the link.
What is kept is told once (`key`), survives a kill at any moment, and is tried for two days. A kill between the server's answer and our
note sends it twice: rather twice than never.
"""

import asyncio
import ssl
from collections.abc import Collection
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

import structlog
from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError

from etabli.kernel import errors, ids
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database
from etabli.mail import models
from etabli.mail.settings import MailSettings, Security
from etabli.mail.store import OutboxRow, UnwantedNoticeRow

log = structlog.get_logger()

PAUSES = tuple(
    timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 180, 360, 720, 1440)
)  # Before each new attempt.
REMEMBERED = timedelta(days=60)  # How long the same thing is not told again.
BATCH = 20  # Messages of one turn: a server that was away is not flooded.
LONGEST_PROBLEM = 300


class Mail:
    """The lab's messages."""

    def __init__(self, *, database: Database, clock: Clock, settings: MailSettings, domain: str) -> None:
        """`domain` is the lab's: message ids are made under it (RFC 5322, 3.6.4)."""
        self._database = database
        self._clock = clock
        self._settings = settings
        self._domain = domain

    @property
    def is_set_up(self) -> bool:
        """Whether there is a server to hand messages to."""
        return bool(self._settings.host)

    async def send(self, *, message: models.Message) -> None:
        """Hand a message to the server now. Unavailable, with what went wrong, where it does not take it."""
        if not self.is_set_up:
            raise errors.Unavailable("this lab sends no e-mail", hint="set `[mail]` in `etabli.toml`")
        problem = await self._hand_over(message)
        if problem:
            log.warning("message not sent", problem=problem)
            raise errors.Unavailable(
                "the mail server did not take the message", hint="`etabli admin mail test` says what it answers"
            )

    async def test(self, *, to: str) -> str:
        """Send a message that says nothing; what the server refused it with, empty where it was taken."""
        if not self.is_set_up:
            return "no server is set: `[mail]` in `etabli.toml`"
        text = "This message shows that the lab can send e-mail.\n"
        return await self._hand_over(models.Message(to=to, subject="Etabli", text=text))

    async def keep(self, *, key: str, message: models.Message) -> bool:
        """Store a message to be sent in the background; False where `key` was told before, or nothing can be sent at all."""
        if not self.is_set_up:
            return False
        now = self._clock.now()
        row = OutboxRow(
            id=ids.new_id(),
            key=key,
            recipient=message.to,
            subject=message.subject[:200],
            text=message.text,
            created_at=now,
            due_at=now,
        )
        try:
            async with self._database.session() as session:
                session.add(row)
        except IntegrityError:
            return False
        return True

    async def told(self, *, keys: Collection[str]) -> frozenset[str]:
        """Which of these were kept before."""
        async with self._database.session() as session:
            return frozenset(await session.scalars(select(OutboxRow.key).where(OutboxRow.key.in_(keys))))

    async def deliver(self) -> int:
        """Try what is due, oldest first; how many messages were taken. Repeating it is safe."""
        async with self._database.session() as session:
            due = select(OutboxRow).where(OutboxRow.due_at <= self._clock.now()).order_by(OutboxRow.due_at).limit(BATCH)
            waiting = [
                (row.id, models.Message(to=row.recipient, subject=row.subject, text=row.text))
                for row in await session.scalars(due)
            ]
        sent = 0
        for message_id, message in waiting:
            problem = await self._hand_over(message)
            await self._note(message_id, problem)
            sent += not problem
        return sent

    async def waiting(self) -> tuple[models.Kept, ...]:
        """Messages that wait, and those that were given up, newest first: for administrators."""
        async with self._database.session() as session:
            open_ones = (OutboxRow.due_at.is_not(None)) | (OutboxRow.given_up_at.is_not(None))
            rows = await session.scalars(
                select(OutboxRow).where(open_ones).order_by(OutboxRow.created_at.desc()).limit(100)
            )
            return tuple(row.read() for row in rows)

    async def sweep(self) -> None:
        """Forget what was told long ago."""
        async with self._database.session() as session:
            old = OutboxRow.created_at < self._clock.now() - REMEMBERED
            await session.execute(delete(OutboxRow).where(old, OutboxRow.due_at.is_(None)))

    async def unwanted(self, *, user_id: str) -> frozenset[models.Notice]:
        """What that person wants no e-mail of."""
        async with self._database.session() as session:
            mine = select(UnwantedNoticeRow.notice).where(UnwantedNoticeRow.user_id == user_id)
            return frozenset(models.Notice(notice) for notice in await session.scalars(mine))

    async def choose(self, *, user_id: str, wanted: Collection[models.Notice]) -> None:
        """Set what that person is told by e-mail."""
        async with self._database.session() as session:
            await session.execute(delete(UnwantedNoticeRow).where(UnwantedNoticeRow.user_id == user_id))
            session.add_all(
                UnwantedNoticeRow(user_id=user_id, notice=notice.value)
                for notice in models.Notice
                if notice not in wanted
            )

    async def _note(self, message_id: str, problem: str) -> None:
        now = self._clock.now()
        async with self._database.session() as session:
            row = await session.get_one(OutboxRow, message_id)
            row.attempts += 1
            row.problem = problem[:LONGEST_PROBLEM]
            row.due_at = None if not problem else _next(row.attempts, now)
            if row.due_at is None:
                row.text = ""
                row.given_up_at = now if problem else None
        if problem:
            log.warning("message not sent", message=message_id, attempts=row.attempts, problem=problem)

    async def _hand_over(self, message: models.Message) -> str:
        """What went wrong; empty where the server took it."""
        import aiosmtplib  # noqa: PLC0415 - A lab without a mail server never loads it.

        chosen = self._settings
        try:
            await aiosmtplib.send(
                self._written(message),
                hostname=chosen.host,
                port=chosen.port,
                use_tls=chosen.security is Security.TLS,
                start_tls=chosen.security is Security.STARTTLS,
                tls_context=None if chosen.security is Security.NONE else ssl.create_default_context(),
                username=chosen.username or None,
                password=await asyncio.to_thread(_password, chosen.password_file) if chosen.username else None,
                timeout=chosen.timeout_seconds,
            )
        except aiosmtplib.SMTPAuthenticationError:
            return "the server refuses the lab's name or password"
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return " ".join(str(error).split())[:LONGEST_PROBLEM] or type(error).__name__
        return ""

    def _written(self, message: models.Message) -> EmailMessage:
        written = EmailMessage()
        written["From"] = self._settings.sender
        written["To"] = message.to
        written["Subject"] = " ".join(message.subject.split())
        written["Date"] = formatdate(self._clock.now().timestamp())
        written["Message-ID"] = make_msgid(domain=self._domain)
        written["Auto-Submitted"] = "auto-generated"  # RFC 3834: no out-of-office answers it.
        written.set_content(message.text)
        return written


def _next(attempts: int, now: datetime) -> datetime | None:
    return now + PAUSES[attempts - 1] if attempts <= len(PAUSES) else None


def _password(path: Path | None) -> str:
    assert path is not None  # The settings ask for it beside a name.
    lines = path.read_text().splitlines()
    return lines[0].strip() if lines else ""
