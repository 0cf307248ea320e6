"""What each person launched last, so that it can be launched again as it was: also when the service is long gone.

A value whose name says that it is a secret is not remembered; such a launch is offered as its form, filled with the rest.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import String, Text, delete, select, update
from sqlalchemy.orm import Mapped, mapped_column

from etabli.kernel import database
from etabli.services import models

KEPT = 12  # Of a person in a project: a page shows a few.
SECRET = re.compile(r"pass(?!ive)|secret|token|credential|private.?key|api.?key", re.IGNORECASE)


@dataclass(frozen=True)
class Recent:
    """A chart, as a person last launched it in a project."""

    catalog: str
    chart: str
    name: str  # What the service was called.
    version: str | None  # As it was asked for; None: the newest.
    values: Mapping[str, object]  # Secrets left out.
    is_whole: bool  # Whether nothing was left out.
    was_opened: bool
    used_at: datetime


class RecentRow(database.Table):
    """One chart that one person launched in one project."""

    __tablename__ = "recent_launches"

    user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    project_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    catalog: Mapped[str] = mapped_column(String(100), primary_key=True)
    chart: Mapped[str] = mapped_column(String(100), primary_key=True)
    name: Mapped[str] = mapped_column(String(100))
    version: Mapped[str | None] = mapped_column(String(100))
    values: Mapped[str] = mapped_column(Text)
    is_whole: Mapped[bool]
    was_opened: Mapped[bool]
    used_at: Mapped[datetime]


class RecentLaunches:
    """Reads and writes, each a short unit of work."""

    def __init__(self, *, database: database.Database) -> None:
        self._database = database

    async def remember(self, *, user_id: str, launch: models.Launch, name: str, at: datetime) -> None:
        """Keep a launch in place of the last one of the same chart; the oldest of others go past KEPT."""
        values = cast("Mapping[str, object]", _without_secrets(launch.values))
        key = (user_id, launch.project_id, launch.catalog, launch.chart)
        async with self._database.session() as session:
            row = await session.get(RecentRow, key)
            if row is None:
                row = RecentRow(
                    user_id=user_id,
                    project_id=launch.project_id,
                    catalog=launch.catalog,
                    chart=launch.chart,
                    was_opened=False,
                )
                session.add(row)
            row.name, row.version, row.used_at = name, launch.version, at
            row.values, row.is_whole = json.dumps(values), values == launch.values
            await session.flush()
            mine = (RecentRow.user_id == user_id, RecentRow.project_id == launch.project_id)
            newest = select(RecentRow.used_at).where(*mine).order_by(RecentRow.used_at.desc())
            if (oldest := await session.scalar(newest.offset(KEPT))) is not None:
                await session.execute(delete(RecentRow).where(*mine, RecentRow.used_at <= oldest))

    async def opened(self, *, user_id: str, service: models.Service, at: datetime) -> None:
        """Somebody opened a service: what it was launched from was used now."""
        mine = (
            RecentRow.user_id == user_id,
            RecentRow.project_id == service.project_id,
            RecentRow.catalog == service.catalog,
            RecentRow.chart == service.chart,
        )
        async with self._database.session() as session:
            await session.execute(update(RecentRow).where(*mine).values(was_opened=True, used_at=at))

    async def of(self, *, user_id: str, project_id: str) -> tuple[Recent, ...]:
        """What a person launched in a project, last used first."""
        mine = (RecentRow.user_id == user_id, RecentRow.project_id == project_id)
        async with self._database.session() as session:
            rows = await session.scalars(select(RecentRow).where(*mine).order_by(RecentRow.used_at.desc()))
            return tuple(_recent(row) for row in rows)


def _recent(row: RecentRow) -> Recent:
    return Recent(
        catalog=row.catalog,
        chart=row.chart,
        name=row.name,
        version=row.version,
        values=json.loads(row.values),
        is_whole=row.is_whole,
        was_opened=row.was_opened,
        used_at=row.used_at,
    )


def _without_secrets(value: object) -> object:
    """The values, without those under a name that says secret, and without whatever names itself (`{name: …, value: …}`) so."""
    if isinstance(value, Mapping):
        return {
            name: _without_secrets(inner)
            for name, inner in value.items()
            if not SECRET.search(str(name)) and not (name == "value" and SECRET.search(str(value.get("name", ""))))
        }
    if isinstance(value, list | tuple):
        return [_without_secrets(inner) for inner in value]
    return value
