"""What containers write: one file each, appended to by the sandbox itself, so that it outlives us, the container and the engine.

A file keeps about its last `log_bytes`: what is older is punched out of its beginning (fallocate(2), FALLOC_FL_PUNCH_HOLE), which
frees the disk and leaves every offset as it is, for the writer and for readers. Where the file system cannot, the file is emptied
instead. Following waits for the kernel to tell of a write (inotify(7)); nothing polls.
"""

import asyncio
import ctypes
import errno
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from etabli.engines import contract

MAX_LINE = 16 << 10  # Bytes; a longer line is told in pieces, as container runtimes do.
CHUNK = 256 << 10
SETTLE_SECONDS = 0.05  # After a write is told: a container that writes without end is read in batches.
_BLOCK = 4096
_PUNCH_HOLE, _KEEP_SIZE = 0x02, 0x01
_IN_MODIFY, _IN_CREATE, _IN_DELETE_SELF, _IN_MOVED_TO = 0x2, 0x100, 0x400, 0x80


@dataclass(frozen=True)
class Source:
    """One container's log."""

    pod: str
    container: str
    path: Path


def prepare(path: Path) -> Path:
    """Make the file, for its owner alone, where it is not there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    return path


def trim(path: Path, keep: int) -> None:
    """Free what lies before the last `keep` bytes, once it is as much again. Absent is success."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        used = os.fstat(descriptor).st_blocks * 512
        if used > 2 * keep:
            _punch(descriptor, (os.fstat(descriptor).st_size - keep) // _BLOCK * _BLOCK)
    finally:
        os.close(descriptor)


def last_line(path: Path, most: int = 300) -> str:
    """The last words that are not blank: why a container ended, most often."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 4096))
            lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    except FileNotFoundError:
        return ""
    return next((line[-most:] for line in reversed(lines) if line.strip("\0")), "")


async def read(
    sources: Callable[[], tuple[Source, ...]], folder: Path, *, follow: bool
) -> AsyncIterator[contract.LogLine]:
    """Every line of the sources, each container's in its order; with `follow`, on until `folder` is removed."""
    readers: dict[Path, _Reader] = {}
    watch = _Watch(folder) if follow else None
    try:
        while True:
            for source in sources():
                reader = readers.setdefault(source.path, _Reader(source))
                while lines := await asyncio.to_thread(reader.more, last=not follow):
                    for line in lines:
                        yield line
                if watch is not None:
                    watch.add(source.path.parent)
            if watch is None or not await asyncio.to_thread(folder.is_dir):
                return
            if not watch.take_fresh():
                await watch.changed()
                await asyncio.sleep(SETTLE_SECONDS)
    finally:
        if watch is not None:
            watch.close()


class _Reader:
    """Reads on from where it was; starts after what was punched out."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._offset: int | None = None
        self._rest = b""

    def more(self, *, last: bool) -> list[contract.LogLine]:
        """The next lines; none where nothing is new. `last` tells an unfinished line too."""
        data = self._data()
        if not data:
            rest, self._rest = (self._rest, b"") if last else (b"", self._rest)
            return [self._line(rest)] if rest else []
        *whole, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > MAX_LINE:
            whole.append(self._rest)
            self._rest = b""
        return [self._line(piece) for line in whole for piece in _pieces(line)]

    def _data(self) -> bytes:
        try:
            descriptor = os.open(self._source.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return b""
        try:
            size = os.fstat(descriptor).st_size
            if self._offset is None or size < self._offset:  # The first time, or it was emptied.
                self._offset = 0
            try:
                start = os.lseek(descriptor, self._offset, os.SEEK_DATA)
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
                return b""
            if start > self._offset:  # The middle of a line was punched out with what was before it.
                self._offset, self._rest = start, b""
            data = os.pread(descriptor, CHUNK, self._offset)
            self._offset += len(data)
            return data.replace(b"\0", b"")
        finally:
            os.close(descriptor)

    def _line(self, text: bytes) -> contract.LogLine:
        return contract.LogLine(self._source.pod, self._source.container, text.rstrip(b"\r").decode(errors="replace"))


def _pieces(line: bytes) -> list[bytes]:
    return [line[start : start + MAX_LINE] for start in range(0, len(line), MAX_LINE)] or [b""]


class _Watch:
    """Told by the kernel of writes in folders."""

    def __init__(self, folder: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._folders: set[Path] = set()
        self._fresh = True
        self.add(folder)

    def add(self, folder: Path) -> None:
        """Watch a folder; one that is not there yet is made known by its parent."""
        if folder in self._folders:
            return
        mask = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO | _IN_DELETE_SELF
        if self._libc.inotify_add_watch(self._descriptor, os.fsencode(folder), mask) >= 0:
            self._folders.add(folder)
            self._fresh = True

    def take_fresh(self) -> bool:
        """Whether a folder was added since this was last asked: its files must be looked at again before waiting."""
        fresh, self._fresh = self._fresh, False
        return fresh

    async def changed(self) -> None:
        """Wait until something was written, made or removed."""
        loop, told = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._descriptor, told.set)
        try:
            await told.wait()
        finally:
            loop.remove_reader(self._descriptor)
        os.read(self._descriptor, 64 << 10)

    def close(self) -> None:
        os.close(self._descriptor)


def _punch(descriptor: int, length: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    if libc.fallocate(descriptor, _PUNCH_HOLE | _KEEP_SIZE, 0, length) != 0:
        os.ftruncate(descriptor, 0)
