"""What the lab remembers of its own backups: which pieces are stored, and of what each object and file was cut into.

It only saves work: lost, the next run reads everything again and stores what is not there. Each note follows what it speaks of, so
that a kill leaves it true.
"""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from etabli.kernel import files

COMMIT_EVERY = 200  # Notes; a kill forgets no more than that.
TABLES = """
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS pieces (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cut (place TEXT, name TEXT, stamp TEXT, entry TEXT, run TEXT, PRIMARY KEY (place, name)) WITHOUT ROWID;
"""


class Index:
    """One file. Calls block for some microseconds; one process at a time (`taking` holds the lock)."""

    def __init__(self, path: Path) -> None:
        path.touch(mode=files.PRIVATE_FILE)
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.executescript(TABLES)
        self._pending = 0
        self._turn = threading.RLock()  # Threads share the connection.

    def close(self) -> None:
        """Keep what was noted."""
        with self._turn:
            self._database.commit()
            self._database.close()

    def belongs_to(self, repository: str) -> None:
        """Forget everything where it speaks of another repository."""
        row = self._database.execute("SELECT value FROM about WHERE name = 'repository'").fetchone()
        if row is None or row[0] != repository:
            self._database.execute("DELETE FROM pieces")
            self._database.execute("DELETE FROM cut")
            self._database.execute("INSERT OR REPLACE INTO about VALUES ('repository', ?)", (repository,))
            self._database.commit()

    def has(self, name: str) -> bool:
        """Whether a piece is stored."""
        with self._turn:
            return self._database.execute("SELECT 1 FROM pieces WHERE name = ?", (name,)).fetchone() is not None

    def note(self, name: str) -> None:
        """A piece is stored."""
        self._write("INSERT OR IGNORE INTO pieces VALUES (?)", (name,))

    def forget(self, names: Sequence[str]) -> None:
        """Pieces are no more."""
        self._database.executemany("DELETE FROM pieces WHERE name = ?", [(name,) for name in names])
        self._database.commit()

    def cut(self, place: str, name: str, stamp: str, *, run: str) -> dict[str, object] | None:
        """What an object or a file was cut into, where it is still as it was then and all its pieces are there."""
        query = "SELECT stamp, entry FROM cut WHERE place = ? AND name = ?"
        with self._turn:
            row = self._database.execute(query, (place, name)).fetchone()
        if row is None or row[0] != stamp:
            return None
        entry: dict[str, object] = json.loads(row[1])
        pieces = entry["pieces"]
        assert isinstance(pieces, list)
        if not all(self.has(str(piece)) for piece in pieces):
            return None
        self._write("UPDATE cut SET run = ? WHERE place = ? AND name = ?", (run, place, name))
        return entry

    def note_cut(self, place: str, name: str, stamp: str, entry: dict[str, object], *, run: str) -> None:
        """It was cut into these."""
        row = (place, name, stamp, json.dumps(entry), run)
        self._write("INSERT OR REPLACE INTO cut VALUES (?, ?, ?, ?, ?)", row)

    def forget_unseen(self, run: str) -> None:
        """Forget what a whole run did not meet."""
        self._database.execute("DELETE FROM cut WHERE run <> ?", (run,))
        self._database.commit()

    def _write(self, statement: str, values: Sequence[str]) -> None:
        with self._turn:
            self._database.execute(statement, values)
            self._pending += 1
            if self._pending >= COMMIT_EVERY:
                self._pending = 0
                self._database.commit()
