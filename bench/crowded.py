"""A lab whose database is filled before it starts: people with sessions, in projects of some size, with services that are paused.

Rows are as the use cases write them, without a thousand passwords' hashes. Paused services give the reconciler nothing to do.
"""

import asyncio
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import insert

from bench import idle, lab, owned
from etabli.assembly import configuration, portal
from etabli.engines import contract
from etabli.identity import opaque
from etabli.identity.store import MembershipRow, ProjectRow, SessionRow, UsedSlugRow, UserRow
from etabli.kernel import ids, settings
from etabli.kernel.database import Table
from etabli.services import models
from etabli.services.store import ServiceRow
from etabli.web import visitors

PORTAL = b"etabli.assembly.portal"
EACH = 5  # Services of a project.
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Member:
    """Somebody signed in."""

    token: str
    project: str  # Its slug.
    services: tuple[str, ...]  # Ids of the project's.

    @property
    def headers(self) -> dict[str, str]:
        """What their browser sends."""
        cookies = f"{visitors.SESSION_COOKIE}={self.token}; {visitors.PROJECT_COOKIE}={self.project}"
        return {"Cookie": cookies, "Sec-Fetch-Site": "same-origin", "Accept": "text/html"}

    @property
    def csrf(self) -> str:
        """What their unsafe requests carry."""
        return visitors.csrf_token(self.token)


@dataclass(frozen=True)
class Crowd:
    """The lab, running, and who is in it."""

    port: int
    origin: str
    members: tuple[Member, ...]
    portal: int  # Its pid.

    @property
    def cpu_seconds(self) -> float:
        """What the portal's process has used since it began."""
        fields = Path(f"/proc/{self.portal}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS


@contextmanager
def running(folder: Path, environments: Path, *, people: int, together: int) -> Iterator[Crowd]:
    """A lab with that many people, `together` in each project."""
    folder.mkdir(mode=0o700)
    layout = settings.Layout(data=folder / "data", run=folder / "run")
    layout.make()
    port = owned.free_port()
    lines = ["[lab]", 'domain = "etabli.localhost"', f"port = {port}", "[environments]", f'store = "{environments}"']
    (layout.data / "etabli.toml").write_text("\n".join(lines) + "\n")
    members = asyncio.run(_fill(layout, people=people, together=together))
    try:
        lab.command(layout.data, layout.run, "up", "--detach")
        # Built before anything is measured: the lab would begin with it.
        lab.command(layout.data, layout.run, "environments", "build", "jupyter-python", seconds=lab.BUILD_SECONDS)
        places = tuple(str(path).encode() for path in (layout.data, layout.run))
        pid = next(pid for pid, line in idle.commands(places).items() if PORTAL in line)
        yield Crowd(port=port, origin=f"http://etabli.localhost:{port}", members=members, portal=pid)
    finally:
        lab.command(layout.data, layout.run, "down", check=False)
        lab.end_grounds(layout.run)


async def _fill(layout: settings.Layout, *, people: int, together: int) -> tuple[Member, ...]:
    async with portal.assembled(layout, configuration.load(layout)) as opened:
        now = opened.clock.now()
        rows: dict[type[Table], list[dict[str, object]]] = {
            kind: [] for kind in (UsedSlugRow, UserRow, ProjectRow, MembershipRow, SessionRow, ServiceRow)
        }
        members: list[Member] = []
        for number in range(people):
            user, slug, token = ids.new_id(), f"person-{number}", secrets.token_urlsafe(32)
            rows[UsedSlugRow].append({"slug": slug, "taken_at": now})
            rows[UserRow].append(
                {"id": user, "slug": slug, "name": slug, "is_admin": number == 0, "language": "en", "created_at": now}
            )
            own, shared = ids.new_id(), f"project-{number // together}"
            rows[ProjectRow].append({"id": own, "slug": slug, "name": slug, "kind": "personal", "created_at": now})
            rows[MembershipRow].append({"user_id": user, "project_id": own, "role": "owner", "created_at": now})
            if number % together == 0:
                project = ids.new_id()
                rows[UsedSlugRow].append({"slug": shared, "taken_at": now})
                rows[ProjectRow].append(
                    {"id": project, "slug": shared, "name": shared, "kind": "shared", "created_at": now}
                )
                services = [_service(user, project, now=now, place=place) for place in range(EACH)]
                rows[ServiceRow] += services
            role = "owner" if number % together == 0 else "member"
            rows[MembershipRow].append({"user_id": user, "project_id": project, "role": role, "created_at": now})
            rows[SessionRow].append(
                {
                    "id": ids.new_id(),
                    "user_id": user,
                    "token_hash": opaque.digest(token),
                    "created_at": now,
                    "expires_at": now + timedelta(hours=8),
                    "last_seen_at": now,
                    "user_agent": "",
                    "address": "127.0.0.1",
                }
            )
            members.append(Member(token, shared, tuple(str(service["id"]) for service in services)))
        async with opened.database.session() as session:
            for kind, content in rows.items():
                await session.execute(insert(kind), content)
        return tuple(members)


def _service(user: str, project: str, *, now: object, place: int) -> dict[str, object]:
    half = contract.Resources(cpu=0.5, memory_bytes=512 << 20)
    return {
        "id": ids.new_id(),
        "project_id": project,
        "owner_id": user,
        "name": f"Notebook {place}",
        "catalog": "ide",
        "chart": "jupyter-python",
        "chart_version": "1.0.0",
        "desired": models.Desired.STOPPED.value,
        "state": models.State.STOPPED.value,
        "limits_cpu": half.cpu,
        "limits_memory": half.memory_bytes,
        "openable": True,
        "created_at": now,
        "state_since": now,
    }
