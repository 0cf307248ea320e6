"""A sandbox's record on disk, read back: what is running, how it ended, and how it is ended.

The folder of a sandbox holds `process.json` (bwrap's outer process: its supervisor) and `status` (what the supervisor appends: the
pid of the sandbox's own pid 1, and in the end its exit code). They say everything, to whoever comes next.
"""

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from etabli.kernel import processes
from etabli.kernel.processes import ProcessRef
from etabli.sandbox.launching import LOG_LINK, PROCESS_FILE, STATUS_FILE
from etabli.sandbox.models import Phase

_RECORDED = timedelta(seconds=2)  # How long the supervisor may take to write the exit code once the sandbox is gone.
LAST_WORDS_BYTES = 1024


@dataclass(frozen=True)
class Record:
    """What a sandbox's folder says."""

    supervisor: ProcessRef | None
    init: int | None  # The sandbox's pid 1, as the machine numbers it.
    exit_code: int | None

    @property
    def alive(self) -> bool:
        return self.supervisor is not None and processes.is_alive(self.supervisor)

    def phase(self) -> Phase:
        """Where it is. The exit code is looked at first: it is written before the supervisor ends."""
        if self.supervisor is None:
            return Phase.ABSENT
        if self.exit_code is not None:
            return Phase.EXITED
        if self.supervisor.boot_id != processes.boot_id():
            return Phase.LOST
        if processes.is_alive(self.supervisor):
            return Phase.RUNNING
        return Phase.KILLED


def read(folder: Path) -> Record:
    """The record of a folder. A supervisor that ends while we look is looked at again, so that its exit code is not missed."""
    supervisor = processes.load(folder / PROCESS_FILE)
    init, exit_code = _status(folder / STATUS_FILE)
    record = Record(supervisor, init, exit_code)
    if supervisor is None or exit_code is not None or processes.is_alive(supervisor):
        return record
    init, exit_code = _status(folder / STATUS_FILE)
    return Record(supervisor, init, exit_code)


async def wait(ref: ProcessRef, *, within: timedelta | None = None) -> bool:
    """Wait until a process, anybody's child, has ended; False where it still runs after that."""
    descriptor = processes.open_pidfd(ref)
    if descriptor is None:
        return True
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        async with asyncio.timeout(None if within is None else within.total_seconds()):
            await ended.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return True


async def end(folder: Path, *, grace: timedelta) -> None:
    """SIGTERM to what runs in the sandbox, SIGKILL to its pid 1 after `grace`: the kernel then ends all of it."""
    record = read(folder)
    if not record.alive or record.supervisor is None:
        return
    if record.init is None:  # It is just being made; there is nothing inside to be asked.
        processes.send_signal(record.supervisor, signal.SIGKILL)
        await wait(record.supervisor)
        return
    if grace > timedelta():
        _signal_children(record.supervisor, record.init, signal.SIGTERM)
        if await wait(record.supervisor, within=grace):
            return
    _signal_init(record.supervisor, record.init, signal.SIGKILL)
    if not await wait(record.supervisor, within=_RECORDED):
        processes.send_signal(record.supervisor, signal.SIGKILL)
        await wait(record.supervisor)


def init_reference(record: Record) -> ProcessRef | None:
    """The sandbox's pid 1, named for good; None where it does not run."""
    if record.init is None or record.supervisor is None:
        return None
    try:
        ref = processes.reference(record.init)
    except ProcessLookupError:
        return None
    # While the supervisor lives, its child's number is nobody else's: it waits for it.
    return ref if processes.is_alive(record.supervisor) else None


def complaint(folder: Path) -> str:
    """What bwrap said when it could not start the sandbox of a folder, or execute its command: the last line of the log."""
    lines = last_words(folder / LOG_LINK).splitlines()
    return lines[-1].removeprefix("bwrap: ") if lines and lines[-1].startswith("bwrap: ") else ""


def last_words(log: Path) -> str:
    """The end of a log, for an error's message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LAST_WORDS_BYTES))
            return file.read().decode(errors="replace").strip()
    except OSError:
        return ""


def _status(path: Path) -> tuple[int | None, int | None]:
    """bwrap's `--json-status-fd`: one JSON object a line (bwrap(1))."""
    init, exit_code = None, None
    try:
        lines = path.read_text().splitlines()
    except FileNotFoundError:
        return None, None
    for line in lines:
        try:
            found = json.loads(line)
        except ValueError:
            continue  # The line is still being written.
        init, exit_code = found.get("child-pid", init), found.get("exit-code", exit_code)
    return init, exit_code


def _signal_children(supervisor: ProcessRef, init: int, number: signal.Signals) -> None:
    """Signal what the sandbox's pid 1 started: itself, as an init, it ignores what it has no handler for."""
    for child in _children(init):
        try:
            descriptor = os.pidfd_open(child)
        except ProcessLookupError:
            continue
        try:
            if child in _children(init) and processes.is_alive(supervisor):
                signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            continue
        finally:
            os.close(descriptor)


def _signal_init(supervisor: ProcessRef, init: int, number: signal.Signals) -> None:
    try:
        descriptor = os.pidfd_open(init)
    except ProcessLookupError:
        return
    try:
        if processes.is_alive(supervisor):
            signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)


def _children(pid: int) -> Sequence[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return ()
