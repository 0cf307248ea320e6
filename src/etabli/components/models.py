"""The vocabulary of supervised components: what to run, what it needs, how one knows that it answers, and where it stands. No I/O.

A `Component` is data alone, so that a whole `Plan` is one file that the supervisor, a light process, reads without any of the rooms
that wrote it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True)
class Health:
    """How one knows that a component answers: a connection to its UNIX socket, and an HTTP GET where `path` is given.

    UNIX sockets alone: they are reached from every network namespace.
    """

    socket: Path
    path: str | None = None  # None: accepting the connection is enough.
    host: str = "localhost"  # The Host header of the GET.
    statuses: tuple[int, ...] = (200,)  # What counts as an answer.


@dataclass(frozen=True)
class Port:
    """A TCP address of this machine that a component listens on: when somebody else has it, we say who."""

    address: str
    number: int


@dataclass(frozen=True)
class Component:
    """One supervised process. `folder` is its own: working directory, HOME, log, record of its process."""

    name: str  # `caddy`, `seaweedfs`…: one word of a-z and dashes, unique in a plan.
    argv: tuple[str, ...]  # Absolute program first. Never a secret: every account reads command lines.
    folder: Path  # Under `Layout.components`, 0700.
    env: Mapping[str, str] = field(
        default_factory=dict
    )  # The whole environment but HOME, XDG_* and PATH, which are set.
    files: tuple[
        Path, ...
    ] = ()  # Its rendered configuration: when their content differs from what it was started with, it is restarted.
    version: str = ""  # What program it is, from `versions`: another version is restarted, never adopted.
    places: tuple[str, ...] = ()  # Words of `argv` that only say where programs lie: `version` says which.
    needs: tuple[str, ...] = ()  # Names of components that must answer before it starts.
    health: Health | None = None  # None: alive is well.
    inner: bool = False  # Lives in the components' own network namespace, which has a loopback and nothing else.
    once: bool = False  # A step of set-up: runs to its end each time its turn comes; 0 lets those that need it start.
    ports: tuple[Port, ...] = ()  # Outside the inner namespace only.
    start_seconds: float = 60.0  # How long it may take to answer before the start counts as failed.
    grace_seconds: float = 10.0  # Between SIGTERM and SIGKILL.
    log_bytes: int = 4 * 1024 * 1024  # Its log keeps between half of this and all of it.

    @property
    def log(self) -> Path:
        """Where its standard output and error go, appended."""
        return self.folder / "log"


@dataclass(frozen=True)
class Plan:
    """Everything that one supervisor runs for one lab."""

    data: Path  # The lab's data folder: one supervisor at a time, by a lock in it.
    run: Path  # Where the state is written for `etabli status`.
    components: tuple[Component, ...]


class State(StrEnum):
    """Where a component is. A step of set-up that ended well is RUNNING: it holds what it promised."""

    STOPPED = "stopped"  # Not started yet, or stopped on purpose.
    STARTING = "starting"  # Its process runs and does not answer yet, or answers for less than the steady time.
    RUNNING = "running"  # It has answered for the steady time.
    BACKOFF = "backoff"  # It ended by itself; the next start waits.
    FATAL = "fatal"  # It ended too often in a row: its last words are kept, and it is tried again once a minute.


MOVES: Mapping[State, frozenset[State]] = {
    State.STOPPED: frozenset({State.STARTING}),
    State.STARTING: frozenset({State.RUNNING, State.BACKOFF, State.FATAL, State.STOPPED}),
    State.RUNNING: frozenset({State.BACKOFF, State.FATAL, State.STOPPED}),
    State.BACKOFF: frozenset({State.STARTING, State.FATAL, State.STOPPED}),
    State.FATAL: frozenset({State.STARTING, State.STOPPED}),
}


@dataclass(frozen=True)
class Status:
    """What is known of one component at one moment."""

    name: str
    state: State = State.STOPPED
    ready: bool = False  # It answers: those that need it may start.
    pid: int | None = None
    since: str = ""  # When it took this state, ISO 8601 in UTC.
    starts: int = 0  # Processes started by this supervisor; 0 for one that was adopted.
    failures: int = 0  # Ends in a row without reaching RUNNING.
    words: str = ""  # Why it is in BACKOFF or FATAL: exit code and the last lines of its log, at most 1 KiB.
