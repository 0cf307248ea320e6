"""Where a backup's files lie: a folder. Another place is another module with the same few calls (`s3.py`).

Promises: a file is there whole or not at all; what `write` answered for is on the disk.
"""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from etabli.kernel import errors, files

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


class Place(Protocol):
    """A flat space of named files: names are words of letters, digits, dots and dashes, between slashes. Calls block."""

    def describe(self) -> str:
        """Where it is, for people."""
        ...

    def read(self, name: str) -> bytes:
        """NotFound where it is not."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Unavailable where it cannot be written now."""
        ...

    def exists(self, name: str) -> bool: ...

    def names(self, prefix: str) -> Iterator[str]:
        """All under a folder `prefix/`, in any order."""
        ...

    def remove(self, name: str) -> None:
        """Absent is success."""
        ...


class Folder:
    """A folder of this machine, of another disk best."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def describe(self) -> str:
        return str(self._root)

    def read(self, name: str) -> bytes:
        try:
            return (self._root / name).read_bytes()
        except FileNotFoundError as error:
            raise errors.NotFound(f"`{name}` is not in the backup at `{self._root}`") from error
        except OSError as error:
            raise self._unavailable(error) from error

    def write(self, name: str, content: bytes) -> None:
        path = self._root / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=files.PRIVATE_FOLDER)
            files.write_atomically(path, content)
        except OSError as error:
            raise self._unavailable(error) from error

    def exists(self, name: str) -> bool:
        return (self._root / name).exists()

    def names(self, prefix: str) -> Iterator[str]:
        for path in (self._root / prefix).rglob("*"):
            if path.is_file() and not path.name.startswith("."):  # A killed writer's.
                yield path.relative_to(self._root).as_posix()

    def remove(self, name: str) -> None:
        try:
            (self._root / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: OSError) -> errors.Unavailable:
        if error.errno in FULL:
            return errors.Unavailable(
                f"the disk of the backups at `{self._root}` is full",
                hint="make room there, or `etabli backup prune`; the earlier backups are whole",
            )
        return errors.Unavailable(
            f"the backups at `{self._root}` cannot be reached: {error.strerror}",
            hint="is the disk there, and the lab's user's?",
        )
