"""The vocabulary of the audit log, and the digest that chains its rows. No I/O."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

SECRETS = re.compile(r"pass|token|secret|code|csrf|cookie|authorization|\bkey", re.IGNORECASE)
MOST_DETAILS = 12
LONGEST_DETAIL = 200  # Characters.
LONGEST_NAME = 100  # Of an actor, an action, a target.


class ActorKind(StrEnum):
    """Who acts."""

    PERSON = "person"
    OPERATOR = "operator"  # Somebody at the lab's own machine, acting as a person.
    SERVICE_ACCOUNT = "service-account"
    LAB = "lab"  # The lab by itself: what expires, what is swept.
    NOBODY = "nobody"  # Not known: a failed sign-in.


class Means(StrEnum):
    """By what they act."""

    SESSION = "session"
    TOKEN = "token"
    SOCKET = "socket"
    ITSELF = "itself"
    NOTHING = "nothing"


class Outcome(StrEnum):
    """What came of it."""

    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"  # A mistake of the lab's, or a part that was away: it may be half done.


@dataclass(frozen=True)
class Actor:
    """Who acts, and by what."""

    kind: ActorKind
    by: Means
    id: str = ""
    name: str = ""  # The slug: it never changes and is never given again.


LAB = Actor(kind=ActorKind.LAB, by=Means.ITSELF, name="lab")
NOBODY = Actor(kind=ActorKind.NOBODY, by=Means.NOTHING)


@dataclass(frozen=True)
class Entry:
    """What happened, as it is told to the log."""

    actor: Actor
    action: str  # `services.stop`, `account.change_password`: section and verb.
    outcome: Outcome = Outcome.DONE
    target_kind: str = ""  # `service`, `person`, `project`…
    target: str = ""  # Its id, or its slug.
    project: str = ""  # The slug of the project it belongs to.
    address: str = ""  # From where: an IP address; empty for the machine itself.
    detail: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """An entry in its place."""

    number: int  # From 1, without a gap.
    at: datetime
    entry: Entry
    previous: str  # The digest of the record before; empty for the first.
    digest: str


@dataclass(frozen=True)
class Query:
    """What to look for; all that is given must hold."""

    who: str = ""  # An actor's slug.
    what: str = ""  # The beginning of an action.
    target: str = ""
    project: str = ""
    outcome: str = ""
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None  # Only records of a lower number: the next page.


@dataclass(frozen=True)
class Export:
    """One day as it was copied."""

    day: str  # `2026-11-24`, UTC.
    object_key: str
    digest: str  # SHA-256 of the object.
    rows: int
    last_number: int
    last_digest: str
    exported_at: datetime


@dataclass(frozen=True)
class Verdict:
    """Whether the log is as it was written."""

    rows: int
    first_wrong: int | None = None  # The number of the first record that does not hold.
    reason: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing was found."""
        return self.first_wrong is None


def cleaned(detail: Mapping[str, object]) -> Mapping[str, str]:
    """Details that may be kept: few, short, none whose name tells of a secret."""
    kept = {str(key)[:LONGEST_NAME]: str(value)[:LONGEST_DETAIL] for key, value in detail.items()}
    return {key: kept[key] for key in list(kept)[:MOST_DETAILS] if not SECRETS.search(key)}


def content(record: Record) -> dict[str, object]:
    """A record as it is digested and exported, without its digest."""
    entry = record.entry
    return {
        "number": record.number,
        "at": record.at.isoformat(),
        "actor": {"kind": entry.actor.kind, "by": entry.actor.by, "id": entry.actor.id, "name": entry.actor.name},
        "action": entry.action,
        "outcome": entry.outcome,
        "target": {"kind": entry.target_kind, "id": entry.target},
        "project": entry.project,
        "address": entry.address,
        "detail": dict(entry.detail),
        "previous": record.previous,
    }


def digest(record: Record) -> str:
    """SHA-256 of the record's content, the digest of the one before included, as canonical JSON."""
    return hashlib.sha256(_canonical(content(record)).encode()).hexdigest()


def line(record: Record) -> str:
    """A record as one line of JSON, its digest with it."""
    return _canonical({**content(record), "digest": record.digest})


def _canonical(value: Mapping[str, object]) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
