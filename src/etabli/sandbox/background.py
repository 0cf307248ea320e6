"""Processes of the lab itself that stand beside sandboxes: a ground's agent, its pasta, components in an enclave."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from etabli.kernel import files, processes
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import namespaces, syscalls
from etabli.sandbox.spawner import Execution


@dataclass(frozen=True)
class StartProcess:
    """Start a program that outlives us, with the lab's uid and no capability. `inside` is the holder whose network it is to have."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    record: Path | None = None  # Where its ProcessRef is saved before it runs.
    inside: ProcessRef | None = None
    detached: ClassVar[bool] = True

    def perform(self) -> Execution:
        redirect(self.log)
        if self.inside is not None:
            namespaces.enter(self.inside, syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
            syscalls.drop_capabilities()
        if self.record is not None:
            processes.save(processes.reference(os.getpid()), self.record)
        os.chdir(self.cwd)
        return Execution(program=Path(self.argv[0]), argv=self.argv, env=self.env)


def redirect(log: Path) -> None:
    """Nothing to read, and both outputs appended to a file: a pipe would end the process when its reader goes."""
    null = os.open(os.devnull, os.O_RDONLY)
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, files.PRIVATE_FILE)
    os.dup2(null, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
