"""The process that starts sandboxes: small, of one thread, forked from for every request.

Entering a user namespace is for processes of one thread (setns(2)), and forking a small process is quicker and safer than forking
the portal. It is started by `spawning.Spawner` with one socket; a request is one message on it that carries one end of a socket
pair, over which the child reads a pickled command, performs it and answers. It keeps no state and ends when its parent does; what
its children started lives on.

Commands are frozen dataclasses with a `perform` method. One that is `detached` is performed in a process that is nobody's child,
and answers what that process is to execute.
"""

import os
import pickle
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, Protocol

from etabli.kernel import errors, processes
from etabli.sandbox import syscalls

_REPARENTED_POLL_S = 0.0005


@dataclass(frozen=True)
class Execution:
    """What a detached process becomes."""

    program: Path
    argv: Sequence[str]
    env: Mapping[str, str]
    keep: Sequence[int] = ()  # Descriptors that the program is to have, beside its three streams.


@dataclass(frozen=True)
class Failure:
    """Why a command was not done, as the parent raises it again."""

    message: str
    hint: str | None = None
    kind: str = "unavailable"  # Or `refused`, `invalid`, `not found`.


class Command(Protocol):
    """Something to do in a child of the spawner."""

    @property
    def detached(self) -> bool:
        """Whether `perform` is called in a process of its own that then becomes the Execution it answers."""
        ...

    def perform(self) -> object:
        """Do it, in a fresh process of one thread. May change everything about the process."""
        ...


def serve(control: socket.socket) -> None:
    """Fork a child for each request, until the parent closes its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Children leave no zombies.
    while True:
        message, descriptors, _flags, _address = socket.recv_fds(control, 1, 1)
        if not message:
            return
        pid = os.fork()
        if pid == 0:
            control.close()
            os.set_inheritable(descriptors[0], False)  # What is executed must not have it: its end would be waited for.
            _answer(socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])


def _answer(reply: socket.socket) -> NoReturn:
    """Perform the command that comes over `reply`, then end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        with reply.makefile("rb") as stream:
            command: Command = pickle.loads(stream.read())
        if command.detached:
            _become_orphan()
            execution = command.perform()
            assert isinstance(execution, Execution)
            _execute(execution, reply)
        _send(reply, command.perform())
    except BaseException as error:  # noqa: BLE001 - The outermost frame of a child: whatever happened is told to the parent.
        with suppress(BrokenPipeError):  # Who asked is gone, or waits no more.
            _send(reply, failure(error))
    os._exit(0)


def failure(error: BaseException) -> Failure:
    """An error as it can be told to another process."""
    kinds: tuple[tuple[type[errors.EtabliError], str], ...] = (
        (errors.Invalid, "invalid"),
        (errors.NotFound, "not found"),
        (errors.Refused, "refused"),
    )
    if isinstance(error, errors.EtabliError):
        kind = next((name for known, name in kinds if isinstance(error, known)), "unavailable")
        return Failure(error.message, hint=error.hint, kind=kind)
    return Failure(f"the machine refused: {type(error).__name__}: {error}", hint="`etabli doctor` says what is missing")


def _become_orphan() -> None:
    """Go on in a process whose parent is the machine's init, and that no terminal or parent can end."""
    parent = os.getpid()
    if os.fork():
        os._exit(0)
    os.setsid()
    while os.getppid() == parent:  # `bwrap --die-with-parent` must not take this parent for the one to die with.
        time.sleep(_REPARENTED_POLL_S)


def _execute(execution: Execution, reply: socket.socket) -> NoReturn:
    for descriptor in execution.keep:
        os.set_inheritable(descriptor, True)
    syscalls.close_all_but((*execution.keep, reply.fileno()))
    syscalls.restore_signals()
    _send(reply, processes.reference(os.getpid()))
    os.execve(execution.program, list(execution.argv), dict(execution.env))


def _send(reply: socket.socket, answer: object) -> None:
    reply.sendall(pickle.dumps(answer))


def main() -> None:
    """`python -m etabli.sandbox.spawner FD`."""
    serve(socket.socket(fileno=int(sys.argv[1])))
