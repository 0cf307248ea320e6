"""Alembic's entry: it migrates the database that its caller names. Foreign keys wait until the end of the migration."""

from alembic import context
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection

from etabli.kernel.database import Table


def run() -> None:
    """Migrate within one transaction: all of it, or nothing."""
    url = context.config.get_main_option("sqlalchemy.url")
    assert url is not None
    engine = create_engine(url)
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    try:
        with engine.connect() as connection:
            context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
            with context.begin_transaction():
                context.run_migrations()
    finally:
        engine.dispose()


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
