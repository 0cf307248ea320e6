"""Identity's tables, for SQLite and PostgreSQL alike, and how a row reads as our vocabulary.

The front door's authoriser reads `sessions` and `memberships` with one raw join: a session is good when `ended_at` is null and
`expires_at` is ahead, and whoever suspends a person or sees a session expire writes `ended_at`, so that the join needs no other table.
Secrets are kept as SHA-256 of 32 random bytes: nothing to guess, so nothing to slow down; passwords alone are argon2id.
"""

import json
from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from etabli.identity import models
from etabli.kernel.database import Table

ID = String(32)
SLUG = String(40)
HASH = String(64)  # SHA-256, in hexadecimal.
NAME = String(200)
FIRST_INVITATION = "first"  # The id of the link that makes the first administrator: there is one at most.


class UsedSlugRow(Table):
    """Every slug that ever named a person or a project. Rows are never removed."""

    __tablename__ = "used_slugs"

    slug: Mapped[str] = mapped_column(SLUG, primary_key=True)
    taken_at: Mapped[datetime]


class UserRow(Table):
    """A person."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    slug: Mapped[str] = mapped_column(ForeignKey("used_slugs.slug"), unique=True)
    name: Mapped[str] = mapped_column(NAME)
    email: Mapped[str | None] = mapped_column(String(254), unique=True)
    email_verified_at: Mapped[datetime | None]  # None: somebody typed it, and nobody has shown that it is theirs.
    password_hash: Mapped[str | None] = mapped_column(String(255))  # None for who signs in elsewhere.
    is_admin: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str] = mapped_column(String(8))
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    theme: Mapped[str] = mapped_column(String(8), default="auto", server_default="auto")
    density: Mapped[str] = mapped_column(String(16), default="comfortable", server_default="comfortable")
    git_name: Mapped[str | None] = mapped_column(NAME)
    git_email: Mapped[str | None] = mapped_column(String(254))
    picture: Mapped[str | None] = mapped_column(HASH)
    first_steps_hidden: Mapped[bool] = mapped_column(default=False, server_default=false())

    def read(self) -> models.User:
        return models.User(
            id=self.id,
            slug=self.slug,
            name=self.name,
            email=self.email,
            is_admin=self.is_admin,
            language=self.language,
            created_at=self.created_at,
            disabled_at=self.disabled_at,
            look=models.Look(theme=models.Theme(self.theme), density=models.Density(self.density)),
            git=models.GitNames(name=self.git_name, email=self.git_email),
            picture=self.picture,
            first_steps_hidden=self.first_steps_hidden,
        )


class PictureRow(Table):
    """A person's photo, as we encoded it."""

    __tablename__ = "pictures"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    content: Mapped[bytes]


