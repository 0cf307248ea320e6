"""Alembic's entry: it migrates the database that its caller names. Foreign keys wait until the end of the migration."""

from typing import Literal

from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection

from etabli.admin import announcements, usage
from etabli.audit import store as audit
from etabli.door import store as door
from etabli.identity import factor_store as factors
from etabli.identity import store as identity
from etabli.identity import terms_store as terms
from etabli.identity import token_store as tokens
from etabli.identity.outside import store as outside
from etabli.kernel.database import Table, UtcDateTime
from etabli.leaving import store as leaving
from etabli.mail import store as mail
from etabli.services import metering, quotas, recent
from etabli.services import store as services

ROOMS = (
    audit,
    door,
    identity,
    leaving,
    factors,
    terms,
    outside,
    tokens,
    mail,
    services,
    recent,
    quotas,
    metering,
    announcements,
    usage,
)  # Importing a room's store declares its tables.


def run() -> None:
    """Migrate within one transaction: all of it, or nothing."""
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            context.configure(
                connection=connection, target_metadata=Table.metadata, render_as_batch=True, render_item=_frozen
            )
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


def _frozen(kind: str, item: object, _context: object) -> str | Literal[False]:
    """How a type is written in a revision: a revision never changes, so it names none of ours, which may."""
    return "sa.DateTime()" if kind == "type" and isinstance(item, UtcDateTime) else False


def _prepare(connection: object, _record: object) -> None:
    """Python's driver must not begin and commit by itself, or DDL is outside of the transaction (sqlite3, autocommit)."""
    connection.isolation_level = None  # type: ignore[attr-defined]
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


run()
