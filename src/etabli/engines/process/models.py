"""The vocabulary of a plan: what one service is to run here, with nothing left to look up. No I/O.

A plan is made once per revision from rendered manifests (`manifests.plan`), stored before anything starts, and followed by the
controller ever after: a restart of the portal or of the machine never reads a chart again. It holds Secret data: whoever stores it
stores it 0600.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydantic import ConfigDict, TypeAdapter

from etabli.engines import contract

NOTHING = contract.Resources()


class Restart(StrEnum):
    """When a container that ended is started again."""

    ALWAYS = "Always"
    ON_FAILURE = "OnFailure"
    NEVER = "Never"


class Workload(StrEnum):
    """What keeps a pod."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    JOB = "Job"


class VolumeKind(StrEnum):
    """Where a volume's files come from."""

    EMPTY = "emptyDir"  # Made empty with the pod, gone with it.
    MEMORY = "emptyDir in memory"
    FILES = "files"  # Of Secrets and ConfigMaps: in the plan, read-only.
    CLAIM = "persistentVolumeClaim"  # Lasts until the service is destroyed.


class Field(StrEnum):
    """What only a started pod knows."""

    POD_IP = "status.podIP"
    HOST_IP = "status.hostIP"


@dataclass(frozen=True)
class EnvVar:
    """One variable, in the order of the manifest: `$(NAME)` in `value` stands for those before it."""

    name: str
    value: str = ""
    field: Field | None = None  # Filled at the start instead of `value`.
    literal: bool = False  # From a Secret or a ConfigMap: `$(NAME)` is text there.


@dataclass(frozen=True)
class File:
    """One file of a Secret or ConfigMap volume."""

    path: str  # Relative to the volume, without `..`.
    content: bytes
    mode: int

    __pydantic_config__ = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")  # Bytes need not be text.


@dataclass(frozen=True)
class VolumePlan:
    """One volume of a pod."""

    name: str
    kind: VolumeKind
    files: tuple[File, ...] = ()
    claim: str = ""  # Name of the claim.
    size_bytes: int | None = None


@dataclass(frozen=True)
class MountPlan:
    """Where a container sees a volume."""

    volume: str
    path: str
    sub_path: str = ""
    read_only: bool = False


@dataclass(frozen=True)
class Check:
    """What a probe does: one of the three."""

    http_port: int = 0
    http_path: str = "/"
    http_headers: tuple[tuple[str, str], ...] = ()
    https: bool = False
    tcp_port: int = 0
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class ProbePlan:
    """One probe; durations in seconds, defaults as Kubernetes has them."""

    check: Check
    initial_delay: float = 0
    period: float = 10
    timeout: float = 1
    failure_threshold: int = 3
    success_threshold: int = 1


@dataclass(frozen=True)
class ContainerPlan:
    """One container."""

    name: str
    image: str  # As the manifest names it.
    digest: str  # Of its environment.
    argv: tuple[str, ...]  # `$(NAME)` not yet expanded.
    env: tuple[EnvVar, ...] = ()
    cwd: str = ""
    mounts: tuple[MountPlan, ...] = ()
    requests: contract.Resources = NOTHING
    limits: contract.Resources = NOTHING  # Zero is none.
    ports: Mapping[str, int] = field(default_factory=dict)  # Named ones.
    startup: ProbePlan | None = None
    readiness: ProbePlan | None = None
    liveness: ProbePlan | None = None


@dataclass(frozen=True)
class PodPlan:
    """One pod."""

    name: str
    labels: Mapping[str, str]
    containers: tuple[ContainerPlan, ...]
    inits: tuple[ContainerPlan, ...] = ()
    volumes: tuple[VolumePlan, ...] = ()
    restart: Restart = Restart.ALWAYS
    tries: int | None = None  # How often its containers are started again before it has failed; None is for ever.
    grace_seconds: float = 30
    hostname: str = ""
    subdomain: str = ""  # The headless Service under which its own name resolves.

    @property
    def requests(self) -> contract.Resources:
        """What it reserves: its containers together, or its greediest init container (Kubernetes' rule)."""
        cpu = sum(container.requests.cpu for container in self.containers)
        memory = sum(container.requests.memory_bytes for container in self.containers)
        return contract.Resources(
            cpu=max([cpu, *(init.requests.cpu for init in self.inits)]),
            memory_bytes=max([memory, *(init.requests.memory_bytes for init in self.inits)]),
        )


@dataclass(frozen=True)
class WorkloadPlan:
    """A set of pods kept by one Deployment, StatefulSet or Job."""

    kind: Workload
    name: str
    pods: tuple[PodPlan, ...] = ()
    ordered: bool = False  # A pod starts when those before it are ready.
    parallelism: int = 0  # Pods at once; 0 is all.


@dataclass(frozen=True)
class PortPlan:
    """A port of a Service: `target` is a number, or the name of a container's port."""

    port: int
    target: int | str
    name: str = ""


@dataclass(frozen=True)
class ServicePlan:
    """A Kubernetes Service."""

    name: str
    selector: Mapping[str, str]
    ports: tuple[PortPlan, ...] = ()
    headless: bool = False
    publish_not_ready: bool = False


@dataclass(frozen=True)
class RoutePlan:
    """One path of one host, served by a port of a Service."""

    host: str
    path: str
    service: str
    port: int  # Of the Service.


@dataclass(frozen=True)
class Plan:
    """All that one service runs."""

    service_id: str
    project: contract.Project
    release: str
    revision: int
    workloads: tuple[WorkloadPlan, ...] = ()
    services: tuple[ServicePlan, ...] = ()
    routes: tuple[RoutePlan, ...] = ()
    claims: Mapping[str, int] = field(default_factory=dict)  # Name → bytes asked for.

    @property
    def pods(self) -> tuple[PodPlan, ...]:
        """Every pod, in the order of the workloads."""
        return tuple(pod for workload in self.workloads for pod in workload.pods)

    @property
    def requests(self) -> contract.Resources:
        """What the whole service reserves."""
        asked = [pod.requests for pod in self.pods]
        return contract.Resources(
            cpu=sum(one.cpu for one in asked), memory_bytes=sum(one.memory_bytes for one in asked)
        )


_PODS = TypeAdapter(PodPlan)


def generation(pod: PodPlan) -> str:
    """A short digest of all that a pod is: another digest is another pod, that replaces it."""
    return hashlib.sha256(_PODS.dump_json(pod)).hexdigest()[:12]
