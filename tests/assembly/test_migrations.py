"""The database comes to what this version reads without losing a row; killed half-way it is as it was."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect

from etabli.assembly import migrations, revisions
from etabli.kernel import errors
from etabli.kernel.database import Table
from etabli.services import store

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ROW = "insert into used_slugs (slug, taken_at) values ('alice', '2026-11-24 12:00:00.000000')"
NEXT = '''
"""Add a mark.

Came with Etabli 9.9.0.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "next", "{before}", None, None


def upgrade() -> None:
    """Change the tables."""
    op.create_table("marks", sa.Column("id", sa.String(32), primary_key=True))
    op.execute("insert into used_slugs (slug, taken_at) values ('half', '2026-11-24 12:00:00.000000')")
    with op.batch_alter_table("used_slugs") as table:
        table.add_column(sa.Column("mark", sa.String(10), nullable=True))
    {then}
'''

Scripts = Callable[[str], Path]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "etabli.db"


@pytest.fixture
def newer(tmp_path: Path) -> Scripts:
    """The revisions of a version to come, which ends its step with a statement of one's own."""

    def write(then: str) -> Path:
        folder = tmp_path / "newer"
        shutil.copytree(revisions.SCRIPTS, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions/next_adds_a_mark.py").write_text(NEXT.format(before=_head(), then=then))
        return folder

    return write


def test_from_nothing_the_tables_are_those_that_the_rooms_read(database: Path) -> None:
    migrations.migrate(database, now=NOW)
    engine = create_engine(f"sqlite:///{database}")
    found = inspect(engine)
    assert store.ServiceRow.__table__.name in found.get_table_names()
    declared = [
        one for one in Table.registry.mappers if one.class_.__module__.startswith("etabli.")
    ]  # Tests have some too.
    assert len(declared) > 10
    for one in declared:
        assert {column["name"] for column in found.get_columns(one.local_table.name)} == set(one.columns.keys())
    engine.dispose()
    assert _revision(database) == _head()
    assert not (database.parent / "backups").exists()


def test_the_first_revision_with_rows_comes_to_the_newest_and_keeps_them(database: Path) -> None:
    command.upgrade(migrations.configuration(database), "0001")
    _execute(database, ROW)
    migrations.migrate(database, now=NOW)
    assert _slugs(database) == ["alice"]
    assert _revision(database) == _head()


def test_a_copy_lies_beside_before_anything_changes(database: Path, newer: Scripts) -> None:
    migrations.migrate(database, now=NOW)
    _execute(database, ROW)
    before = _head()
    migrations.migrate(database, now=NOW, scripts=newer("pass"))
    assert _slugs(database) == ["alice", "half"]
    (copy,) = (database.parent / "backups").iterdir()
    assert copy.name == f"etabli-{before}-20261124T120000.db"
    assert copy.stat().st_mode & 0o777 == 0o600
    assert _slugs(copy) == ["alice"]
    assert _revision(copy) == before


def test_what_a_newer_version_wrote_is_refused_by_name_and_left_alone(database: Path, newer: Scripts) -> None:
    migrations.migrate(database, now=NOW, scripts=newer("pass"))
    whole = database.read_bytes()
    with pytest.raises(errors.Refused, match="written by a newer Etabli \\(revision `next`\\)") as refused:
        migrations.migrate(database, now=NOW)
    assert "backups" in (refused.value.hint or "")
    assert database.read_bytes() == whole


@pytest.mark.parametrize("end", ["raise RuntimeError", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])
def test_ended_half_way_it_changed_nothing_and_the_next_one_goes_through(
    database: Path, newer: Scripts, end: str
) -> None:
    migrations.migrate(database, now=NOW)
    _execute(database, ROW)
    before = _head()
    program = (
        "import sys; from datetime import datetime, UTC; from pathlib import Path; from etabli.assembly import migrations;"
        "migrations.migrate(Path(sys.argv[1]), now=datetime.now(UTC), scripts=Path(sys.argv[2]))"
    )
    scripts = newer(end)
    done = subprocess.run([sys.executable, "-c", program, database, scripts], capture_output=True, env=dict(os.environ))
    assert done.returncode in (1, -signal.SIGKILL), done.stderr
    assert (_slugs(database), _revision(database)) == (["alice"], before)
    with closing(sqlite3.connect(database)) as opened:
        assert opened.execute("pragma integrity_check").fetchall() == [("ok",)]
    migrations.migrate(database, now=NOW)  # This version goes on with it.
    (scripts / "versions/next_adds_a_mark.py").write_text(NEXT.format(before=before, then="pass"))
    migrations.migrate(database, now=NOW, scripts=scripts)
    assert _slugs(database) == ["alice", "half"]


def test_every_revision_is_in_a_file_of_its_name() -> None:
    for script in ScriptDirectory.from_config(migrations.configuration(Path("none.db"))).walk_revisions():
        assert Path(script.path).name.startswith(f"{script.revision}_")


def test_only_the_last_copies_are_kept(database: Path, newer: Scripts) -> None:
    migrations.migrate(database, now=NOW)
    scripts = newer("pass")
    for second in range(8):
        _execute(database, f"update alembic_version set version_num = '{_head()}'")
        _execute(database, "drop table if exists marks")
        _execute(database, "delete from used_slugs")
        if second:
            _execute(database, "alter table used_slugs drop column mark")
        migrations.migrate(database, now=NOW.replace(second=second), scripts=scripts)
    assert len(list((database.parent / "backups").iterdir())) == migrations.KEPT_COPIES


def _head() -> str:
    return sorted(path.name for path in (revisions.SCRIPTS / "versions").glob("[0-9]*.py"))[-1].partition("_")[0]


def _revision(database: Path) -> str | None:
    return revisions.current(database)


def _execute(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute(statement)


def _slugs(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as opened:
        return [row[0] for row in opened.execute("select slug from used_slugs order by slug")]
