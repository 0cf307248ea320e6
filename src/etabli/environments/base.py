"""The base `host`: this machine's own system, read-only, with an interpreter that sandboxes see too.

Trees of it are tied to it: its os-release, its architecture and its interpreter's version are part of their digest, so an upgrade
of the machine gives other trees, never broken ones.
"""

import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from etabli.environments import models
from etabli.kernel import errors

OLDEST = (3, 11)
# Sandboxes see /usr and nothing of anyone's home: an interpreter of pyenv or uv is not one of theirs.
FOLDERS = ("/usr/bin", "/usr/local/bin")
NAMES = ("python3", *(f"python3.{minor}" for minor in range(20, 10, -1)))
OS_RELEASE = Path("/etc/os-release")
ASK = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


def host(wanted: str | None = None, *, folders: tuple[str, ...] = FOLDERS) -> models.Base:
    """The base `host` with Python `wanted` (`3.12`), or with the system's own where that is None.

    Invalid (`runtime.txt`) where this machine has no such interpreter, Unavailable where it has none at all.
    """
    found = set()
    for path, version in _interpreters(folders):
        found.add(_minor(version))
        if wanted in (None, _minor(version)):
            return models.Base(name="host", python=path, python_version=version, identity=_identity())
    if wanted is not None:
        have = ", ".join(sorted(found)) or "none"
        raise errors.Invalid(
            f"this machine has no Python {wanted} that services can see; it has {have}",
            hint=f"`apt install python{wanted}`, or ask for another in `runtime.txt`",
            fields={"runtime.txt": f"this machine has {have}"},
        )
    raise errors.Unavailable(
        "this machine has no Python 3.11 or newer in /usr/bin", hint="install the package `python3` of the system"
    )


def _interpreters(folders: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Path and version of every interpreter new enough, the system's own first."""
    for path in (Path(folder, name) for folder in folders for name in NAMES):
        version = _version(path)
        if version is not None and tuple(map(int, version.split(".")[:2])) >= OLDEST:
            yield str(path), version


def _version(path: Path) -> str | None:
    try:
        # Isolated and without `site`: an interpreter says its version, and runs nothing of whoever starts the lab.
        answer = subprocess.run(
            [path, "-I", "-S", "-c", ASK], capture_output=True, text=True, timeout=30, check=True, env={}
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = answer.stdout.strip()
    return version if re.fullmatch(r"\d+\.\d+\.\d+", version) else None


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _identity() -> str:
    try:
        release = OS_RELEASE.read_text()
    except OSError:
        release = platform.platform()
    return f"{release.strip()}\nmachine={platform.machine()}\n"
