"""The authoriser: a process of its own that answers, for each request to a service, whether and where it goes.

Caddy asks over a UNIX socket (`forward_auth`); one read-only query answers. It also says which hosts may have a certificate, and
serves the lab's public keys on the components' own loopback, where OpenBao and SeaweedFS check tokens with them.

Promises: it writes nothing, so that it may be killed at any moment (that a session is used it only says: `activity`); an unknown
host, another person's service and a missing cookie answer alike.

Refused: unsafe requests and websockets from any other origin, and whatever another origin embeds or fetches (Fetch
Metadata, https://www.w3.org/TR/fetch-metadata/): services are same-site with one another, so a cookie says nothing of who asks.

Light on purpose: no web framework, no ORM; it starts in a fraction of a second.
"""

import argparse
import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import httptools

from etabli.components import journal
from etabli.door import activity, models

SAFE = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
RETRY_AFTER = "2"  # Seconds, for a service that is still starting.
QUERY = f"""
select r.upstream, r.ready, d.user_id, d.session_id
from door_sessions d
join sessions s on s.id = d.session_id and s.user_id = d.user_id and s.ended_at is null and s.expires_at > :now
join door_routes r on r.host = d.host and (r.path = '/' or substr(:path || '/', 1, length(r.path)) = r.path)
join memberships m on m.user_id = d.user_id and m.project_id = r.project_id and m.role in {models.OPENING_ROLES!r}
where d.token_hash = :token and d.host = :host and d.expires_at > :now
order by length(r.path) desc limit 1
"""
KNOWN = "select 1 from door_routes where host = :host limit 1"


@dataclass(frozen=True)
class Request:
    """What Caddy asks about: names in lower case; a name that came twice has both values."""

    path: str
    headers: Mapping[str, Sequence[str]]

    def get(self, name: str) -> str:
        """The header's only value; empty where it is absent or came twice."""
        values = self.headers.get(name, ())
        return values[0] if len(values) == 1 else ""


@dataclass(frozen=True)
class Answer:
    """Status, headers and body."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Found:
    """A route that the one who asks may take."""

    upstream: str
    ready: bool
    user_id: str
    session_id: str


class Routes:
    """The database, read only; opened when first needed and again after an error."""

    def __init__(self, path: Path) -> None:
        self._url = f"file:{quote(str(path))}?mode=ro"
        self._connection: sqlite3.Connection | None = None

    def find(self, *, host: str, path: str, token: str) -> Found | None:
        """Where this cookie's owner may go on this host. sqlite3.Error where the database cannot be read now."""
        # The form that SQLAlchemy stores a moment in.
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
        row = self._one(QUERY, {"host": host, "path": path, "token": models.digest(token), "now": now})
        if row is None:
            return None
        return Found(upstream=str(row[0]), ready=bool(row[1]), user_id=str(row[2]), session_id=str(row[3]))

    def knows(self, host: str) -> bool:
        """Whether a service has this host."""
        return self._one(KNOWN, {"host": host}) is not None

    def _one(self, query: str, values: Mapping[str, str]) -> tuple[object, ...] | None:
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._url, uri=True, isolation_level=None)
            row: tuple[object, ...] | None = self._connection.execute(query, dict(values)).fetchone()
        except sqlite3.Error:
            self._connection = None
            raise
        return row


class Authoriser:
    """Decides. `portal` is the portal's origin, whose scheme is that of every service; `teller` hears which sessions are used."""

    def __init__(self, *, routes: Routes, portal: str, teller: activity.Teller | None = None) -> None:
        self._routes = routes
        self._teller = teller or activity.Teller(None)
        self._portal = portal
        self._scheme = portal.partition(":")[0]

    def answer(self, request: Request) -> Answer:
        """The answer to Caddy: 2xx with the upstream, or what the client gets instead."""
        path = request.path.partition("?")[0]
        try:
            if path == "/authorise":
                return self._authorise(request)
            if path == "/tls-ask":
                return self._may_have_certificate(request)
        except sqlite3.Error as error:
            journal.say("database unreadable", error=error)
            return problem(503, "the lab is busy, try again", {"Retry-After": RETRY_AFTER})
        return Answer(200, {}, b"ok\n") if path == "/health" else problem(404, "no such path")

    def _authorise(self, request: Request) -> Answer:
        host = request.get("host").lower()
        if not self._comes_from_itself(request, host):
            return problem(403, "this service answers its own pages alone")
        cookies = _cookies(request)
        if len(cookies) > 1:
            return problem(400, "two cookies claim to be this service's")
        uri = request.get("x-etabli-uri") or "/"
        name = host.partition(":")[0]
        found = self._routes.find(host=name, path=uri.partition("?")[0], token=cookies[0]) if cookies else None
        if found is not None and found.ready:
            by_hand = _method(request) not in SAFE or _is_websocket(request) or _is_navigation(request)
            self._teller.tell(found.session_id, by_hand=by_hand)
            return Answer(200, {"X-Etabli-Upstream": found.upstream, "X-Etabli-User": found.user_id})
        if _is_navigation(request):
            to = f"{self._portal}/open?host={quote(name, safe='')}&to={quote(uri.encode('latin-1'), safe='')}"
            return Answer(303, {"Location": to, "Cache-Control": "no-store"})
        if found is not None:
            return problem(503, "the service is starting", {"Retry-After": RETRY_AFTER})
        return problem(401, "sign in to the lab, then open the service again")

    def _comes_from_itself(self, request: Request, host: str) -> bool:
        """Whether the origin is the service's own, or the request one that any page may make: a top-level navigation."""
        origin, site = request.get("origin"), request.get("sec-fetch-site")
        own = f"{self._scheme}://{host}"
        if len(request.headers.get("origin", ())) > 1 or len(request.headers.get("host", ())) != 1:
            return False
        if _method(request) not in SAFE or _is_websocket(request):
            # A page without referrers posts `null` to itself; only the browser's own word makes it good then.
            return origin == own or (origin in ("", "null") and site == "same-origin")
        if site in ("same-site", "cross-site"):
            return _is_navigation(request)
        return origin in ("", own) or site == "same-origin"

    def _may_have_certificate(self, request: Request) -> Answer:
        hosts = parse_qs(request.path.partition("?")[2]).get("domain", [])
        known = len(hosts) == 1 and self._routes.knows(hosts[0].lower())
        return Answer(200) if known else Answer(404)


