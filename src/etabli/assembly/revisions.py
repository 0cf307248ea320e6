"""Which revision a database is at, and whether this version knows it: asked before anything is touched, so without Alembic.

A revision's file is named by it: `0001_lay_the_first_tables.py` is `0001`.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from etabli.kernel import errors

SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"


def current(database: Path) -> str | None:
    """The revision that a database file is at; None for none or an empty one."""
    if not database.exists():
        return None
    with closing(sqlite3.connect(database)) as opened:
        try:
            row = opened.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError as error:
            if "no such table" in str(error):
                return None
            raise
    return None if row is None else str(row[0])


def known(scripts: Path = SCRIPTS) -> frozenset[str]:
    """Every revision that this version reads."""
    return frozenset(path.name.partition("_")[0] for path in (scripts / "versions").glob("*_*.py"))


def refuse_newer(database: Path, scripts: Path = SCRIPTS) -> None:
    """Refused where a newer Etabli wrote the database."""
    at = current(database)
    if at is not None and at not in known(scripts):
        raise errors.Refused(
            f"this lab's data was written by a newer Etabli (revision `{at}`)",
            hint="start it with that version, or bring back a copy from the folder `backups` beside the database",
        )
