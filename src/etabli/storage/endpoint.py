"""The container-credentials endpoint: what AWS SDKs inside a service ask for keys, `GET http://169.254.170.2/credentials`.

It listens on a UNIX socket. The project's agent relays to it and says first from which project's network, and from which pod, the call
comes: `project <project id> <pod address>` and a newline; HTTP/1.1 follows. The service's token is in `Authorization`, bare, as SDKs
send what AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE holds (Amazon ECS developer guide, "Task IAM role").

Promises: a token is worth something only from its own project's network; keys are the project's, whoever launched the service. A
caller that is slow, endless or numerous holds little memory and not for long: one request a connection, bounded in time and size, and
so many connections a project. Errors are JSON (`code`, `message`: what SDKs show). While the portal restarts there is nobody here,
and SDKs ask again.
"""

import asyncio
import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import h11
import structlog

from etabli.kernel import errors
from etabli.storage.ports import ServiceTokens
from etabli.storage.service import Storage

log = structlog.get_logger()

PATH = b"/credentials"
PREFACE_BYTES = 200
REQUEST_BYTES = 16 * 1024  # A request line and headers; a body is refused.
RETRY_SECONDS = 2


@dataclass(frozen=True)
class Limits:
    """What callers may hold."""

    request_seconds: float = 10.0  # For the agent's line, then for the request: agents are local, SDKs send at once.
    whole_seconds: float = 60.0  # For all of it: the store may take a while to answer for the keys.
    connections: int = 512
    connections_of_a_project: int = 64


@dataclass(frozen=True)
class Answer:
    """What goes back."""

    status: int
    content: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Caller:
    """Where a connection comes from, as the agent says: sandboxes cannot reach the socket to say otherwise."""

    project_id: str
    address: str


class Malformed(Exception):
    """Not the agent's line, or not HTTP: the connection is closed without a word, since nobody well-meaning is there."""


class CredentialEndpoint:
    """Serves keys to services."""

    def __init__(self, *, storage: Storage, tokens: ServiceTokens, limits: Limits = Limits()) -> None:
        self._storage, self._tokens, self._limits = storage, tokens, limits
        self._open: Counter[str] = Counter()
        self._total = 0

    @asynccontextmanager
    async def serving(self, path: Path) -> AsyncIterator[None]:
        """Listen at `path`, in place of whoever listened there before, until the block ends."""
        server = await asyncio.start_unix_server(self._connected, sock=_bind(path), limit=REQUEST_BYTES)
        try:
            yield
        finally:
            server.close()
            await server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._total += 1
        try:
            if self._total <= self._limits.connections:
                async with asyncio.timeout(self._limits.whole_seconds):
                    await self._converse(reader, writer)
        except (Malformed, TimeoutError, ConnectionError, asyncio.IncompleteReadError) as error:
            log.debug("credentials call dropped", reason=type(error).__name__)
        except Exception:  # The outermost frame of a connection: one bad call must not be the last.
            log.exception("credentials call failed")
        finally:
            self._total -= 1
            # What a caller does not take is dropped with the connection.
            writer.transport.abort() if writer.transport.get_write_buffer_size() else writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_BYTES)
        async with asyncio.timeout(self._limits.request_seconds):
            caller = await _preface(reader)
        with self._place(caller) as is_free:
            async with asyncio.timeout(self._limits.request_seconds):
                request = await _request(reader, connection)
            answer = await self._answer(request, caller) if is_free else _busy()
            writer.write(_encode(connection, request, answer))
            await writer.drain()

    async def _answer(self, request: h11.Request, caller: Caller) -> Answer:
        if request.target.partition(b"?")[0] != PATH:
            return _error(404, "NotFound", "there is nothing but /credentials here")
        if request.method != b"GET":
            return _error(405, "MethodNotAllowed", "ask with GET", {"Allow": "GET"})
        token = next((value for name, value in request.headers if name == b"authorization"), b"")
        if not token:
            return _error(401, "Unauthorized", "the service's token is missing from the header Authorization")
        try:
            known = await self._tokens.check(token=token.decode("ascii", "replace"), project_id=caller.project_id)
            keys = await self._storage.credentials(subject=known.project)
        except errors.Refused as error:
            log.info("credentials refused", project=caller.project_id, address=caller.address, reason=error.message)
            return _error(403, "Forbidden", "this token buys nothing here: restart the service to give it a new one")
        except errors.Unavailable as error:
            return _error(503, "Unavailable", error.message, {"Retry-After": str(RETRY_SECONDS)})
        return Answer(200, keys.document())

    @contextmanager
    def _place(self, caller: Caller) -> Iterator[bool]:
        """Whether there is room for one more of this project; counted while the block lasts."""
        self._open[caller.project_id] += 1
        try:
            yield self._open[caller.project_id] <= self._limits.connections_of_a_project
        finally:
            self._open[caller.project_id] -= 1
            if not self._open[caller.project_id]:
                del self._open[caller.project_id]


def _bind(path: Path) -> socket.socket:
    """A socket at `path`, for its owner alone before anyone can connect."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    path.chmod(0o600)
    return listener


async def _preface(reader: asyncio.StreamReader) -> Caller:
    try:
        line = await reader.readuntil(b"\n")
    except asyncio.LimitOverrunError as error:
        raise Malformed("no line from the agent") from error
    words = line.decode("ascii", "replace").split()
    if len(line) > PREFACE_BYTES or len(words) != 3 or words[0] != "project":
        raise Malformed("not the agent's line")
    return Caller(project_id=words[1], address=words[2])


async def _request(reader: asyncio.StreamReader, connection: h11.Connection) -> h11.Request:
    try:
        while (event := connection.next_event()) is h11.NEED_DATA:
            connection.receive_data(await reader.read(REQUEST_BYTES))
    except h11.RemoteProtocolError as error:
        raise Malformed("not HTTP") from error
    if not isinstance(event, h11.Request):
        raise Malformed("no request")
    return event


def _busy() -> Answer:
    return _error(503, "SlowDown", "too many calls at once from this project", {"Retry-After": str(RETRY_SECONDS)})


def _error(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, {"code": code, "message": message}, headers or {})


def _encode(connection: h11.Connection, request: h11.Request, answer: Answer) -> bytes:
    body = json.dumps(answer.content).encode()
    headers = {
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Cache-Control": "no-store",
        "Connection": "close",
        **answer.headers,
    }
    head = connection.send(h11.Response(status_code=answer.status, headers=list(headers.items()))) or b""
    if request.method == b"HEAD":
        return head
    return head + (connection.send(h11.Data(data=body)) or b"") + (connection.send(h11.EndOfMessage()) or b"")
