"""The lab's own parts, for administrators: its components as the supervisor sees them, its settings and where each comes from.

Nothing secret passes here: settings are masked by who reads them (`assembly.machine`), and last words of logs before they are shown.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from etabli.identity.models import User
from etabli.identity.people import require_admin

# What may be a key or a token in a log: long words of their letters. A path is cut at its slashes, so that it stays.
SECRET = re.compile(r"[A-Za-z0-9+_=-]{24,}|(?<=[?&])[^\s=&]+=[^\s&]+")
MASK = "•••"


@dataclass(frozen=True)
class Component:
    """One supervised process."""

    name: str
    state: str  # `running`, `starting`, `backoff`, `fatal`, `stopped`.
    ready: bool
    since: str  # ISO 8601, UTC; empty where not known.
    version: str
    pid: int | None
    memory_bytes: int | None  # Resident now; None where it does not run.
    starts: int  # By this supervisor; 0 for one that was found running.
    failures: int  # Ends in a row.
    words: str  # Why it does not run, and the last lines of its log.


@dataclass(frozen=True)
class Setting:
    """One setting, as the lab runs with it."""

    section: str
    key: str
    value: str  # As TOML or JSON would write it; masked where it is a secret.
    default: str
    origin: str  # `default`, `file`, `environment`.
    line: int | None  # Of `etabli.toml`.
    description: str


class Supervised(Protocol):
    """What knows the machine's side of the lab."""

    def components(self) -> tuple[Component, ...]:
        """Every component now, the supervisor first. Blocks for some milliseconds."""
        ...

    def settings(self) -> tuple[Setting, ...]:
        """Every setting that this process runs with."""
        ...


class Machine:
    """What the lab runs on."""

    def __init__(self, supervised: Supervised) -> None:
        self._supervised = supervised

    def components(self, *, by: User) -> tuple[Component, ...]:
        """Every component now."""
        require_admin(by)
        return self._supervised.components()

    def settings(self, *, by: User) -> tuple[Setting, ...]:
        """Every setting."""
        require_admin(by)
        return self._supervised.settings()

    def restarts(self) -> dict[str, int]:
        """How often each component was started, for metrics."""
        return {one.name: one.starts for one in self._supervised.components()}


def without_secrets(words: str) -> str:
    """Lines of a log with all that may be a key, a token or a query's values taken out."""
    return SECRET.sub(MASK, words)
