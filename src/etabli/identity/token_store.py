"""The tables of what programs prove themselves with. Secrets are kept as in `store`: SHA-256 of 32 random bytes."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from etabli.identity import models, token_models
from etabli.identity.store import HASH, ID, NAME, SLUG
from etabli.kernel.database import Table

ADDRESS = String(64)


class ServiceAccountRow(Table):
    """A project's non-human member."""

    __tablename__ = "service_accounts"
    __table_args__ = (
        CheckConstraint("role in ('member', 'viewer')", name="service_accounts_role"),
        Index("service_accounts_project", "project_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    slug: Mapped[str] = mapped_column(String(100), unique=True)
    name: Mapped[str] = mapped_column(SLUG)
    role: Mapped[str] = mapped_column(String(16))
    created_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    def read(self) -> token_models.ServiceAccount:
        return token_models.ServiceAccount(
            id=self.id,
            project_id=self.project_id,
            slug=self.slug,
            name=self.name,
            role=models.Role(self.role),
            created_at=self.created_at,
            created_by=self.created_by,
        )

    def as_user(self) -> models.User:
        """How the rooms above read it: as a person without an account, who is in one project."""
        return models.User(
            id=self.id,
            slug=self.slug,
            name=self.name,
            email=None,
            is_admin=False,
            language="en",
            created_at=self.created_at,
            disabled_at=self.ended_at,
        )


class AccessTokenRow(Table):
    """A token of a person, or of a service account."""

    __tablename__ = "access_tokens"
    __table_args__ = (
        CheckConstraint("(user_id is null) != (service_account_id is null)", name="access_tokens_owner"),
        Index("access_tokens_user", "user_id"),
        Index("access_tokens_service_account", "service_account_id"),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    token_hash: Mapped[str] = mapped_column(HASH, unique=True)
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    service_account_id: Mapped[str | None] = mapped_column(ForeignKey("service_accounts.id"))
    name: Mapped[str] = mapped_column(NAME)
    scopes: Mapped[str] = mapped_column(String(200))  # Names of scopes, a space between them.
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    last_address: Mapped[str] = mapped_column(ADDRESS, default="")
    ended_at: Mapped[datetime | None]

    def read(self) -> token_models.AccessToken:
        return token_models.AccessToken(
            id=self.id,
            name=self.name,
            scopes=tuple(token_models.Scope(word) for word in self.scopes.split()),
            created_at=self.created_at,
            expires_at=self.expires_at,
            last_used_at=self.last_used_at,
            last_address=self.last_address,
            ended_at=self.ended_at,
        )


class DeviceRow(Table):
    """A program that asks its person for a token (RFC 8628)."""

    __tablename__ = "device_grants"
    __table_args__ = (Index("device_grants_expiry", "expires_at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    device_hash: Mapped[str] = mapped_column(HASH, unique=True)
    user_hash: Mapped[str] = mapped_column(HASH, unique=True)
    name: Mapped[str] = mapped_column(NAME)
    address: Mapped[str] = mapped_column(ADDRESS)
    scopes: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    interval_seconds: Mapped[int]
    polled_at: Mapped[datetime | None]
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    agreed: Mapped[bool] = mapped_column(default=False)
    decided_at: Mapped[datetime | None]
    spent_at: Mapped[datetime | None]
