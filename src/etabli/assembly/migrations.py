"""Brings the database to what this version reads, without losing a row: copied aside, migrated, or refused by name.

Revisions are Alembic's, in `etabli/migrations/versions`; each one also names the Etabli version that it came with.
"""

import sqlite3
from datetime import datetime
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine

from etabli.kernel import errors, files

log = structlog.get_logger()

SCRIPTS = Path(__file__).resolve().parent.parent / "migrations"
KEPT_COPIES = 5  # Copies from before a migration; older ones are removed.


def migrate(database: Path, *, now: datetime, scripts: Path = SCRIPTS) -> None:
    """Make or update the database file. Refused where a newer Etabli wrote it; a copy lies beside it before anything changes."""
    config = configuration(database, scripts)
    head = ScriptDirectory.from_config(config).get_current_head()
    current = current_revision(database)
    if current == head:
        return
    if current is not None:
        _refuse_newer(config, current)
        copy = _copy_aside(database, current=current, now=now)
        log.info("database copied before migration", copy=copy.name, revision=current)
    command.upgrade(config, "head")
    log.info("database migrated", revision=head)


def current_revision(database: Path) -> str | None:
    """The revision that a database file is at; None for none or an empty one."""
    if not database.exists():
        return None
    engine = create_engine(f"sqlite:///{database}")
    try:
        with engine.connect() as connection:
            return MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()


def _refuse_newer(config: Config, current: str) -> None:
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if current not in known:
        raise errors.Refused(
            f"this lab's data was written by a newer Etabli (revision `{current}`)",
            hint="start it with that version, or bring back a copy from the folder `backups` beside the database",
        )


def _copy_aside(database: Path, *, current: str, now: datetime) -> Path:
    """A whole copy, made by SQLite itself while others may read and write."""
    folder = files.private_folder(database.parent / "backups")
    copy = folder / f"{database.stem}-{current}-{now:%Y%m%dT%H%M%S}.db"
    partial = copy.with_suffix(".part")
    source, target = sqlite3.connect(database), sqlite3.connect(partial)
    try:
        source.backup(target)
    finally:
        target.close()
        source.close()
    partial.chmod(files.PRIVATE_FILE)
    partial.rename(copy)
    files.sync_folder(folder)
    for old in sorted(folder.glob("*.db"), key=lambda path: path.stat().st_mtime)[:-KEPT_COPIES]:
        old.unlink()
    return copy


def configuration(database: Path, scripts: Path = SCRIPTS) -> Config:
    """Alembic's own configuration for a database file."""
    config = Config()
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.set_main_option("sqlalchemy.url", f"sqlite:///{database}".replace("%", "%%"))
    return config
