"""A real database, and a real front door: Caddy and the authoriser as processes, with upstreams that tell what reached them."""

import asyncio
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from etabli.components import caddy
from etabli.components.settings import FrontDoorSettings
from etabli.door.models import SERVICE_COOKIE
from etabli.door.service import Door
from etabli.engines import contract
from etabli.identity import store as identity
from etabli.kernel import database
from etabli.kernel.clock import SystemClock
from etabli.kernel.settings import LabSettings, Layout

DEADLINE = 20.0  # Seconds for a real process to come up, on a busy machine.


def free_port() -> int:
    """A port that the kernel says is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until(true: Callable[[], bool], what: str) -> None:
    """Wait until `true()`, or fail saying what did not come."""
    for _ in range(int(DEADLINE / 0.02)):
        if true():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{what} did not come within {DEADLINE} s")


def spawn(argv: tuple[str, ...], folder: Path) -> subprocess.Popen[bytes]:
    """Start a process that the test ends."""
    return subprocess.Popen(argv, env={"PATH": os.defpath, "HOME": str(folder)}, cwd=folder)


def answers(path: Path) -> bool:
    """Whether somebody accepts connections on a UNIX socket."""
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(path)) == 0


@pytest.fixture
def layout() -> Iterator[Layout]:
    """A lab's folders, on a path short enough for sockets."""
    root = Path(tempfile.mkdtemp(prefix="door-"))
    layout = Layout(data=root / "data", run=root / "run")
    layout.make()
    yield layout
    shutil.rmtree(root)


@pytest.fixture
def lab() -> LabSettings:
    return LabSettings(port=free_port())


@pytest.fixture
async def tables(layout: Layout) -> AsyncIterator[database.Database]:
    opened = database.Database(database.sqlite_url(layout.database))
    await opened.create_tables()
    yield opened
    await opened.close()


@pytest.fixture
def door(tables: database.Database, lab: LabSettings) -> Door:
    return Door(database=tables, clock=SystemClock(), lab=lab)


@dataclass(frozen=True)
class Person:
    """Somebody signed in to the portal, with a project of their own."""

    user_id: str
    session_id: str
    project_id: str


async def person(tables: database.Database, slug: str, *, role: str = "owner") -> Person:
    """Sign somebody in, through identity's own tables."""
    now = datetime.now(UTC)
    made = Person(user_id=f"u-{slug}", session_id=f"s-{slug}", project_id=f"p-{slug}")
    async with tables.session() as session:
        session.add(identity.UsedSlugRow(slug=slug, taken_at=now))
        await session.flush()
        session.add(identity.UserRow(id=made.user_id, slug=slug, name=slug, language="en", created_at=now))
        session.add(identity.ProjectRow(id=made.project_id, slug=slug, name=slug, kind="personal", created_at=now))
        await session.flush()
        session.add(identity.MembershipRow(user_id=made.user_id, project_id=made.project_id, role=role, created_at=now))
        session.add(
            identity.SessionRow(
                id=made.session_id,
                user_id=made.user_id,
                token_hash=secrets.token_hex(32),
                created_at=now,
                expires_at=now + timedelta(hours=1),
                last_seen_at=now,
            )
        )
    return made


@dataclass
class Upstream:
    """A service behind the door: answers what reached it as JSON, or echoes bytes after an upgrade."""

    path: Path
    requests: list[bytes] = field(default_factory=list)
    server: asyncio.Server | None = None
    reply: Callable[[str], Awaitable[str]] | None = None  # From a request's head to a whole answer, in place of JSON.

    async def start(self) -> None:
        self.server = await asyncio.start_unix_server(self._serve, str(self.path))

    async def stop(self) -> None:
        assert self.server
        self.server.close()
        await self.server.wait_closed()
        self.path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                self.requests.append(head)
                if b"upgrade: websocket" in head.lower():
                    writer.write(_switch(head))
                    while data := await reader.read(1024):
                        writer.write(data)
                    break
                await _skip_body(reader, head)
                if self.reply is not None:
                    writer.write((await self.reply(head.decode())).encode())
                    continue
                body = json.dumps({"head": head.decode(), "upstream": self.path.name}).encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        finally:
            writer.close()


