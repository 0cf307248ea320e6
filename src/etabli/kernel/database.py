"""The database: one SQLite file in the embedded lab, PostgreSQL in an institution, the same SQLAlchemy tables.

Writes are durable before they are acknowledged (`synchronous=FULL`), readers never wait for the writer (WAL). A session is a short
unit of work: load, close, act on the network, open, apply. Nothing waits on another machine inside one.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import DateTime, Dialect, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, ORMExecuteState, Session
from sqlalchemy.types import TypeDecorator

from etabli.kernel import errors

# What SQLite says where nothing more can be written: to the file, to its journal, to what its connections share
# (sqlite.org/rescode.html).
DISK_FULL = frozenset({"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_FSYNC"})
BUSY_TIMEOUT_MS = 5_000  # How long a writer waits for another before it fails.
WRITTEN = "written"  # Under which a session notes the tables that it wrote to.


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored in UTC: SQLite forgets time zones, and a naive moment is a bug."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return None if value is None else value.replace(tzinfo=UTC)


class Table(DeclarativeBase):
    """The base of every table; each room declares its own in its `store.py`."""

    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy reads it from the class.


class Database:
    """Sessions over one database."""

    def __init__(self, url: str) -> None:
        self.engine: AsyncEngine = create_async_engine(url)
        self._turn: AbstractAsyncContextManager[None] = nullcontext()
        if self.engine.dialect.name == "sqlite":
            self._turn = _Turn()
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
        self._sessions = async_sessionmaker(self.engine, expire_on_commit=False, sync_session_class=_Noting)
        self._told: list[Callable[[frozenset[str]], None]] = []

    def on_write(self, tell: Callable[[frozenset[str]], None]) -> None:
        """Have `tell` called after each unit of work that wrote, with the names of the tables; it may neither wait nor fail.

        Whoever must hear of every change to a table, whichever use case makes it, hears it here. Raw SQL text is not seen.
        """
        self._told.append(tell)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncSession]:
        """A unit of work: committed at the end, rolled back on an error. None inside another: on SQLite it would wait for itself."""
        try:
            async with self._turn, self._sessions.begin() as session:
                yield session
            if written := frozenset(session.info.get(WRITTEN, ())):
                for tell in self._told:
                    tell(written)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorname", "") in DISK_FULL:
                raise errors.Unavailable(
                    "the lab's disk is full", hint="make room where its data folder is; what was stored is kept"
                ) from error
            raise

    async def create_tables(self) -> None:
        """Make every table known to `Table`; for tests. The lab itself migrates (main.migrate)."""
        async with self.engine.begin() as connection:
            await connection.run_sync(Table.metadata.create_all)

    async def close(self) -> None:
        """Close every connection."""
        await self.engine.dispose()


class _Noting(Session):
    """A session that notes the names of the tables it writes to."""


def _note_flush(session: Session, _context: object) -> None:
    for row in (*session.new, *session.dirty, *session.deleted):
        session.info.setdefault(WRITTEN, set()).add(row.__tablename__)


def _note_statement(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        table = state.statement.table.name  # type: ignore[attr-defined] # Every DML statement has one.
        state.session.info.setdefault(WRITTEN, set()).add(table)


event.listen(_Noting, "after_flush", _note_flush)
event.listen(_Noting, "do_orm_execute", _note_statement)


class _Turn(AbstractAsyncContextManager[None]):
    """Units of work on SQLite in the order in which they came. It has one writer, and those that wait in its own busy loop are let
    in by chance: with twenty launches at once, one failed after five seconds in which the others wrote.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._holder: asyncio.Task[object] | None = None

    async def __aenter__(self) -> None:
        if self._holder is not None and self._holder is asyncio.current_task():
            raise RuntimeError("a session inside a session waits for itself")
        await self._lock.acquire()
        self._holder = asyncio.current_task()

    async def __aexit__(self, *_: object) -> None:
        self._holder = None
        self._lock.release()


def sqlite_url(path: Path) -> str:
    """The URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


def _prepare_sqlite(connection: object, _record: object) -> None:
    cursor = connection.cursor()  # type: ignore[attr-defined] # The DBAPI connection is untyped.
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
