"""The vocabulary of identity: people, projects, roles, sessions, invitations, and what is said of them in tokens. No I/O.

A person and their own project share one slug; a shared project has a slug of its own from the same namespace. Slugs are immutable and
never reused: buckets, vault folders and policies stand on them. Display names are free and mean nothing to a policy.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

PASSWORD, PASSKEY = "password", "passkey"  # How a session was entered; `outside:<id>` for a provider elsewhere.


class Role(StrEnum):
    """What a member may do in a project: a viewer reads, a member works, an owner also decides who is in."""

    VIEWER = "viewer"
    MEMBER = "member"
    OWNER = "owner"

    def covers(self, other: "Role") -> bool:
        """Whether this role may do all that `other` may."""
        return _RANK[self] >= _RANK[other]


_RANK = {Role.VIEWER: 0, Role.MEMBER: 1, Role.OWNER: 2}


class ProjectKind(StrEnum):
    """Whose a project is: one person's, for good, or of the people who are in it."""

    PERSONAL = "personal"
    SHARED = "shared"


class Level(StrEnum):
    """How loudly a data class is said."""

    QUIET = "quiet"
    NOTICE = "notice"
    WARNING = "warning"


@dataclass(frozen=True)
class DataClass:
    """Which data a project may hold, as its people read it."""

    id: str
    name: Mapping[str, str]  # By language.
    sentence: Mapping[str, str]  # What it asks of whoever works there, by language.
    level: Level


class Audience(StrEnum):
    """The parts of the lab that accept tokens: a token for one buys nothing at another."""

    S3 = "s3"
    VAULT = "vault"
    K8S = "k8s"
    API = "api"


class Theme(StrEnum):
    """What pages look like: as the person's device says, or always one of the two."""

    AUTO = "auto"
    LIGHT = "light"
    DARK = "dark"


class Density(StrEnum):
    """How much air rows and controls have."""

    COMFORTABLE = "comfortable"
    COMPACT = "compact"


@dataclass(frozen=True)
class Look:
    """How a person wants pages to be."""

    theme: Theme = Theme.AUTO
    density: Density = Density.COMFORTABLE


@dataclass(frozen=True)
class GitNames:
    """What a person's own services sign commits with; None: their name and e-mail here."""

    name: str | None = None
    email: str | None = None


@dataclass(frozen=True)
class User:
    """A person."""

    id: str
    slug: str
    name: str
    email: str | None  # Lower case; as the person gave it, not verified.
    is_admin: bool
    language: str  # `en`, `fr`.
    created_at: datetime
    disabled_at: datetime | None = None
    look: Look = Look()
    git: GitNames = GitNames()
    picture: str | None = None  # The SHA-256 of what `Profiles.picture` gives, in hexadecimal.
    first_steps_hidden: bool = False


@dataclass(frozen=True)
class Project:
    """Where services, files and secrets live."""

    id: str
    slug: str
    name: str
    kind: ProjectKind
    created_at: datetime
    archived_at: datetime | None = None
    description: str = ""  # Markdown, as its owners wrote it.
    data_class: str = ""  # The id of a data class; empty: the lab's first.

    @property
    def is_shared(self) -> bool:
        """Whether others may be in it."""
        return self.kind is ProjectKind.SHARED


@dataclass(frozen=True)
class Access:
    """A project as one person may use it."""

    project: Project
    role: Role
    since: datetime  # When they came in.

    @property
    def may_work(self) -> bool:
        """Whether they launch and change there, and do not only look."""
        return self.role.covers(Role.MEMBER) and self.project.archived_at is None

    @property
    def is_owner(self) -> bool:
        """Whether they decide who is in."""
        return self.role is Role.OWNER


@dataclass(frozen=True)
class Member:
    """A person as a project's members see them."""

    user: User
    role: Role
    since: datetime


@dataclass(frozen=True)
class Departure:
    """Somebody who lost rights in a project not long ago."""

    project_id: str
    user_id: str
    role: Role | None  # What they may still do there: look, or nothing.
    at: datetime


