"""`make docs`: the pages of reference from the code, and the pictures from a lab of its own, walked as a newcomer walks it.

`--check` changes nothing, starts nothing, and says which pages would change; 1 if any. `--pages` leaves the pictures alone.
"""

from __future__ import annotations

import argparse
import os
import sys

from tools import pictures, reference


def main() -> int:
    """Write what differs, or say it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; say which pages would change")
    parser.add_argument("--pages", action="store_true", help="pages alone: no lab, no Chromium")
    arguments = parser.parse_args()
    stale = [path for path, text in reference.pages().items() if not path.exists() or path.read_text() != text]
    if arguments.check:
        for path in stale:
            print(f"{path.relative_to(reference.TREE)}: would change")
        return 1 if stale else 0
    if not os.access(reference.TREE / "docs", os.W_OK):
        print(
            "docs/ is not this user's to write: give it to the user that the lab runs as, or run this in a checkout of theirs"
        )
        return 1
    for path in stale:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(reference.pages()[path])
        print(f"{path.relative_to(reference.TREE)}: written")
    if not arguments.pages:
        for path in pictures.take(reference.TREE / "docs/pictures"):
            print(f"{path.relative_to(reference.TREE)}: taken")
    return 0


if __name__ == "__main__":
    sys.exit(main())
