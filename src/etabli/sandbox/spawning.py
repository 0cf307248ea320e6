"""Talking to the spawner: one small process, started at the first need and again when it died, asked over a private socket.

It ends when nobody asked for a while: an idle lab does without its 12 MB, and who asks next waits a twentieth of a second.
"""

import asyncio
import io
import pickle
import socket
import subprocess
import sys
from typing import TypeVar

from etabli.kernel import errors
from etabli.sandbox.spawner import Command, Failure

Answer = TypeVar("Answer")
_KINDS: dict[str, type[errors.EtabliError]] = {
    "invalid": errors.Invalid,
    "not found": errors.NotFound,
    "refused": errors.Refused,
    "unavailable": errors.Unavailable,
}
_DYING_S = 0.5  # A killed process closes its sockets a moment before it can be waited for.
IDLE_S = 60.0  # Without a command, after which the spawner is ended.
_GOODBYE_S = 2.0  # How long a spawner whose socket was closed may take to end.


class Spawner:
    """The one spawner of this process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._asking = 0  # Commands under way.
        self._rest: asyncio.TimerHandle | None = None
        self._ending: asyncio.Future[None] | None = None

    async def ask(self, command: Command, answer: type[Answer]) -> Answer:
        """Have a command performed. Raises the EtabliError that it failed with."""
        self._asking += 1
        try:
            data = await self._exchange(command)
            if not data and await self._died():
                data = await self._exchange(
                    command
                )  # It was killed before it forked: a child would have answered by itself.
        finally:
            self._asking -= 1
            self._rest_later()
        return _last(data, answer)

    async def _exchange(self, command: Command) -> bytes:
        ours, theirs = socket.socketpair()
        try:
            self._hand_over(theirs)
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        finally:
            theirs.close()
        try:
            writer.write(pickle.dumps(command))
            writer.write_eof()
            data = await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()
        return data

    async def _died(self) -> bool:
        if self._process is None:
            return True
        try:
            await asyncio.to_thread(self._process.wait, _DYING_S)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _rest_later(self) -> None:
        if self._rest is not None:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(IDLE_S, self._end_idle)

    def _end_idle(self) -> None:
        """End the spawner that nobody needs; the next command starts another."""
        process = self._process
        if self._asking or process is None:
            return  # Whoever asks now looks again when it is done.
        if self._control is not None:
            self._control.close()
        self._process = self._control = None
        self._ending = asyncio.ensure_future(asyncio.to_thread(_end, process))

    async def close(self) -> None:
        """End the spawner. What it started goes on."""
        if self._rest is not None:
            self._rest.cancel()
        if self._ending is not None:
            await self._ending
        process, self._process = self._process, None
        if self._control is not None:
            self._control.close()
            self._control = None
        if process is not None:
            await asyncio.to_thread(_end, process)

    def _hand_over(self, end: socket.socket) -> None:
        """Give one end of a pair to the spawner, starting it where it does not run."""
        for attempt in (1, 2):
            control = self._connected()
            try:
                socket.send_fds(control, [b"r"], [end.fileno()])
            except OSError as error:
                self._forget()
                if attempt == 2:
                    raise errors.Unavailable("the process that starts sandboxes does not stay up") from error
            else:
                return

    def _connected(self) -> socket.socket:
        if self._control is None or self._process is None or self._process.poll() is not None:
            self._forget()
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-m", "etabli.sandbox.spawning_main", str(theirs.fileno())],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,  # A terminal's interrupt is for its parent, which then closes the socket.
                )
            self._control = ours
        return self._control

    def _forget(self) -> None:
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            _end(self._process)
            self._process = None


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(_GOODBYE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last(data: bytes, answer: type[Answer]) -> Answer:
    """The last message of a reply: a detached command answers before it executes, and once more if that failed."""
    stream = io.BytesIO(data)
    found: object = Failure("the process that starts sandboxes died at work")
    while stream.tell() < len(data):
        found = pickle.load(stream)
    if isinstance(found, Failure):
        raise _KINDS[found.kind](found.message, hint=found.hint)
    if not isinstance(found, answer):
        raise TypeError(f"the spawner answered a {type(found).__name__}, not a {answer.__name__}")
    return found
