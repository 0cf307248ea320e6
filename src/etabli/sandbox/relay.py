"""A ground's agent: relays between UNIX sockets of the machine and addresses inside the ground's network.

It runs in the ground's network namespace with the lab's uid and no capability. Sockets with a path are reached across network
namespaces, so it dials and listens on both sides itself. Inward: a UNIX socket that it makes, 0600, leads to an address inside.
Outward: an address inside leads to a UNIX socket of the machine, and the other side is told first who calls. It is a program of the
standard library alone, started by path, so that it stays light: `relay.py FOLDER`. The rules are in `relays.json` of that folder,
read again when somebody connects to `agent.sock` and sends a line; the answer is a JSON list of what could not be done. The line
`hang up` ends every connection from the machine inward besides: whoever may still come in does so again.

Nothing depends on its life but the connections that it carries: pods go on without it, and the next one does the same work.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

RULES_FILE, CONTROL_SOCKET = "relays.json", "agent.sock"
HANG_UP = b"hang up\n"
_CHUNK = 64 << 10
_HIGH_WATER = 256 << 10  # Bytes that wait for a slow reader before its writer is made to wait too.
_CONNECT_S = 10.0
_BACKLOG = 512

Rule: TypeAlias = dict[str, object]
_Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Agent:
    """The relays of one ground."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, asyncio.Server] = {}
        self._inward: set[asyncio.Task[None]] = set()  # One carries each connection from the machine that is open.

    async def run(self) -> None:
        """Relay until killed."""
        await self._apply()
        control = self._folder / CONTROL_SOCKET
        server = await asyncio.start_unix_server(self._control, sock=_unix_listener(control))
        async with server:
            await server.serve_forever()

    async def _control(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            if await reader.readline() == HANG_UP:
                await self._hang_up()
            writer.write(json.dumps(await self._apply()).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _apply(self) -> list[str]:
        """Make the listeners be what the file says; those that stay are not touched. Answers what failed."""
        try:
            rules: list[Rule] = json.loads((self._folder / RULES_FILE).read_text())
        except FileNotFoundError:
            rules = []
        wanted = {json.dumps(rule, sort_keys=True): rule for rule in rules}
        for key in [key for key in self._servers if key not in wanted]:
            self._servers.pop(key).close()  # Its connections go on to their end.
        failed = []
        for key, rule in wanted.items():
            if key not in self._servers:
                try:
                    self._servers[key] = await self._listen(rule)
                except OSError as error:
                    failed.append(f"{rule['socket']}: {error.strerror or error}")
        self._sweep(rules)
        return failed

    async def _listen(self, rule: Rule) -> asyncio.Server:
        path, address, port = Path(str(rule["socket"])), str(rule["address"]), int(str(rule["port"]))
        if rule["direction"] == "inward":
            dial = _dialler_tcp(address, port)
            serve = self._counted(self._relay(dial))
            return await asyncio.start_unix_server(serve, sock=_unix_listener(path), limit=_CHUNK)
        dial = _dialler_unix(path)
        serve = self._relay(dial, preface=str(rule.get("preface", "")))
        return await asyncio.start_server(serve, sock=_tcp_listener(address, port), limit=_CHUNK)

    def _sweep(self, rules: list[Rule]) -> None:
        """Remove sockets of relays that are no more, so that a caller is refused instead of waiting for nobody."""
        kept = {str(rule["socket"]) for rule in rules if rule["direction"] == "inward"}
        record = self._folder / "sockets.json"
        earlier = set(json.loads(record.read_text())) if record.exists() else set()
        for path in earlier - kept:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        temporary = record.with_suffix(".new")
        temporary.write_text(json.dumps(sorted(kept)))
        temporary.rename(record)

    async def _hang_up(self) -> None:
        for _ in range(3):  # Turns of the loop: what waits to be accepted was let in before, too.
            for carrying in tuple(self._inward):
                carrying.cancel()
            await asyncio.sleep(0)

    def _counted(
        self, serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            carrying = asyncio.ensure_future(serve(reader, writer))
            self._inward.add(carrying)
            try:
                await asyncio.wait([carrying])
            finally:
                self._inward.discard(carrying)
            if carrying.cancelled():
                _abort(writer)

        return counted

    def _relay(
        self, dial: Callable[[], Awaitable[_Streams]], *, preface: str = ""
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await _carry(reader, writer, dial, preface)

        return serve


async def _carry(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, dial: Callable[[], Awaitable[_Streams]], preface: str
) -> None:
    """Both ways until both sides have said all; a side that breaks breaks the other."""
    try:
        far_reader, far_writer = await asyncio.wait_for(dial(), _CONNECT_S)
    except (OSError, TimeoutError):
        _abort(writer)  # A reset, as if the service itself had refused.
        return
    if preface:
        peer = writer.get_extra_info("peername")
        far_writer.write(preface.replace("{peer}", str(peer[0]) if isinstance(peer, tuple) else "").encode())
    for one in (writer, far_writer):
        one.transport.set_write_buffer_limits(high=_HIGH_WATER)
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    except OSError:
        _abort(writer)
        _abort(far_writer)
    except asyncio.CancelledError:  # It is hung up on.
        _abort(far_writer)
        raise
    finally:
        writer.close()
        far_writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One way, then say that there is no more: the other way may go on."""
    while data := await reader.read(_CHUNK):
        writer.write(data)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _abort(writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def _dialler_tcp(address: str, port: int) -> Callable[[], Awaitable[_Streams]]:
    return lambda: asyncio.open_connection(address, port, limit=_CHUNK)


def _dialler_unix(path: Path) -> Callable[[], Awaitable[_Streams]]:
    return lambda: asyncio.open_unix_connection(path, limit=_CHUNK)


def _unix_listener(path: Path) -> socket.socket:
    """A socket at `path` that its owner alone may open. It takes the name by `rename`: there is always one or the other."""
    making = path.with_name(f".{path.name}.new")
    making.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    os.umask(0o177)
    listener.bind(str(making))
    listener.listen(_BACKLOG)
    making.rename(path)
    return listener


def _tcp_listener(address: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(_BACKLOG)
    return listener


def main() -> None:
    """Relay for the ground of the folder that the command line names."""
    asyncio.run(Agent(Path(sys.argv[1])).run())


if __name__ == "__main__":
    main()
