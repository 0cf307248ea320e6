"""What tests of the store and the vault stand on: the real binaries behind a loopback of their own, real people, real tokens."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select

from etabli.components import models
from etabli.identity.issuer import Issuer
from etabli.identity.keys import PRIVATE_FILE, PUBLIC_FILE, KeyRing
from etabli.identity.models import Project, ProjectKind, Role, User
from etabli.identity.service_tokens import ServiceTokens
from etabli.identity.store import MembershipRow, ProjectRow, UsedSlugRow, UserRow
from etabli.kernel.clock import SystemClock
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.ids import new_id
from etabli.kernel.settings import LabSettings, Layout

LAB = LabSettings(port=8000)
CLOCK = SystemClock()


class People:
    """People and projects in a real database, with the real issuer over the keys that the enclave's parts know."""

    def __init__(self, database: Database, ring: KeyRing, keys: Path) -> None:
        self._database, self.ring, self._keys = database, ring, keys
        self.issuer = Issuer(database=database, clock=CLOCK, ring=ring, origin=LAB.origin)
        self.tokens = ServiceTokens(database=database, clock=CLOCK)

    async def person(self, slug: str) -> User:
        """Somebody new, with a project of their own."""
        now = CLOCK.now()
        user = UserRow(id=new_id(), slug=slug, name=slug.title(), language="en", created_at=now, is_admin=False)
        async with self._database.session() as session:
            session.add(UsedSlugRow(slug=slug, taken_at=now))
            await session.flush()
            session.add(user)
            await session.flush()
        await self._project(slug, ProjectKind.PERSONAL, {user.id: Role.OWNER})
        return user.read()

    async def own(self, user: User) -> Project:
        """A person's own project."""
        async with self._database.session() as session:
            row = await session.scalar(select(ProjectRow).where(ProjectRow.slug == user.slug))
            assert row is not None
            return row.read()

    async def shared(self, slug: str, roles: Mapping[str, Role]) -> Project:
        """A shared project with these people (by id) in it."""
        async with self._database.session() as session:
            session.add(UsedSlugRow(slug=slug, taken_at=CLOCK.now()))
        return await self._project(slug, ProjectKind.SHARED, roles)

    async def archive(self, project: Project) -> None:
        """Close a project."""
        async with self._database.session() as session:
            row = await session.get(ProjectRow, project.id)
            assert row is not None
            row.archived_at = CLOCK.now()

    async def rotate(self) -> None:
        """Sign with a fresh key from now on: the old ones are forgotten."""
        (self._keys / PRIVATE_FILE).unlink()
        self.ring = KeyRing(folder=self._keys, clock=CLOCK, period=timedelta(days=90))
        await self.ring.open()
        self.issuer = Issuer(database=self._database, clock=CLOCK, ring=self.ring, origin=LAB.origin)

    async def _project(self, slug: str, kind: ProjectKind, roles: Mapping[str, Role]) -> Project:
        now = CLOCK.now()
        row = ProjectRow(id=new_id(), slug=slug, name=slug.title(), kind=kind.value, created_at=now)
        async with self._database.session() as session:
            session.add(row)
            await session.flush()
            for user_id, role in roles.items():
                session.add(MembershipRow(user_id=user_id, project_id=row.id, role=role.value, created_at=now))
        return row.read()


@asynccontextmanager
async def people(folder: Path, layout: Layout) -> AsyncIterator[People]:
    """A fresh database of people under `folder`; the keys are the layout's."""
    ring = KeyRing(folder=layout.keys, clock=CLOCK, period=timedelta(days=90))
    await ring.open()
    database = Database(sqlite_url(folder / "people.db"))
    await database.create_tables()
    yield People(database, ring, layout.keys)
    await database.close()


async def publish_keys(layout: Layout, folder: Path) -> None:
    """Make the signing keys, and put their public halves where `Enclave` serves them."""
    await KeyRing(folder=layout.keys, clock=CLOCK, period=timedelta(days=90)).open()
    (folder / "jwks").write_bytes((layout.keys / PUBLIC_FILE).read_bytes())


class Enclave:
    """A user and a network namespace of our own. The JWKS of `folder` is at 127.0.0.1:9100 inside, as the authoriser serves it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.holder = subprocess.Popen(
            ["unshare", "--map-root-user", "--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep 1000"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.holder.stdout is not None
        assert self.holder.stdout.readline() == "ready\n"
        server = ("-m", "http.server", "--bind", "127.0.0.1", "--directory", str(folder), "9100")
        self._children = [self.run((sys.executable, *server), log=folder / "jwks.log")]

    def run(
        self,
        argv: tuple[str, ...],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a process inside."""
        inside = ("nsenter", "-t", str(self.holder.pid), "-U", "-n", "--preserve-credentials", *argv)
        with log.open("ab") as output:
            return subprocess.Popen(inside, stdout=output, stderr=output, env=env, cwd=cwd, start_new_session=True)

    def start(self, component: models.Component) -> subprocess.Popen[bytes]:
        """Start a component as the supervisor does, and wait until it answers."""
        env = {"HOME": str(component.folder), "PATH": os.defpath, **component.env}
        child = self.run(component.argv, log=component.log, env=env, cwd=component.folder)
        self._children.append(child)
        health = component.health
        assert health is not None
        wait_until(lambda: answers(health) or _ended(child, component), f"{component.name} answers")
        return child

    def close(self) -> None:
        """End everything inside."""
        for child in [*self._children, self.holder]:
            child.kill()
            child.wait()
        assert self.holder.stdout is not None
        self.holder.stdout.close()


def answers(health: models.Health) -> bool:
    """Whether a component answers now."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(health.socket))
            connection.sendall(f"GET {health.path or '/'} HTTP/1.0\r\nHost: {health.host}\r\n\r\n".encode())
            return int(connection.recv(64).split()[1]) in health.statuses
        except (OSError, IndexError):
            return False


def wait_until(done: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Poll until something is so; fail after a generous limit."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.05)


def command_lines() -> bytes:
    """What every account of this machine may read of what runs."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(FileNotFoundError, ProcessLookupError):
            lines.append(path.read_bytes())
    return b"\n".join(lines)


def layout(folder: Path, run: Path) -> Layout:
    """A lab's folders under a test's own."""
    made = Layout(data=folder / "data", run=run)
    made.make()
    return made


def _ended(child: subprocess.Popen[bytes], component: models.Component) -> bool:
    if child.poll() is not None:
        raise AssertionError(f"{component.name} ended: {component.log.read_text(errors='replace')[-2000:]}")
    return False