def problem(status: int, title: str, headers: Mapping[str, str] | None = None) -> Answer:
    """An error as RFC 9457 has it."""
    body = json.dumps({"type": "about:blank", "title": title, "status": status}).encode()
    return Answer(
        status, {"Content-Type": "application/problem+json", "Cache-Control": "no-store", **(headers or {})}, body
    )


def keys(path: Path, request: Request) -> Answer:
    """The lab's public keys, as identity wrote them; read each time, so that a rotation is seen at once."""
    if request.path.partition("?")[0] != "/jwks":
        return problem(404, "no such path")
    try:
        return Answer(200, {"Content-Type": "application/jwk-set+json"}, path.read_bytes())
    except FileNotFoundError:
        return problem(503, "the lab has no keys yet", {"Retry-After": RETRY_AFTER})


def _method(request: Request) -> str:
    return request.get("x-etabli-method")


def _is_websocket(request: Request) -> bool:
    return bool(request.headers.get("x-etabli-upgrade", [""])[0])


def _is_navigation(request: Request) -> bool:
    """Whether a person's whole page goes there, so that a redirect is of use. Frames and fetches are not that."""
    if _method(request) != "GET" or _is_websocket(request):
        return False
    if mode := request.get("sec-fetch-mode"):
        return mode == "navigate" and request.get("sec-fetch-dest") == "document"
    return "text/html" in request.get("accept")  # Browsers before Fetch Metadata.


def _cookies(request: Request) -> list[str]:
    """Every value of the service cookie: more than one is somebody's trick."""
    pairs = (pair.strip().partition("=") for line in request.headers.get("cookie", ()) for pair in line.split(";"))
    return [value for name, _, value in pairs if name.strip() == models.SERVICE_COOKIE]


class HttpProtocol(asyncio.Protocol):
    """HTTP/1.1 with kept connections, for callers that are ours: requests have no body worth reading."""

    def __init__(self, app: Callable[[Request], Answer]) -> None:
        self._app = app
        self._parser = httptools.HttpRequestParser(self)
        self._headers: dict[str, list[str]] = {}
        self._url = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._transport.close()

    def on_message_begin(self) -> None:
        self._headers = {}
        self._url = b""

    def on_url(self, part: bytes) -> None:
        self._url += part

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))

    def on_message_complete(self) -> None:
        answer = self._app(Request(path=self._url.decode("latin-1"), headers=self._headers))
        lines = [f"HTTP/1.1 {answer.status} -", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers.items()]
        self._transport.write("\r\n".join([*lines, "", ""]).encode("latin-1") + answer.body)
        if not self._parser.should_keep_alive():
            self._transport.close()


async def serve(authoriser: Authoriser, *, socket: Path, jwks: Path | None, jwks_port: int) -> None:
    """Answer on the socket, 0600, and the keys on this namespace's loopback where `jwks` is given, until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if jwks is not None:
        await loop.create_server(partial(HttpProtocol, partial(keys, jwks)), "127.0.0.1", jwks_port)
    os.umask(0o177)  # The socket is born 0600: there is no moment when others may open it.
    # asyncio removes the socket that a killed one left.
    await loop.create_unix_server(partial(HttpProtocol, authoriser.answer), str(socket), backlog=1024)
    await stopped.wait()


def main() -> None:
    """`python -m etabli.door.authoriser`: arguments only, nothing from the environment."""
    parser = argparse.ArgumentParser(description="Answers the front door's questions")
    parser.add_argument("--database", type=Path, required=True, help="the lab's SQLite file")
    parser.add_argument("--socket", type=Path, required=True, help="the UNIX socket to answer on")
    parser.add_argument("--activity", type=Path, help="the portal's socket to tell of sessions that are used")
    parser.add_argument("--portal", required=True, help="the portal's origin")
    parser.add_argument("--jwks", type=Path, help="the file of public keys to serve at http://127.0.0.1:PORT/jwks")
    parser.add_argument("--jwks-port", type=int, default=9100)
    given = parser.parse_args()
    if urlsplit(given.portal).scheme not in ("http", "https"):
        parser.error("--portal is an origin, such as http://etabli.localhost:8000")
    teller = activity.Teller(given.activity)
    authoriser = Authoriser(routes=Routes(given.database), portal=given.portal, teller=teller)
    asyncio.run(serve(authoriser, socket=given.socket, jwks=given.jwks, jwks_port=given.jwks_port))


if __name__ == "__main__":
    main()
