"""Processes that the bench starts, each ended with all its descendants when its turn is over, and whatever ends the bench."""

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from etabli.kernel import processes

GRACE_SECONDS = 10.0
POLL_SECONDS = 0.02

_lock = threading.Lock()
_ports: set[int] = set()  # Answered already in this run.


class TooSlow(Exception):
    """Something did not come within its time."""


def until(found: Callable[[], bool], seconds: float, what: str, *, poll: float = POLL_SECONDS) -> None:
    """Wait until `found`; TooSlow says what was awaited."""
    deadline = time.monotonic() + seconds
    while not found():
        if time.monotonic() > deadline:
            raise TooSlow(f"{what}: not within {seconds:.0f} s")
        time.sleep(poll)


@contextmanager
def running(
    argv: Sequence[str], *, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process in a session of its own, its output in `log`, for as long as the block lasts."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield process
    finally:
        end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """SIGTERM, some seconds, then SIGKILL to it and to every descendant that it had."""
    family = [reference for pid in descendants(process.pid) if (reference := _reference(pid)) is not None]
    process.terminate()
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for one in family:
        processes.send_signal(one, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """`pid` and everything below it, as the kernel tells now."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit() and (parent := parent_of(int(entry.name))) is not None:
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:
        found += children.get(one, [])
    return found


def parent_of(pid: int) -> int | None:
    """Field 4 of /proc/PID/stat (proc(5)); None where it is gone."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return None


def free_port() -> int:
    """A port of loopback that nobody has now, and that was not answered before: whoever asked last may not listen yet."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = int(listener.getsockname()[1])
        with _lock:
            if port not in _ports:
                _ports.add(port)
                return port


def _reference(pid: int) -> processes.ProcessRef | None:
    try:
        return processes.reference(pid)
    except ProcessLookupError:
        return None
