"""Use of services' origins, told to the portal, so that who works in a notebook stays signed in.

The authoriser sees each request and writes nothing (decision 3). At most once a minute for each session it sends the portal a
datagram: the session's id, and whether a person's hand was in it. Nothing waits for it: one that is lost is followed by another, and
the portal may be away. The socket is 0600, as all of the lab's.

A hand shows in what a page does by itself only when somebody uses it: going to a page, opening a websocket, sending something. What a
forgotten tab asks for every few seconds is use, and no hand.
"""

import asyncio
import os
import re
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

NAME = "activity"  # Of the socket.
EVERY_SECONDS = 60.0
MOST = 10_000  # Sessions remembered between two datagrams; past that, all are told again.
HAND, USE = b"h", b"u"
MESSAGE = re.compile(rb"([a-z0-9-]{1,32}) ([hu])")

Heard = Callable[[str, bool], Awaitable[None]]


class Teller:
    """The authoriser's side. `path` None: nobody listens."""

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None else str(path)
        self._socket = None if path is None else _socket()
        self._told: dict[tuple[str, bool], float] = {}

    def tell(self, session_id: str, *, by_hand: bool) -> None:
        """Say that a session is used, unless that was said within the minute. Never waits, never fails."""
        now, key = time.monotonic(), (session_id, by_hand)
        if self._path is None or self._socket is None or now - self._told.get(key, -EVERY_SECONDS) < EVERY_SECONDS:
            return
        if len(self._told) >= MOST:
            self._told.clear()
        self._told[key] = now
        with suppress(OSError):  # The portal is away, or behind: the next minute tells it again.
            self._socket.sendto(session_id.encode() + b" " + (HAND if by_hand else USE), self._path)

    def close(self) -> None:
        """Tell nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


@asynccontextmanager
async def listening(path: Path, heard: Heard) -> AsyncIterator[None]:
    """The portal's side: `heard` is given each session and whether a hand was in it, one at a time."""
    waiting: asyncio.Queue[tuple[str, bool]] = asyncio.Queue(maxsize=MOST)
    listener = _bound(path)
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Listener(waiting), sock=listener)
    working = asyncio.create_task(_work(waiting, heard))
    try:
        yield
    finally:
        working.cancel()
        transport.close()
        await asyncio.gather(working, return_exceptions=True)


def _bound(path: Path) -> socket.socket:
    """A socket that was born 0600, in the place of the one that a killed portal left."""
    path.unlink(missing_ok=True)
    listener = _socket()
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    return listener


def _socket() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, waiting: "asyncio.Queue[tuple[str, bool]]") -> None:
        self._waiting = waiting

    def datagram_received(self, data: bytes, _address: object) -> None:
        found = MESSAGE.fullmatch(data)
        if found and not self._waiting.full():
            self._waiting.put_nowait((found[1].decode(), found[2] == HAND))


async def _work(waiting: "asyncio.Queue[tuple[str, bool]]", heard: Heard) -> None:
    while True:
        await heard(*await waiting.get())
