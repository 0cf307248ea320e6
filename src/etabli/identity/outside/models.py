"""The vocabulary of outside sign-in: what a provider says of a person, and how far their way in is. No I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

Claims = Mapping[str, object]

LONGEST_SUBJECT = 255  # Characters, ASCII (OpenID Connect Core 1.0 section 2).
METHOD = "outside:"  # How a session says that its person came this way; the provider's id follows.


@dataclass(frozen=True)
class Button:
    """A way in, as the sign-in page shows it."""

    id: str
    name: str


@dataclass(frozen=True)
class Said:
    """What a provider says of a person, checked and tidied."""

    subject: str  # Theirs for good at that provider, of one issuer; as it is, case included.
    issuer: str
    login: str  # What their short name may be proposed from; may be empty.
    name: str  # May be empty.
    email: str | None  # ASCII, lower case; only where the provider verified it.
    groups: tuple[str, ...] = ()
    factors: int = 1  # How many the provider says it asked for, where an administrator believes it.
    claims: Claims = field(default_factory=dict)  # All of them, for the rules of entry. Never stored.


@dataclass(frozen=True)
class Departure:
    """Where to send a browser, and the lab's own word of what it is for."""

    location: str
    provider: Button


@dataclass(frozen=True)
class Arrival:
    """Somebody who is known: whose account it is, and where they were going."""

    user_id: str
    onward: str
    method: str
    factors: int


@dataclass(frozen=True)
class Undecided:
    """Somebody who must say what they want: an account, or a link to the one they are signed in to. Kept by this id for a while."""

    attempt_id: str
    provider: Button


@dataclass(frozen=True)
class Newcomer:
    """What somebody undecided is asked about."""

    attempt_id: str
    provider: Button
    name: str
    login: str
    email: str | None
    slug: str  # A proposal, free when it was made.
    email_is_taken: bool  # An account here gives their e-mail, which nobody verified.
    links: bool  # They are signed in, and asked for a link.


@dataclass(frozen=True)
class Identity:
    """A person at a provider, linked to an account."""

    id: str
    user_id: str
    provider_id: str
    provider_name: str  # The id, where the settings have no such provider any more.
    login: str
    linked_at: datetime
    last_used_at: datetime | None


@dataclass(frozen=True)
class Finding:
    """What trying a provider has shown."""

    provider: Button
    issuer: str
    redirect_uri: str  # What must be registered there, character by character.
    well: bool
    problems: Sequence[str]
