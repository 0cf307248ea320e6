"""`make test`: the checks, then every test in one run of pytest, tier by tier: unit, real components and sandboxes, browser, cluster.

What this machine cannot run is left out and said, never hidden. Output ends with pytest's own closing line.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

TREE = Path(__file__).resolve().parent.parent


def main() -> None:
    """Exit with the status of the checks if they fail, else of pytest."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a room (`services`), or a path under tests/")
    parser.add_argument("rest", nargs="*", help="arguments for pytest")
    arguments = parser.parse_args()
    checked = subprocess.run([sys.executable, "tools/check.py"], cwd=TREE, check=False)
    if checked.returncode != 0:
        sys.exit(checked.returncode)
    where = f"tests/{arguments.only}" if arguments.only else "tests"
    os.chdir(TREE)
    os.execv(sys.executable, [sys.executable, "-m", "pytest", "-q", where, *arguments.rest])


if __name__ == "__main__":
    main()
