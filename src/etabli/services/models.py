"""The vocabulary of services. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from etabli.engines import contract


class Desired(StrEnum):
    """What its people want of a service."""

    RUNNING = "running"
    STOPPED = "stopped"
    DELETED = "deleted"


class State(StrEnum):
    """Where a service is, as its people read it."""

    WAITING = "waiting"  # Stored; its turn comes.
    BUILDING = "building"  # Its environment is being made.
    STARTING = "starting"
    READY = "ready"
    FINISHED = "finished"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    DELETING = "deleting"


LIVE_STATES = frozenset({State.WAITING, State.BUILDING, State.STARTING, State.READY, State.STOPPING, State.DELETING})
"""States that will change by themselves, or may: a page follows them."""

STATE_OF_PHASE: Mapping[contract.Phase, State] = {
    contract.Phase.WAITING: State.WAITING,
    contract.Phase.STARTING: State.STARTING,
    contract.Phase.READY: State.READY,
    contract.Phase.FINISHED: State.FINISHED,
    contract.Phase.STOPPING: State.STOPPING,
    contract.Phase.STOPPED: State.STOPPED,
    contract.Phase.FAILED: State.FAILED,
    contract.Phase.GONE: State.WAITING,
}


class EventKind(StrEnum):
    """What happened to a service; pages have a sentence for each."""

    LAUNCHED = "launched"
    BUILDING = "building"  # detail: the environment's name.
    BUILD_FAILED = "build-failed"  # detail: the last words of the build.
    STARTING = "starting"
    READY = "ready"
    RESTARTED = "restarted"  # detail: pod and reason.
    FAILED = "failed"  # detail: the reason.
    STOPPED = "stopped"
    RESUMED = "resumed"
    RENAMED = "renamed"  # detail: the new name.
    EXTENDED = "extended"  # detail: until when, ISO 8601.
    EXPIRES_SOON = "expires-soon"  # detail: when, ISO 8601.
    EXPIRED = "expired"
    DELETED = "deleted"
    STOPPED_BY_ADMINISTRATOR = "stopped-by-administrator"  # detail: the reason given.
    EXTENDED_BY_ADMINISTRATOR = "extended-by-administrator"  # detail: the reason given.


@dataclass(frozen=True)
class Service:
    """One service, as stored."""

    id: str
    project_id: str
    owner_id: str  # Who launched it.
    name: str  # What people read; anything they like, at most 100 characters.
    catalog: str
    chart: str
    chart_version: str
    desired: Desired
    state: State
    message: str  # Why it is where it is, where that needs words.
    revision: int  # Of its manifests; counts from 1.
    created_at: datetime
    state_since: datetime
    expires_at: datetime | None  # When it stops by itself, or, once stopped, is deleted; None is never.
    requests: contract.Resources  # What it holds of the engine.
    limits: contract.Resources  # What it may use at most; zero is no limit of its own.
    openable: bool  # Whether it has an address to open.
    values: Mapping[str, object] = field(default_factory=dict)  # What the person changed of the chart's defaults.
    notes: str = ""  # The chart's NOTES, Markdown.
    handle: contract.Handle | None = None

    @property
    def is_live(self) -> bool:
        """Whether it changes by itself."""
        return self.state in LIVE_STATES


@dataclass(frozen=True)
class ServiceEvent:
    """Something that happened to a service."""

    service_id: str
    at: datetime
    kind: EventKind
    detail: str = ""


@dataclass(frozen=True)
class Use:
    """What a service used when it was last looked at."""

    cores: float  # Mean over the seconds since the look before.
    memory_bytes: int


@dataclass(frozen=True)
class Launch:
    """What is asked for. `values` is only what differs from the chart's defaults, nested as in values.yaml."""

    project_id: str
    catalog: str
    chart: str
    name: str = ""  # Empty: the chart's name.
    version: str | None = None  # None: the newest that is not a prerelease.
    values: Mapping[str, object] = field(default_factory=dict)
    key: str | None = None  # Repeating a launch with the same key answers the first one: a double click is one service.


@dataclass(frozen=True)
class Revision:
    """What a chart rendered for a service, once: a restart never renders again, charts draw random passwords."""

    service_id: str
    number: int
    manifests: tuple[contract.Manifest, ...]  # Secret data replaced by references to the vault.
    images: tuple[str, ...]  # `etabli/…` images that the manifests name.
    hosts: tuple[str, ...]  # Host names that it may claim.
    notes: str = ""