@dataclass(frozen=True)
class Session:
    """One browser's stay, from sign-in to its end. Its token is known to the browser alone."""

    id: str
    user_id: str
    created_at: datetime
    expires_at: datetime  # Moves with use, never past the absolute end.
    last_seen_at: datetime  # Written at most once a minute.
    user_agent: str
    address: str
    proved_at: datetime  # When the person last proved who they are.
    ended_at: datetime | None = None
    method: str = PASSWORD
    factors: int = 1  # How many were shown: 2 with a code beside a password, or a passkey that verified its user.


@dataclass(frozen=True)
class SignedIn:
    """Who is behind a request, and by which session."""

    user: User
    session: Session


@dataclass(frozen=True)
class Opened:
    """A session just opened, with the one copy of its token: for the cookie, then to be forgotten."""

    token: str
    session: Session
    user: User


@dataclass(frozen=True)
class Invitation:
    """A link that lets people in: into the lab, and into one project where it names one."""

    id: str
    uses_left: int
    expires_at: datetime | None
    project: Project | None
    role: Role | None
    makes_admin: bool
    created_at: datetime
    email: str | None = None  # Whose account it makes; None for whoever holds the link.


@dataclass(frozen=True)
class AccountRequest:
    """Somebody outside who asked for an account, in their own words."""

    id: str
    name: str
    email: str  # As typed: nobody has shown yet that it is theirs.
    message: str
    language: str
    created_at: datetime


@dataclass(frozen=True)
class Invited:
    """An invitation just made, with the one copy of its token: for the link, then to be forgotten."""

    token: str
    invitation: Invitation


@dataclass(frozen=True)
class ServiceIdentity:
    """A running service that proved itself: it acts as its project, never as who launched it."""

    service_id: str
    project: Project


@dataclass(frozen=True)
class Caller:
    """Who a token of the audience `api` speaks for, as it says."""

    subject: str  # The id of a user or of a project.
    slug: str
    groups: tuple[str, ...]
    expires_at: datetime


@dataclass(frozen=True)
class Client:
    """An application that signs people in through us."""

    id: str
    name: str
    redirect_uris: tuple[str, ...]  # Compared whole, character by character.
    confidential: bool  # Whether it holds a secret; a public client is bound by PKCE alone.
    created_at: datetime


@dataclass(frozen=True)
class RegisteredClient:
    """A client just registered, with the one copy of its secret; None for a public one."""

    client: Client
    secret: str | None


@dataclass(frozen=True)
class Passkey:
    """A key that one of a person's devices, or their password manager, keeps for this lab."""

    id: str
    name: str
    synced: bool  # Whether it is copied between devices by who keeps it.
    transports: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None
    copied_at: datetime | None  # When it was seen to have been copied; it opens nothing since.


@dataclass(frozen=True)
class Ways:
    """What a person may prove themselves with here."""

    password: bool
    passkeys: int


@dataclass(frozen=True)
class SecondFactor:
    """How a person's codes stand."""

    since: datetime | None  # None where they have none.
    recovery_left: int
    is_required: bool  # By the lab's setting, of this person.


@dataclass(frozen=True)
class SetUp:
    """What an application that makes codes is told, this once."""

    secret: str  # Base32, in groups of four.
    uri: str  # `otpauth://…`, for a QR code.


@dataclass(frozen=True)
class Recovered:
    """A session opened by a second factor."""

    opened: Opened
    recovery_left: int | None  # Where it was a recovery code: how many are left.


@dataclass(frozen=True)
class ResetLink:
    """A link that lets one person choose a new password. Its token is shown this once."""

    token: str
    user: User
    expires_at: datetime


@dataclass(frozen=True)
class Reset:
    """What a reset link leads to."""

    user: User
    removes_factors: bool


@dataclass(frozen=True)
class Terms:
    """A version of the terms of use."""

    version: int
    published_at: datetime
    texts: Mapping[str, str]  # Markdown by language.
    withdrawn_at: datetime | None = None

    def text(self, language: str) -> tuple[str, str]:
        """What to show to a reader of `language`, and the language that it is in: the first one where it is not there."""
        found = language if language in self.texts else next(iter(self.texts))
        return found, self.texts[found]


@dataclass(frozen=True)
class Acceptance:
    """That a person accepted a version of the terms."""

    slug: str
    name: str
    version: int
    accepted_at: datetime
