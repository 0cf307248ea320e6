"""Processes that outlive whoever started them, found again without mistake.

A pid alone may have been given to somebody else. A process is named by its pid, its start time (field 22 of /proc/PID/stat, in clock
ticks since boot: proc(5)) and the boot it was started in. Signals go through a pidfd that is opened *before* the start time is
compared, so that the process signalled is the process recorded.
"""

import json
import os
import select
import signal
from dataclasses import asdict, dataclass
from pathlib import Path

from etabli.kernel import files

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class ProcessRef:
    """One process of one boot."""

    pid: int
    start_time: int  # Clock ticks since boot.
    boot_id: str


def boot_id() -> str:
    """The random id of this boot of the machine."""
    return BOOT_ID.read_text().strip()


def reference(pid: int) -> ProcessRef:
    """Name the process that has `pid` now. ProcessLookupError if there is none."""
    return ProcessRef(pid=pid, start_time=_start_time(pid), boot_id=boot_id())


def save(ref: ProcessRef, path: Path) -> None:
    """Record `ref` durably."""
    files.write_atomically(path, json.dumps(asdict(ref)))


def load(path: Path) -> ProcessRef | None:
    """The process recorded at `path`; None where nothing readable is."""
    try:
        return ProcessRef(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def open_pidfd(ref: ProcessRef) -> int | None:
    """A pidfd of the process, or None if it is gone (zombies count as gone). The caller closes it."""
    if ref.boot_id != boot_id():
        return None
    try:
        descriptor = os.pidfd_open(ref.pid)
    except ProcessLookupError:
        return None
    try:
        alive = _start_time(ref.pid) == ref.start_time and not _exited(descriptor)
    except ProcessLookupError:
        alive = False
    if alive:
        return descriptor
    os.close(descriptor)
    return None


def is_alive(ref: ProcessRef) -> bool:
    """Whether the very process still runs."""
    descriptor = open_pidfd(ref)
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def send_signal(ref: ProcessRef, number: signal.Signals) -> bool:
    """Signal the very process; False if it is gone."""
    descriptor = open_pidfd(ref)
    if descriptor is None:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def _start_time(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError as error:
        raise ProcessLookupError(pid) from error
    # The command's name, in parentheses, may itself hold spaces and parentheses.
    return int(text.rpartition(")")[2].split()[19])


def _exited(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))
