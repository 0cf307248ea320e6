"""The files of a chart, from a folder or from a `.tgz`, and the one archive that Helm is given.

Whatever the source, a chart becomes a mapping of names to bytes, read by the strict rules below, and is packed again by us. Helm never
parses an archive that somebody else made, and one digest names what was read.

Refused: absolute names, `..`, links, devices, a name twice, more than MAX_FILES files, MAX_FILE bytes in one or MAX_TOTAL in all (of
what comes *out*: a small archive may hold gigabytes), names deeper than MAX_DEPTH.
"""

import fnmatch
import gzip
import hashlib
import io
import os
import stat
import tarfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from etabli.catalog import errors

MAX_FILES = 2_000
MAX_FILE = 4 * 1024 * 1024
MAX_TOTAL = 24 * 1024 * 1024
MAX_DEPTH = 16
MAX_NAME = 255
IGNORE_FILE = ".helmignore"

Files = Mapping[str, bytes]  # Relative POSIX names, as Helm sees them below the chart's own folder.


def read_folder(folder: Path) -> Files:
    """A chart's folder. Hidden files and what `.helmignore` names (plain patterns) are left out. ChartBroken names what is refused."""
    ignored = _ignore_patterns(folder / IGNORE_FILE)
    collected = _Collector()
    for parent, folders, names in os.walk(folder):
        relative = Path(parent).relative_to(folder)
        folders[:] = sorted(name for name in folders if not _is_ignored(relative / name, ignored))
        for name in sorted(names):
            if not _is_ignored(relative / name, ignored):
                collected.add(str(PurePosixPath(relative / name)), _read_regular(folder / relative / name))
        for name in folders:
            if (Path(parent) / name).is_symlink():
                raise errors.ChartBroken(f"`{relative / name}` is a link", hint="put the files themselves in the chart")
    return collected.files


def read_archive(data: bytes) -> Files:
    """A `.tgz` as `helm package` makes it: one top folder, left out of the names. ChartBroken names what is refused."""
    collected = _Collector()
    try:
        plain = _Bounded(gzip.GzipFile(fileobj=io.BytesIO(data)))
        with tarfile.open(fileobj=plain, mode="r|") as archive:  # A stream: nothing is read twice, nothing is sought.
            for member in archive:
                if member.isdir():
                    continue
                name = _inner_name(member.name)
                if not member.isreg():
                    raise errors.ChartBroken(f"`{name}` is a link or a device", hint="keep only plain files in a chart")
                if member.size > MAX_FILE:
                    raise errors.ChartBroken(f"`{name}` is larger than {MAX_FILE:,} bytes", hint="make it smaller")
                content = archive.extractfile(member)
                collected.add(name, content.read() if content else b"")
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error, UnicodeError, ValueError, OverflowError) as error:
        raise errors.ChartBroken(
            "the archive is damaged or no chart", hint="package it again with `helm package`"
        ) from error
    return collected.files


def pack(name: str, files: Files) -> bytes:
    """The archive of these files that Helm is given: the same bytes for the same files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(files):
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size, member.mode = len(files[path]), 0o644
            archive.addfile(member, io.BytesIO(files[path]))
    return gzip.compress(plain.getvalue(), compresslevel=1, mtime=0)


def digest(data: bytes) -> str:
    """SHA-256, in hexadecimal, as repositories' indexes declare it."""
    return hashlib.sha256(data).hexdigest()


class _Collector:
    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self._total = 0

    def add(self, name: str, content: bytes) -> None:
        self._total += len(content)
        if len(self.files) >= MAX_FILES:
            raise errors.ChartBroken(
                f"holds more than {MAX_FILES} files", hint="leave out what the chart does not need"
            )
        if len(content) > MAX_FILE or self._total > MAX_TOTAL:
            raise errors.ChartBroken(
                f"`{name}` makes the chart too large", hint="leave out what the chart does not need"
            )
        if name in self.files:
            raise errors.ChartBroken(f"`{name}` is there twice", hint="package the chart again")
        self.files[name] = content


class _Bounded(io.RawIOBase):
    """A stream that ends in an error past what a chart may hold, tar's own headers included."""

    def __init__(self, inner: gzip.GzipFile) -> None:
        self._inner = inner
        self._left = MAX_TOTAL + MAX_FILES * 2048

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(data)
        if self._left < 0:
            raise errors.ChartBroken("the archive unpacks to too much", hint="leave out what the chart does not need")
        return data


def _inner_name(name: str) -> str:
    parts = PurePosixPath(name).parts
    if name.startswith("/") or ".." in parts or "\\" in name or any(ord(character) < 32 for character in name):
        raise errors.ChartBroken(f"`{name[:80]!r}` leads out of the chart", hint="package the chart again")
    if len(parts) < 2 or len(parts) > MAX_DEPTH or len(name) > MAX_NAME:
        raise errors.ChartBroken(f"`{name[:80]}` lies where no chart has files", hint="package it with `helm package`")
    return str(PurePosixPath(*parts[1:]))


def _ignore_patterns(path: Path) -> tuple[str, ...]:
    if not path.is_file() or path.is_symlink():
        return ()
    lines = (line.strip().rstrip("/") for line in path.read_text(errors="replace").splitlines())
    return tuple(line for line in lines if line and not line.startswith(("#", "!")))


def _is_ignored(relative: Path, patterns: Iterable[str]) -> bool:
    if relative.name.startswith(".") and relative.name != IGNORE_FILE:
        return True
    return any(fnmatch.fnmatch(relative.name, p) or fnmatch.fnmatch(str(relative), p.lstrip("/")) for p in patterns)


def _read_regular(path: Path) -> bytes:
    """The bytes of a plain file, never through a link and never more than fit."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise errors.ChartBroken(
            f"`{path.name}` cannot be read, or is a link", hint="keep only plain files in a chart"
        ) from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise errors.ChartBroken(f"`{path.name}` is not a plain file", hint="keep only plain files in a chart")
        return file.read(MAX_FILE + 1)
