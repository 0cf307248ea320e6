"""A command inside a running sandbox, for probes of the kind `exec`: the same namespaces, limits and filter, the same user."""

import os
import resource
import select
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from etabli.kernel.processes import ProcessRef
from etabli.sandbox import models, namespaces, syscalls

OUTPUT_BYTES = 64 << 10
TIMED_OUT, NOT_EXECUTABLE, NOT_FOUND = 124, 126, 127  # As timeout(1) and shells say it.
_KINDS = (syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET) | (
    syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
)


@dataclass(frozen=True)
class RunInside:
    """Run `argv` in the namespaces of `init` (the sandbox's pid 1), whose supervisor stands in the project's user namespace."""

    supervisor: ProcessRef
    init: ProcessRef
    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: str
    timeout_s: float
    filter: bytes
    cgroups: Sequence[Path]
    detached: ClassVar[bool] = False

    def perform(self) -> models.ExecResult:
        for cgroup in self.cgroups:
            cgroup.write_text("0")
        # First the project's user namespace, to take its ids and give up the lab's groups: the sandbox's own knows but one id.
        namespaces.enter(self.supervisor, syscalls.CLONE_NEWUSER)
        _take_project_identity()
        namespaces.enter(self.init, _KINDS)
        reading, writing = os.pipe()
        pid = os.fork()  # The pid namespace that we entered is that of our children.
        if pid == 0:
            self._become(writing)
        os.close(writing)
        return _collect(pid, reading, self.timeout_s)

    def _become(self, output: int) -> NoReturn:
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(output, 1)
            os.dup2(output, 2)
            os.chdir(self.cwd)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            syscalls.drop_capabilities()
            syscalls.close_all_but(())
            syscalls.restore_signals()
            syscalls.install_filter(self.filter)
            os.execvpe(self.argv[0], list(self.argv), dict(self.env))
        except FileNotFoundError:
            os._exit(NOT_FOUND)
        except BaseException as error:  # noqa: BLE001 - The outermost frame of a child: its output says what happened.
            os.write(2, f"{error}\n".encode())
        os._exit(NOT_EXECUTABLE)


def _take_project_identity() -> None:
    namespaces.take_shared_group()
    inside = models.INSIDE_UID
    os.setresgid(inside, inside, inside)
    os.setresuid(inside, inside, inside)


def _collect(pid: int, reading: int, timeout_s: float) -> models.ExecResult:
    """Read what the command says until it ends, or end it when its time is over."""
    deadline = time.monotonic() + timeout_s
    ended = os.pidfd_open(pid)
    poller = select.poll()
    poller.register(ended, select.POLLIN)
    poller.register(reading, select.POLLIN)
    os.set_blocking(reading, False)
    output = b""
    timed_out = False
    while True:
        ready = {descriptor for descriptor, _event in poller.poll(max(0.0, deadline - time.monotonic()) * 1000)}
        chunk = _read(reading)
        output = (output + chunk)[:OUTPUT_BYTES]
        if ended in ready:
            break
        if reading in ready and not chunk:
            poller.unregister(reading)  # It closed its outputs and goes on.
        if time.monotonic() >= deadline:
            timed_out = True
            os.kill(pid, signal.SIGKILL)
            deadline += timeout_s
    _pid, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    return models.ExecResult(exit_code=TIMED_OUT if timed_out else code if code >= 0 else 128 - code, output=output)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, OUTPUT_BYTES)
    except BlockingIOError:
        return b""
