"""Brings the database to what this version reads, without losing a row: copied aside, migrated, or refused by name.

Revisions are Alembic's, in `etabli/migrations/versions`; each one also names the Etabli version that it came with.
"""

import sqlite3
from datetime import datetime
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from etabli.assembly import revisions
from etabli.assembly.revisions import SCRIPTS
from etabli.kernel import files

log = structlog.get_logger()

KEPT_COPIES = 5  # Copies from before a migration; older ones are removed.


def migrate(database: Path, *, now: datetime, scripts: Path = SCRIPTS) -> None:
    """Make or update the database file. Refused where a newer Etabli wrote it; a copy lies beside it before anything changes."""
    config = configuration(database, scripts)
    head = ScriptDirectory.from_config(config).get_current_head()
    current = revisions.current(database)
    if current == head:
        return
    if current is not None:
        revisions.refuse_newer(database, scripts)
        copy = _copy_aside(database, current=current, now=now)
        log.info("database copied before migration", copy=copy.name, revision=current)
    command.upgrade(config, "head")
    log.info("database migrated", revision=head)


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
