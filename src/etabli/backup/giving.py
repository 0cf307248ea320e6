"""A backup's content, given back: files, database, vault, objects, volumes. Who calls decides the order, and that nothing is in the
way.

Everything is checked as it is read (`repository.Reader`), and no name in a backup leads out of the folder that it is restored to.
What is restored to must be empty: writes are not undone.
"""

import asyncio
import io
import json
import os
import tarfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from etabli.backup import models, ports
from etabli.backup.repository import Reader
from etabli.kernel import errors, files
from etabli.storage.copying import parts_of

AT_ONCE = 8  # Keys under way; versions of one key follow one another.
FOLDER_MODE = 0o755


class Buckets(Protocol):
    """The object store that is filled; `storage.copying.CopyingClient` keeps it."""

    async def create_bucket(self, bucket: str) -> None: ...
    async def put_settings(self, bucket: str, settings: Mapping[str, str]) -> None: ...
    async def set_versioning(self, bucket: str, status: str) -> None: ...
    async def delete(self, bucket: str, key: str) -> None: ...
    async def write(
        self,
        bucket: str,
        key: str,
        content: AsyncIterator[bytes],
        *,
        size: int,
        headers: Mapping[str, str],
        parts: tuple[int, ...] = (),
    ) -> None: ...


@dataclass(frozen=True)
class Given:
    """How much was given back."""

    buckets: int
    objects: int
    files: int


class Giving:
    """One backup, read."""

    def __init__(self, reader: Reader, manifest: models.Manifest) -> None:
        self._reader, self.manifest = reader, manifest

    def files(self, data: Path) -> None:
        """Settings, keys and the other small files, each where it lay in the data folder."""
        content = b"".join(self._reader.stream("files", self.manifest))
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            for member in archive:
                held = archive.extractfile(member)
                if held is None:
                    continue
                path = data / _inner(member.name)
                path.parent.mkdir(parents=True, exist_ok=True, mode=files.PRIVATE_FOLDER)
                files.write_atomically(path, held.read(), mode=member.mode & 0o777)

    def copy(self, stream: str, target: Path) -> None:
        """A stream as one file, 0600: `database`, `vault`."""
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, files.PRIVATE_FILE)
        with os.fdopen(descriptor, "wb") as file:
            for piece in self._reader.stream(stream, self.manifest):
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    async def objects(self, buckets: Buckets) -> int:
        """Every version of every object, oldest first within its key; how many. Buckets keep versions as they did."""
        described: list[dict[str, Any]] = _json(b"".join(self._reader.stream("buckets", self.manifest)))
        for bucket in described:
            await buckets.create_bucket(bucket["name"])
            if bucket["settings"]["versioning"]:
                await buckets.set_versioning(bucket["name"], "Enabled")
        count = 0
        for batch in _batches(self._keys()):
            await asyncio.gather(*(self._key(buckets, versions) for versions in batch))
            count += sum(map(len, batch))
        for bucket in described:  # Last: a policy or a lifecycle must not act on what is not whole.
            await buckets.put_settings(bucket["name"], bucket["settings"])
            if bucket["settings"]["versioning"] == "Suspended":
                await buckets.set_versioning(bucket["name"], "Suspended")
        return count

    def volumes(self, root: Path) -> Iterator[tuple[ports.Volume, Path]]:
        """Write each volume below `root`, as services lie there, and give it once it is whole, not yet its project's own."""
        volume: ports.Volume | None = None
        folder = root
        times: list[tuple[Path, int]] = []
        for line in self._reader.lines("volumes", self.manifest):
            if "volume" in line:
                if volume is not None:
                    yield _finished(volume, folder, times)
                volume = ports.Volume(str(line["service"]), str(line["project"]), str(line["claim"]))
                folder = root / _inner(volume.service_id) / "volumes" / _inner(volume.claim)
                times = []
            else:
                self._entry(folder, line, times)
        if volume is not None:
            yield _finished(volume, folder, times)

    def _entry(self, folder: Path, line: Mapping[str, Any], times: list[tuple[Path, int]]) -> None:
        path = folder / _inner(str(line["path"]))
        # A link that the same backup laid there must not lead out.
        if path != folder and not path.parent.resolve().is_relative_to(folder.resolve()):
            raise _outside()
        match line["kind"]:
            case "folder":
                path.mkdir(parents=True, exist_ok=True, mode=FOLDER_MODE)
                times.append((path, line["mtime_ns"]))
                if path != folder or line["mode"]:
                    path.chmod(int(line["mode"]) | 0o700)
            case "link":
                path.symlink_to(str(line["target"]))
            case _:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                with os.fdopen(os.open(path, flags, files.PRIVATE_FILE), "wb") as file:
                    for piece in line["pieces"]:
                        file.write(self._reader.piece(piece, self.manifest))
                    os.fchmod(file.fileno(), int(line["mode"]))
                os.utime(path, ns=(line["mtime_ns"], line["mtime_ns"]))

    def _keys(self) -> Iterator[list[dict[str, Any]]]:
        """The versions of each key, oldest first."""
        held: list[dict[str, Any]] = []
        for line in self._reader.lines("objects", self.manifest):
            if held and (held[0]["bucket"], held[0]["key"]) != (line["bucket"], line["key"]):
                yield held[::-1]
                held = []
            held.append(line)
        if held:
            yield held[::-1]

    async def _key(self, buckets: Buckets, versions: list[dict[str, Any]]) -> None:
        for version in versions:
            if version["mark"]:
                await buckets.delete(version["bucket"], version["key"])
                continue
            await buckets.write(
                version["bucket"],
                version["key"],
                self._content(version["pieces"]),
                size=version["size"],
                headers=version["headers"],
                parts=parts_of(version["etag"], version["size"]),
            )

    async def _content(self, pieces: Iterable[str]) -> AsyncIterator[bytes]:
        for piece in pieces:
            yield await asyncio.to_thread(self._reader.piece, piece, self.manifest)


def _finished(volume: ports.Volume, folder: Path, times: list[tuple[Path, int]]) -> tuple[ports.Volume, Path]:
    """Folders get their times once nothing more is written in them, inner ones first."""
    for path, mtime in reversed(times):
        os.utime(path, ns=(mtime, mtime))
    return volume, folder


def _batches(keys: Iterator[list[dict[str, Any]]]) -> Iterator[list[list[dict[str, Any]]]]:
    batch: list[list[dict[str, Any]]] = []
    for one in keys:
        batch.append(one)
        if len(batch) == AT_ONCE:
            yield batch
            batch = []
    if batch:
        yield batch


def _inner(name: str) -> PurePosixPath:
    """A path that stays inside. Refused else: the lab writes no other."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        raise _outside()
    return path


def _outside() -> errors.Refused:
    return errors.Refused("the backup names a file outside of the lab's folder: it is not restored")


def _json(content: bytes) -> Any:
    return json.loads(content)