def _switch(head: bytes) -> bytes:
    """Accept a websocket (RFC 6455, 4.2.2)."""
    key = re.search(rb"(?i)sec-websocket-key: (\S+)", head)
    assert key
    accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    lines = [
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + accept,
    ]
    return b"\r\n".join([*lines, b"", b""])


async def _head(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return b""


async def _skip_body(reader: asyncio.StreamReader, head: bytes) -> None:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            await reader.readexactly(int(line.partition(b":")[2]))


@dataclass
class FrontDoor:
    """A running front door, and what stands behind it."""

    lab: LabSettings
    layout: Layout
    door: Door
    tables: database.Database
    processes: dict[str, subprocess.Popen[bytes]]
    authoriser_argv: tuple[str, ...]
    upstreams: dict[str, Upstream]

    def host(self, name: str) -> str:
        return f"{name}.{self.lab.services_domain}"

    def origin(self, name: str) -> str:
        return self.lab.origin_of(self.host(name))

    async def service(self, name: str, owner: Person, *, ready: bool = True) -> str:
        """Start an upstream and publish it on `<name>.svc.<domain>`: its host."""
        key = f"key-{name}"
        if key not in self.upstreams:
            self.upstreams[key] = Upstream(self.layout.upstreams / key)
            await self.upstreams[key].start()
        route = contract.Route(host=self.host(name), path="/", upstream=key)
        await self.door.publish(service_id=f"id-{name}", project_id=owner.project_id, routes=[route], ready=ready)
        return self.host(name)

    async def cookie(self, name: str, who: Person) -> str:
        """Let somebody in: the value of the Cookie header."""
        code = await self.door.mint_code(session_id=who.session_id, user_id=who.user_id, host=self.host(name))
        return f"{SERVICE_COOKIE}={await self.door.redeem(code=code, host=self.host(name))}"

    async def ask(self, host: str, path: str = "/", *, method: str = "GET", **more: object) -> httpx.Response:
        """Send a request through Caddy's TCP port as a client of that host."""
        headers = [("Host", f"{host}:{self.lab.port}"), *more.pop("headers", ())]  # type: ignore[misc] # Given as pairs.
        async with httpx.AsyncClient(timeout=DEADLINE, trust_env=False) as client:
            url = f"http://127.0.0.1:{self.lab.port}{path}"
            return await client.request(method, url, headers=headers, **more)  # type: ignore[arg-type] # Passed on.

    def start_authoriser(self) -> None:
        self.processes["authoriser"] = spawn(self.authoriser_argv, self.layout.run)


@asynccontextmanager
async def running(
    layout: Layout, lab: LabSettings, door: Door, tables: database.Database, settings: FrontDoorSettings
) -> AsyncIterator[FrontDoor]:
    """Caddy and the authoriser, with stand-ins for the portal, S3 and the vault."""
    component = caddy.component(layout, lab, settings)
    authoriser: tuple[str, ...] = (sys.executable, "-m", "etabli.door.authoriser", "--database", str(layout.database))
    authoriser += ("--socket", str(layout.socket("authoriser")), "--portal", lab.origin)
    authoriser += ("--activity", str(layout.socket("activity")))
    behind = {name: Upstream(layout.socket(name)) for name in ("portal", "s3", "vault")}
    front = FrontDoor(lab, layout, door, tables, {}, authoriser, behind)
    try:
        for upstream in behind.values():
            await upstream.start()
        front.start_authoriser()
        front.processes["caddy"] = spawn(component.argv, component.folder)
        await until(lambda: answers(layout.socket("authoriser")), "the authoriser")
        await until(lambda: answers(component.folder / "health.sock"), "Caddy")
        yield front
    finally:
        for process in front.processes.values():
            process.kill()
            process.wait()
        for upstream in front.upstreams.values():
            await upstream.stop()


@pytest.fixture
async def front(layout: Layout, lab: LabSettings, door: Door, tables: database.Database) -> AsyncIterator[FrontDoor]:
    async with running(layout, lab, door, tables, FrontDoorSettings()) as front:
        yield front
