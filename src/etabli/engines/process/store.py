"""What the engine remembers, as files of one folder: what each service is to be, and how far each of its pods came.

    services/<service id>/record.json          the plan, whether it shall run, its addresses and keys; Secret data: 0600
    services/<service id>/volumes/<claim>/     kept until the service is destroyed
    services/<service id>/logs/<pod>/<container>.log
    services/<service id>/pods/<pod>/pod.json  written before anything of the pod starts
    services/<service id>/pods/<pod>/volumes/  emptyDirs and files, whole once it has this name, gone with the pod
    services/<service id>/pods/<pod>/run/<container>.<attempt>/   a sandbox's own record

    projects/<project id>/net/hosts            the names that its services know

A record is written before what it speaks of happens, so a controller that starts anew sees at worst something recorded and not yet
done, which it does then. What a newer Etabli wrote is refused, never guessed at.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from etabli.engines.process import models
from etabli.kernel import errors, files

VERSION = 1


class Wanted(StrEnum):
    """What was last asked for a service."""

    RUNNING = "running"
    STOPPED = "stopped"
    DESTROYED = "destroyed"


@dataclass(frozen=True)
class Record:
    """One service. `order` is its turn where resources are short; `addresses` are its Services' numbers on the project's network."""

    plan: models.Plan
    wanted: Wanted = Wanted.RUNNING
    order: int = 0
    addresses: Mapping[str, int] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)  # `host/path` → the upstream's key.
    grace_seconds: float | None = None  # Of the stop that was asked; None is each pod's own.
    version: int = VERSION


@dataclass(frozen=True)
class ContainerRecord:
    """How far one container came. `attempt` names its sandbox: another attempt is another sandbox, in a fresh root."""

    attempt: int = 1
    restarts: int = 0
    crashes: int = 0  # In a row, for the backoff.
    ready: bool = False
    done: bool = False  # It is not started again.
    exit_code: int | None = None
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    spent: float = 0.0  # CPU-seconds of earlier attempts.


@dataclass(frozen=True)
class PodRecord:
    """One pod. It keeps the plan that it was started from, which may no longer be the service's."""

    plan: models.PodPlan
    generation: str
    number: int  # Of its address on the project's network.
    containers: Mapping[str, ContainerRecord] = field(default_factory=dict)
    version: int = VERSION


Stored = TypeVar("Stored")
_RECORDS = TypeAdapter(Record)
_PODS = TypeAdapter(PodRecord)


class Store:
    """The folder. Calls block on the disk: callers run them in a thread where they write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def service(self, service_id: str) -> Path:
        return self.root / "services" / service_id

    def pod(self, service_id: str, pod: str) -> Path:
        return self.service(service_id) / "pods" / pod

    def sandbox(self, service_id: str, pod: str, container: str, attempt: int) -> Path:
        return self.pod(service_id, pod) / "run" / f"{container}.{attempt}"

    def volume(self, service_id: str, claim: str) -> Path:
        return self.service(service_id) / "volumes" / claim

    def logs(self, service_id: str) -> Path:
        return self.service(service_id) / "logs"

    def hosts(self, project_id: str) -> Path:
        """The folder of a project's hosts file, which its sandboxes see."""
        return self.root / "projects" / project_id / "net"

    def projects(self) -> tuple[str, ...]:
        """Ids of all that have a hosts file: those whose ground was not ended."""
        folder = self.root / "projects"
        return tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()

    def log(self, service_id: str, pod: str, container: str) -> Path:
        return self.logs(service_id) / pod / f"{container}.log"

    def services(self) -> tuple[str, ...]:
        """Ids of all that has a folder, whole or not."""
        folder = self.root / "services"
        return tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()

    def pods(self, service_id: str) -> tuple[str, ...]:
        """Names of all pods that have a folder, whole or not."""
        folder = self.service(service_id) / "pods"
        return tuple(sorted(path.name for path in folder.iterdir())) if folder.is_dir() else ()

    def load(self, service_id: str) -> Record | None:
        """The record; None where none was written."""
        return _read(self.service(service_id) / "record.json", _RECORDS)

    def save(self, record: Record) -> None:
        """Durably; its folder is made."""
        folder = files.private_folder(self.service(record.plan.service_id))
        files.write_atomically(folder / "record.json", _RECORDS.dump_json(record))

    def load_pod(self, service_id: str, pod: str) -> PodRecord | None:
        return _read(self.pod(service_id, pod) / "pod.json", _PODS)

    def forget(self, service_id: str) -> None:
        """Remove what is left of a service whose pods and volumes are gone: its record last, so that a kill is made good."""
        folder = self.service(service_id)
        for name in ("pods", "volumes", "logs"):
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "record.json").unlink(missing_ok=True)
        shutil.rmtree(folder, ignore_errors=True)

    def save_pod(self, service_id: str, record: PodRecord) -> None:
        """Durably; its folder is made."""
        folder = files.private_folder(self.pod(service_id, record.plan.name))
        files.write_atomically(folder / "pod.json", _PODS.dump_json(record))


def _read(path: Path, adapter: TypeAdapter[Stored]) -> Stored | None:
    try:
        return adapter.validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise errors.Refused(
            f"`{path}` was written by another version of Etabli", hint="start the version that wrote it"
        ) from error


def digests(root: Path) -> frozenset[str]:
    """The environments of every service that an engine keeps under `root`, whether it runs or not. Only reads."""
    kept = Store(root)
    records = (kept.load(service_id) for service_id in kept.services())
    plans = [record.plan for record in records if record is not None]
    return frozenset(one.digest for plan in plans for pod in plan.pods for one in (*pod.inits, *pod.containers))
