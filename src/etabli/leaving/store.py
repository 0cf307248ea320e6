"""Which accounts end, and what is kept under a person's id: in this database each such table has the column `user_id`."""

import base64
import re
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import String, Table, delete, select
from sqlalchemy.orm import Mapped, mapped_column

from etabli.kernel import database

# Of columns: what proves something, or is the lab's own working. It is nobody's to take along.
WITHHELD = re.compile(r"hash|secret|credential|public_key|handle|browser|sealed|^position$")
LASTING = frozenset({"account_ends"})  # Tables whose rows stay when their person goes.


class EndRow(database.Table):
    """An account that ends, or has ended."""

    __tablename__ = "account_ends"

    user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    asked_at: Mapped[datetime]
    done_at: Mapped[datetime | None]


class Store:
    """Reads and writes, each a short unit of work."""

    def __init__(self, *, database: database.Database) -> None:
        self._database = database

    async def begin(self, *, user_id: str, at: datetime) -> None:
        """Write down that an account ends. Repeating it changes nothing."""
        async with self._database.session() as session:
            if await session.get(EndRow, user_id) is None:
                session.add(EndRow(user_id=user_id, asked_at=at, done_at=None))

    async def begun(self) -> tuple[str, ...]:
        """The people whose account is ending."""
        async with self._database.session() as session:
            return tuple(await session.scalars(select(EndRow.user_id).where(EndRow.done_at.is_(None))))

    async def finish(self, *, user_id: str, at: datetime) -> None:
        """It has ended."""
        async with self._database.session() as session:
            (await session.get_one(EndRow, user_id)).done_at = at

    async def drop(self, *, user_id: str) -> None:
        """Remove every row under that person's id, those of other rows first; what names them otherwise stays."""
        async with self._database.session() as session:
            for table in reversed(database.Table.metadata.sorted_tables):
                if _is_of_people(table):
                    await session.execute(delete(table).where(table.c.user_id == user_id))

    async def kept(self, *, user_id: str) -> Mapping[str, list[Mapping[str, object]]]:
        """What is kept under a person's id, by table, without what proves something."""
        found: dict[str, list[Mapping[str, object]]] = {}
        async with self._database.session() as session:
            for table in database.Table.metadata.sorted_tables:
                if _is_of_people(table):
                    columns = [column for column in table.columns if not WITHHELD.search(column.name)]
                    rows = await session.execute(select(*columns).where(table.c.user_id == user_id))
                    found[table.name] = [{name: _plain(value) for name, value in row._mapping.items()} for row in rows]
        return {name: rows for name, rows in found.items() if rows}


def _is_of_people(table: Table) -> bool:
    return "user_id" in table.columns and table.name not in LASTING


def _plain(value: object) -> object:
    """A value as JSON has it."""
    if isinstance(value, datetime):
        return value.isoformat()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value
