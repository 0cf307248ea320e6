"""Draft the next revision of the database from the tables: `python tools/revision.py "Say what changes"`.

Read it before you keep it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from alembic import command

from etabli.assembly import migrations


def main() -> None:
    """Compare the tables with a database at the newest revision, and write what differs."""
    message = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "now.db"
        config = migrations.configuration(database)
        scripts = sorted((migrations.SCRIPTS / "versions").glob("[0-9]*.py"))
        if scripts:
            command.upgrade(config, "head")
        command.revision(config, message=message, autogenerate=True, rev_id=f"{len(scripts) + 1:04d}")


if __name__ == "__main__":
    main()
