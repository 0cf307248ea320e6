"""What is known of a lab's components, as a file that `etabli status` reads without the supervisor; and the lock that lets one be.

A status that outlived its supervisor is corrected by looking at the processes themselves.
"""

import fcntl
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from etabli.components import child, models
from etabli.kernel import errors, files, processes
from etabli.kernel.processes import ProcessRef

FILE_NAME = "components.json"  # In the run folder.
LOCK_NAME = "supervisor.lock"  # In the data folder, beside the record of who holds it.
HOLDER_NAME = "supervisor.json"


@dataclass(frozen=True)
class Snapshot:
    """One lab's components at one moment."""

    supervisor: int | None  # Its pid; None where nobody watches.
    components: tuple[models.Status, ...]

    @property
    def ready(self) -> bool:
        """Whether everything answers."""
        return bool(self.components) and all(component.ready for component in self.components)

    @property
    def fatal(self) -> tuple[models.Status, ...]:
        """The components that do not come up, with their last words."""
        return tuple(component for component in self.components if component.state is models.State.FATAL)


class Lock:
    """Held by the one supervisor of a data folder, for as long as its process lives."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._descriptor: int | None = None

    def take(self) -> None:
        """Conflict, with the pid, where another supervisor holds it."""
        descriptor = os.open(self._data / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            holder = supervisor(self._data)
            raise errors.Conflict(
                f"this lab is already running, process {holder.pid if holder else 'unknown'}",
                hint="`etabli status` shows it, `etabli down` stops it",
            ) from error
        self._descriptor = descriptor
        processes.save(processes.reference(os.getpid()), self._data / HOLDER_NAME)

    def release(self) -> None:
        """Let another take it."""
        if self._descriptor is not None:
            (self._data / HOLDER_NAME).unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


def supervisor(data: Path) -> ProcessRef | None:
    """The process that supervises the lab of this data folder now."""
    ref = processes.load(data / HOLDER_NAME)
    return ref if ref is not None and processes.is_alive(ref) else None


def write(run: Path, statuses: Sequence[models.Status]) -> None:
    """Replace what is known, in the name of this process."""
    known = {"writer": asdict(processes.reference(os.getpid())), "components": [asdict(status) for status in statuses]}
    files.write_atomically(run / FILE_NAME, json.dumps(known))


def read(plan: models.Plan) -> Snapshot:
    """What is known now of the components of a plan."""
    writer, known = _written(plan.run)
    watcher = supervisor(plan.data)
    statuses = [known.get(component.name, models.Status(name=component.name)) for component in plan.components]
    if watcher is None or watcher != writer:  # What an earlier supervisor wrote is no word of this one.
        statuses = [_seen(component, status) for component, status in zip(plan.components, statuses, strict=True)]
    return Snapshot(supervisor=watcher.pid if watcher else None, components=tuple(statuses))


def _written(run: Path) -> tuple[ProcessRef | None, dict[str, models.Status]]:
    try:
        raw = json.loads((run / FILE_NAME).read_text())
        components = [models.Status(**{**item, "state": models.State(item["state"])}) for item in raw["components"]]
        return ProcessRef(**raw["writer"]), {status.name: status for status in components}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None, {}


def _seen(component: models.Component, status: models.Status) -> models.Status:
    """What looking at the process tells, where nobody watches whether it answers."""
    ref = child.find(component)
    if ref is None:
        return replace(status, state=models.State.STOPPED, ready=False, pid=None, failures=0)
    return replace(status, ready=False, pid=ref.pid, failures=0)  # Ends that nobody watching counted are over.
