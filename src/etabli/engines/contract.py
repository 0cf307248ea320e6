"""What an engine promises. Capabilities above see this file and nothing else of an engine.

An engine takes the manifests that a chart rendered and makes them run; `process` makes sandboxes of this machine, `kubernetes` a
release in a namespace. A service's id is chosen and stored before `apply`, and every name in the engine derives from it: repeating a
call finds what the first one made. An engine keeps its own record; a `Handle` is what it needs to find a service again, and only it
reads what is inside. Already gone is success for `stop` and `destroy`, and `Phase.GONE` for `status`.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

Manifest: TypeAlias = Mapping[str, object]  # One Kubernetes object, as YAML or JSON reads it.


class Phase(StrEnum):
    """Where a service, or one pod of it, is."""

    WAITING = "waiting"  # Accepted; nothing runs yet (its turn, its images, its resources).
    STARTING = "starting"  # Something runs; not all that must answer answers.
    READY = "ready"  # All that must answer answers.
    FINISHED = "finished"  # All its pods were to end, and ended well.
    STOPPING = "stopping"
    STOPPED = "stopped"  # Nothing runs; volumes are kept.
    FAILED = "failed"  # It does not come up, and says why; the engine may still be trying.
    GONE = "gone"  # The engine knows of nothing by that name.


@dataclass(frozen=True)
class Project:
    """On whose ground a service runs: services of one project see each other, and nothing of another's."""

    id: str
    namespace: str  # The Kubernetes namespace, and what `<service>.<namespace>` resolves under.


@dataclass(frozen=True)
class ApplyRequest:
    """What is to run. Applying again with another revision changes what runs."""

    service_id: str
    project: Project
    release: str  # Helm's release name: the label app.kubernetes.io/instance of what it rendered.
    manifests: tuple[Manifest, ...]  # Rendered, complete, Secret data included.
    images: Mapping[str, str] = field(
        default_factory=dict
    )  # Image as the manifests name it → digest of its environment.
    hosts: tuple[str, ...] = ()  # The host names that its Ingresses may claim, lower case, without port.
    revision: int = 1


@dataclass(frozen=True)
class Handle:
    """A service in an engine: versioned JSON that the engine owns and the portal stores."""

    engine: str
    version: int
    data: Mapping[str, str]


@dataclass(frozen=True)
class Usage:
    """What something consumed, or consumes."""

    cpu_seconds: float = 0.0  # Processor time since its start.
    memory_bytes: int = 0  # Resident now, page cache that can be dropped not counted.


@dataclass(frozen=True)
class PodStatus:
    """One pod, as `kubectl get pod` would tell it."""

    name: str
    phase: Phase
    ready: bool = False
    restarts: int = 0
    reason: str = ""  # A word or two (`OOMKilled`, `CrashLoopBackOff`), as Kubernetes names it.
    message: str = ""  # A sentence for people.
    exit_code: int | None = None  # Of its last end; 128 + n for signal n.
    started_at: datetime | None = None
    usage: Usage = Usage()


@dataclass(frozen=True)
class Route:
    """One Ingress rule that the front door may serve."""

    host: str
    path: str  # A prefix, `/` for all.
    upstream: str  # An opaque key that the front door resolves under one folder; never an address.


@dataclass(frozen=True)
class Status:
    """A service as the engine sees it now."""

    phase: Phase
    message: str = ""
    pods: tuple[PodStatus, ...] = ()
    routes: tuple[Route, ...] = ()
    usage: Usage = Usage()


@dataclass(frozen=True)
class Change:
    """Something of a service may have changed; `status` tells what."""

    service_id: str


@dataclass(frozen=True)
class LogLine:
    """One line that a container wrote."""

    pod: str
    container: str
    text: str  # Without its line ending; undecodable bytes replaced.
    at: datetime | None = None  # When it was written, where the engine knows.


@dataclass(frozen=True)
class Resources:
    """Cores and memory, asked for or free."""

    cpu: float = 0.0  # Cores.
    memory_bytes: int = 0


@dataclass(frozen=True)
class Health:
    """Whether the engine can take work now."""

    ready: bool
    reason: str = ""  # A sentence for people where it cannot.
    total: Resources = Resources()  # What this engine may grant in all.
    reserved: Resources = Resources()  # What requests of running services hold.


class Guarantee(StrEnum):
    """How firmly a limit or a wall holds here."""

    ENFORCED = "enforced"
    BEST_EFFORT = "best effort"
    NONE = "none"
    NOT_VERIFIED = "not verified"


@dataclass(frozen=True)
class Capabilities:
    """What this engine can do here, as data, so that pages and `etabli doctor` can show it."""

    limits: Mapping[str, Guarantee] = field(default_factory=dict)  # `memory`, `cpu`, `processes`, `disk`, `network`…
    internet: bool = True  # Whether services reach beyond the lab.
    hangs_up: bool = False  # Whether it is a `CanHangUp`.


@runtime_checkable
class CanHangUp(Protocol):
    """An engine that can end the connections which the front door holds open to services."""

    async def hang_up(self, project_id: str) -> None:
        """End all of a project's, websockets too: whoever may still come in connects again. None open is success."""
        ...


class Engine(Protocol):
    """Runs services in one place. Calls return promptly; repeating a call is safe."""

    name: str

    def capabilities(self) -> Capabilities:
        """What it can do here."""
        ...

    async def check(self, request: ApplyRequest | None = None) -> Health:
        """Whether it can take work now; if not, why.

        With a request it raises what `apply` would, and starts nothing: images that are not built yet are not looked for.
        """
        ...

    async def apply(self, request: ApplyRequest) -> Handle:
        """Start or change a service: accepted, not yet ready.

        Refused (with the path inside the manifest, `spec.hostNetwork`) where the manifests ask what this engine does not do;
        QuotaExceeded where the requests can never fit. Nothing of it is left when it raises.
        """
        ...

    async def status(self, handle: Handle) -> Status:
        """The service now; `Phase.GONE` where there is nothing. This is also how it is found after a restart."""
        ...

    def watch(self) -> AsyncIterator[Change]:
        """Every change of any service from now on. One stream feeds every page."""
        ...

    async def stop(self, handle: Handle, *, grace: timedelta) -> None:
        """End what runs, after SIGTERM and `grace`; volumes stay. `apply` starts it again."""
        ...

    async def destroy(self, handle: Handle) -> None:
        """Remove everything it made."""
        ...

    def logs(self, handle: Handle, *, follow: bool = False) -> AsyncIterator[LogLine]:
        """What its containers wrote, oldest first; with `follow`, on as they write."""
        ...