class ProjectRow(Table):
    """Where services, files and secrets live."""

    __tablename__ = "projects"
    __table_args__ = (CheckConstraint("kind in ('personal', 'shared')", name="projects_kind"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    slug: Mapped[str] = mapped_column(ForeignKey("used_slugs.slug"), unique=True)
    name: Mapped[str] = mapped_column(NAME)
    kind: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]
    archived_at: Mapped[datetime | None]
    description: Mapped[str] = mapped_column(Text, default="", server_default="")
    data_class: Mapped[str] = mapped_column(String(40), default="", server_default="")

    def read(self) -> models.Project:
        return models.Project(
            id=self.id,
            slug=self.slug,
            name=self.name,
            kind=models.ProjectKind(self.kind),
            created_at=self.created_at,
            archived_at=self.archived_at,
            description=self.description,
            data_class=self.data_class,
        )


class MembershipRow(Table):
    """Who is in which project, as what."""

    __tablename__ = "memberships"
    __table_args__ = (
        CheckConstraint("role in ('owner', 'member', 'viewer')", name="memberships_role"),
        Index("memberships_project", "project_id"),
    )

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    created_at: Mapped[datetime]


class DepartureRow(Table):
    """Who lost rights in a project not long ago (`departures`)."""

    __tablename__ = "departures"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"), primary_key=True)
    role: Mapped[str | None] = mapped_column(String(16))  # What they kept: `viewer`, or nothing.
    at: Mapped[datetime]

    def read(self) -> models.Departure:
        return models.Departure(
            project_id=self.project_id,
            user_id=self.user_id,
            role=None if self.role is None else models.Role(self.role),
            at=self.at,
        )


class SessionRow(Table):
    """One browser's stay."""

    __tablename__ = "sessions"
    __table_args__ = (Index("sessions_user", "user_id"), Index("sessions_expiry", "expires_at"))

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    token_hash: Mapped[str] = mapped_column(HASH, unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    user_agent: Mapped[str] = mapped_column(String(200), default="")
    address: Mapped[str] = mapped_column(String(64), default="")
    method: Mapped[str] = mapped_column(String(64), default=models.PASSWORD, server_default=models.PASSWORD)
    factors: Mapped[int] = mapped_column(default=1, server_default="1")
    proved_at: Mapped[datetime | None]  # None: when it was opened.

    def read(self) -> models.Session:
        return models.Session(
            id=self.id,
            user_id=self.user_id,
            created_at=self.created_at,
            expires_at=self.expires_at,
            last_seen_at=self.last_seen_at,
            user_agent=self.user_agent,
            address=self.address,
            ended_at=self.ended_at,
            method=self.method,
            factors=self.factors,
            proved_at=self.proved_at or self.created_at,
        )


class InvitationRow(Table):
    """A link that lets people in."""

    __tablename__ = "invitations"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    token_hash: Mapped[str] = mapped_column(HASH, unique=True)
    uses: Mapped[int]  # How many times it may be used in all.
    used: Mapped[int] = mapped_column(default=0)
    expires_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    project_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    role: Mapped[str | None] = mapped_column(String(16))
    makes_admin: Mapped[bool] = mapped_column(default=False)
    email: Mapped[str | None] = mapped_column(String(254))  # Of the account that it makes.
    created_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime]

    def read(self, project: models.Project | None) -> models.Invitation:
        return models.Invitation(
            id=self.id,
            uses_left=self.uses - self.used,
            expires_at=self.expires_at,
            project=project,
            role=None if self.role is None else models.Role(self.role),
            makes_admin=self.makes_admin,
            created_at=self.created_at,
            email=self.email,
        )


class AccountRequestRow(Table):
    """Somebody outside who asked for an account; one that waits for each e-mail."""

    __tablename__ = "account_requests"
    __table_args__ = (Index("account_requests_answered", "answered_at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    email: Mapped[str] = mapped_column(String(254))
    message: Mapped[str] = mapped_column(Text, default="")
    language: Mapped[str] = mapped_column(String(8))
    created_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answered_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    outcome: Mapped[str | None] = mapped_column(String(16))

    def read(self) -> models.AccountRequest:
        return models.AccountRequest(
            id=self.id,
            name=self.name,
            email=self.email,
            message=self.message,
            language=self.language,
            created_at=self.created_at,
        )


class ServiceTokenRow(Table):
    """What a running service proves itself with. Services live above: no foreign key to them."""

    __tablename__ = "service_tokens"

    service_id: Mapped[str] = mapped_column(ID, primary_key=True)
    project_id: Mapped[str] = mapped_column(ForeignKey("projects.id"))
    token_hash: Mapped[str] = mapped_column(HASH, unique=True)
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ClientRow(Table):
    """An application that signs people in through us."""

    __tablename__ = "oidc_clients"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(NAME)
    secret_hash: Mapped[str | None] = mapped_column(HASH)
    redirect_uris: Mapped[str] = mapped_column(Text)  # A JSON list.
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]

    def read(self) -> models.Client:
        return models.Client(
            id=self.id,
            name=self.name,
            redirect_uris=tuple(json.loads(self.redirect_uris)),
            confidential=self.secret_hash is not None,
            created_at=self.created_at,
        )


class CodeRow(Table):
    """An authorization code, kept past its use until what it bought has expired: a replay revokes that."""

    __tablename__ = "oidc_codes"
    __table_args__ = (Index("oidc_codes_expiry", "expires_at"),)

    id: Mapped[str] = mapped_column(ID, primary_key=True)  # In access tokens; says nothing of the code.
    code_hash: Mapped[str] = mapped_column(HASH, unique=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("oidc_clients.id"))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    redirect_uri: Mapped[str] = mapped_column(Text)
    scope: Mapped[str] = mapped_column(Text)
    nonce: Mapped[str | None] = mapped_column(Text)
    code_challenge: Mapped[str] = mapped_column(String(128))
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


class RateLimitRow(Table):
    """How full one bucket of failed attempts is. Keys are hashes: typed names may hold passwords."""

    __tablename__ = "rate_limits"

    key: Mapped[str] = mapped_column(HASH, primary_key=True)
    level: Mapped[float]
    updated_at: Mapped[datetime]
