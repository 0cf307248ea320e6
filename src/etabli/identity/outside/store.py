"""Tables of outside sign-in: trips under way, who is who at which provider, and what groups gave."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from etabli.identity.store import HASH, ID, NAME
from etabli.kernel.database import Table

PROVIDER = String(32)


class OutsideAttemptRow(Table):
    """A trip to a provider and back. What it said is kept while the person decides, without any token."""

    __tablename__ = "outside_attempts"
    __table_args__ = (Index("outside_attempts_expiry", "expires_at"),)

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # Of no use without the browser's cookie.
    state_hash: Mapped[str] = mapped_column(HASH, unique=True)
    browser_hash: Mapped[str] = mapped_column(HASH)
    provider_id: Mapped[str] = mapped_column(PROVIDER)
    user_id: Mapped[str | None] = mapped_column(
        ForeignKey("users.id")
    )  # Who asked for a link; None: somebody coming in.
    onward: Mapped[str] = mapped_column(Text)
    said: Mapped[str | None] = mapped_column(Text)  # JSON, once back; None again once decided.
    used_at: Mapped[datetime | None]
    expires_at: Mapped[datetime]


class OutsideIdentityRow(Table):
    """Somebody at a provider, and whose account that is. The issuer is part of it: an id put on another provider opens nothing."""

    __tablename__ = "outside_identities"
    __table_args__ = (
        UniqueConstraint("provider_id", "issuer", "subject", name="outside_identities_subject"),
        Index("outside_identities_user", "user_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    provider_id: Mapped[str] = mapped_column(PROVIDER)
    issuer: Mapped[str] = mapped_column(String(500))
    subject: Mapped[str] = mapped_column(String(255))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    login: Mapped[str] = mapped_column(NAME)  # As it was at the last sign-in, for people to recognise.
    linked_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]


class GrantRow(Table):
    """A membership that a provider's group gave. `before` is what a person had given, None where nobody had."""

    __tablename__ = "outside_grants"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    provider_id: Mapped[str] = mapped_column(PROVIDER, primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    before: Mapped[str | None] = mapped_column(String(16))
    created_at: Mapped[datetime]


class RuleProjectRow(Table):
    """The project that a provider's rule made, by the short name that the rule asked for."""

    __tablename__ = "outside_projects"

    provider_id: Mapped[str] = mapped_column(PROVIDER, primary_key=True)
    asked: Mapped[str] = mapped_column(String(200), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    created_at: Mapped[datetime]
