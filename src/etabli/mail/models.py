"""The vocabulary of mail. No I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Notice(StrEnum):
    """What people may choose to be told by e-mail."""

    SERVICE_ENDS = "service-ends"
    ACCOUNT_ASKED = "account-asked"  # Of administrators.


@dataclass(frozen=True)
class Message:
    """One message, as plain text: any reader shows it, and nothing in it is fetched."""

    to: str
    subject: str
    text: str


@dataclass(frozen=True)
class Kept:
    """A message that waits for its server, or that it gave up on."""

    id: str
    to: str
    subject: str
    created_at: datetime
    attempts: int
    problem: str  # What the server said last.
    given_up_at: datetime | None
