"""Mail's tables: messages that wait, and what people do not want to be told."""

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from etabli.kernel.database import Table
from etabli.mail import models


class OutboxRow(Table):
    """A message to send. Once it is sent its text goes; the row stays as long as the same thing could be told again."""

    __tablename__ = "mail_outbox"
    __table_args__ = (Index("mail_outbox_due", "due_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), unique=True)  # What it tells, to whom: told once.
    recipient: Mapped[str] = mapped_column(String(254))
    subject: Mapped[str] = mapped_column(String(200))
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime | None]  # None once it was sent or given up.
    attempts: Mapped[int] = mapped_column(default=0)
    problem: Mapped[str] = mapped_column(String(300), default="")
    given_up_at: Mapped[datetime | None]

    def read(self) -> models.Kept:
        return models.Kept(
            id=self.id,
            to=self.recipient,
            subject=self.subject,
            created_at=self.created_at,
            attempts=self.attempts,
            problem=self.problem,
            given_up_at=self.given_up_at,
        )


class UnwantedNoticeRow(Table):
    """A kind of notice that a person wants no e-mail of. People live in another room: no foreign key to them."""

    __tablename__ = "unwanted_notices"

    user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    notice: Mapped[str] = mapped_column(String(32), primary_key=True)
