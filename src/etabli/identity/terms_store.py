"""The tables of the terms of use: each version as it was published, and who accepted which, when."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from etabli.kernel.database import Table


class TermsRow(Table):
    """A version. Never changed, never removed: what people accepted can be read again."""

    __tablename__ = "terms"

    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    published_at: Mapped[datetime]
    published_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))  # None: from the files of `branding/`.
    withdrawn_at: Mapped[datetime | None]


class TermsTextRow(Table):
    """A version in one language, Markdown."""

    __tablename__ = "terms_texts"

    version: Mapped[int] = mapped_column(ForeignKey("terms.version"), primary_key=True)
    language: Mapped[str] = mapped_column(String(8), primary_key=True)
    text: Mapped[str] = mapped_column(Text)


class TermsAcceptanceRow(Table):
    """That a person accepted a version."""

    __tablename__ = "terms_acceptances"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    version: Mapped[int] = mapped_column(ForeignKey("terms.version"), primary_key=True)
    accepted_at: Mapped[datetime]
