"""One backup, from the lab to its place: deletions held, the database, the vault, lists, then content.

The order is what makes a restore whole: what the database speaks of is in the vault's snapshot, which is taken after it while
nothing is removed for good; services' secrets that are newer than the database are known to nobody and harm nothing. Objects that
their people delete meanwhile are left out and counted. Each file of a volume is as the disk had it when it was read; different
files may be moments apart: a database in a volume is then as after a power cut, which its own journal makes good.
"""

import asyncio
import contextlib
import io
import json
import tarfile
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from importlib import metadata
from itertools import islice
from pathlib import Path

import structlog

from etabli.backup import models, ports, repository
from etabli.backup.index import Index
from etabli.kernel import files
from etabli.kernel.clock import Clock
from etabli.storage import errors as storage
from etabli.storage.copying import Version

log = structlog.get_logger()

AT_ONCE = 8  # Objects under way; each holds a piece or two in memory.
NOT_FOUND = 404
PATIENCE = (timedelta(seconds=1), timedelta(seconds=5), timedelta(seconds=15))


@dataclass
class Throttle:
    """Keeps what is written under a rate. `bytes_per_second` None is no limit."""

    clock: Clock
    bytes_per_second: float | None
    _free_at: float = field(default=0.0)

    async def spend(self, size: int) -> None:
        """Wait until `size` more bytes may have been written."""
        if self.bytes_per_second is None or size == 0:
            return
        self._free_at = max(self._free_at, self.clock.monotonic()) + size / self.bytes_per_second
        await self.clock.sleep(timedelta(seconds=max(0.0, self._free_at - self.clock.monotonic())))


class Taking:
    """One run."""

    def __init__(
        self,
        *,
        lab: ports.Lab,
        buckets: ports.Buckets,
        repository: repository.Repository,
        index: Index,
        scratch: Path,
        clock: Clock,
        throttle: Throttle,
    ) -> None:
        self._lab, self._buckets, self._repository, self._index = lab, buckets, repository, index
        self._scratch, self._clock, self._throttle = scratch, clock, throttle
        self._counts = models.Counts()
        self._pieces: set[str] = set()
        self._id = repository_id(clock)

    async def run(self, repository_of: str) -> models.Manifest:
        """Take the backup; it is there, whole, when this returns."""
        files.private_folder(self._scratch)
        listing = self._scratch / "versions"
        with self._lab.deletions_held():
            await asyncio.to_thread(self._lab.copy_database, self._scratch / "database")
            revision = self._lab.revision()
            await self._lab.copy_vault(self._scratch / "vault")
            volumes = await self._lab.volumes()
            buckets = await self._list(listing)
        dumped, failed = await self._lab.dump()
        self._count(dumps=dumped, dumps_failed=failed)
        streams = {
            "database": await self._keep(_read(self._scratch / "database")),
            "vault": await self._keep(_read(self._scratch / "vault")),
            "files": await self._keep([_tar(self._lab)]),
            "buckets": await self._keep([json.dumps(buckets).encode()]),
            "objects": await self._keep_lines(self._objects(listing)),
            "volumes": await self._keep_lines(self._volumes(volumes)),
        }
        self._count(
            pieces_written=self._repository.written,
            bytes_written=self._repository.written_bytes,
            bytes_total=sum(stream.size for name, stream in streams.items() if name in {"database", "vault", "files"}),
        )
        manifest = models.Manifest(
            id=self._id,
            taken_at=repository.taken_at(self._id),
            etabli=metadata.version("etabli"),
            revision=revision,
            origin=self._lab.origin,
            repository=repository_of,
            signer=self._repository.keys.signer,
            naming=self._repository.keys.naming.hex(),
            streams=streams,
            counts=self._counts,
        )
        await asyncio.to_thread(self._repository.publish, manifest, self._pieces)
        self._index.forget_unseen(self._id)
        return manifest

    async def _list(self, listing: Path) -> list[dict[str, object]]:
        """Every bucket with its settings; every version, a line each, in a file: memory does not grow with the store."""
        found: list[dict[str, object]] = []
        with listing.open("w") as lines:
            for bucket in await self._buckets.buckets():
                found.append({"name": bucket, "settings": await self._buckets.settings(bucket)})
                async for version in self._buckets.versions(bucket):
                    lines.write(json.dumps(vars(version)) + "\n")
        self._count(buckets=len(found))
        return found

    async def _objects(self, listing: Path) -> AsyncIterator[dict[str, object]]:
        with listing.open() as lines:
            while batch := [Version(**json.loads(line)) for line in islice(lines, AT_ONCE)]:
                # All have ended before one that failed is raised: none goes on over an index that is closed.
                for entry in await asyncio.gather(*map(self._object, batch), return_exceptions=True):
                    if isinstance(entry, BaseException):
                        raise entry
                    if entry is not None:
                        yield entry

    async def _object(self, version: Version) -> dict[str, object] | None:
        """One version: known from an earlier run, or read; None where its people deleted it meanwhile."""
        about = {"bucket": version.bucket, "key": version.key, "version": version.id, "modified": version.modified}
        if version.is_mark:
            self._count(objects=1)
            return {**about, "mark": True}
        place, name = f"s3:{version.bucket}", f"{version.id}:{version.key}"
        entry = self._index.cut(place, name, version.stamp, run=self._id)
        if entry is None:
            try:
                headers, pieces = await self._read_object(version)
            except storage.StoreRefused as error:
                if error.status != NOT_FOUND:
                    raise
                self._count(objects_gone=1)
                return None
            entry = {"headers": headers, "pieces": pieces}
            self._index.note_cut(place, name, version.stamp, entry, run=self._id)
            self._count(objects_read=1)
        self._use(entry)
        self._count(objects=1, bytes_total=version.size)
        return {**about, "mark": False, "etag": version.etag, "size": version.size, **entry}

    async def _read_object(self, version: Version) -> tuple[dict[str, str], list[str]]:
        """Its headers and pieces; asked again where the store fails, as it may for seconds after it started."""
        for patience in PATIENCE:
            try:
                return await self._read_once(version)
            except storage.StoreUnavailable as error:
                log.info("an object is read again", reason=error.message)
                await self._clock.sleep(patience)
        return await self._read_once(version)

    async def _read_once(self, version: Version) -> tuple[dict[str, str], list[str]]:
        async with self._buckets.reading(version) as (headers, content):
            return headers, [await self._put(piece) async for piece in _pieces(content)]

    async def _volumes(self, volumes: Iterable[ports.Volume]) -> AsyncIterator[dict[str, object]]:
        for volume in volumes:
            yield {
                "volume": volume.name,
                "service": volume.service_id,
                "project": volume.project_id,
                "claim": volume.claim,
            }
            with self._lab.carry(volume) as carrier:
                entries = carrier.entries()
                while (entry := await asyncio.to_thread(next, entries, None)) is not None:
                    yield {**vars(entry), **(await self._file(volume, entry, carrier))}

    async def _file(self, volume: ports.Volume, entry: models.Entry, carrier: ports.Carrier) -> dict[str, object]:
        if entry.kind != "file":
            return {"pieces": []}
        place = f"volume:{volume.name}"
        cut = self._index.cut(place, entry.path, entry.stamp, run=self._id)
        if cut is None:
            content = carrier.content()
            pieces = []
            while (piece := await asyncio.to_thread(next, content, None)) is not None:
                pieces.append(await self._put(piece))
            cut = {"pieces": pieces}
            self._index.note_cut(place, entry.path, entry.stamp, cut, run=self._id)
            self._count(files_read=1)
        self._use(cut)
        self._count(files=1, bytes_total=entry.size)
        return cut

    async def _keep_lines(self, lines: AsyncIterator[dict[str, object]]) -> models.Stream:
        """Lines of JSON as a stream, cut at lines: a list that grew at one place shares its other pieces."""
        pieces, size, held = [], 0, bytearray()
        async for line in lines:
            held += json.dumps(line, sort_keys=True).encode() + b"\n"
            if len(held) >= models.PIECE // 4:
                pieces.append(await self._put(bytes(held)))
                size += len(held)
                held.clear()
        if held:
            pieces.append(await self._put(bytes(held)))
        return models.Stream(pieces=tuple(pieces), size=size + len(held))

    async def _keep(self, content: Iterable[bytes]) -> models.Stream:
        pieces, size = [], 0
        for piece in content:
            pieces.append(await self._put(piece))
            size += len(piece)
        return models.Stream(pieces=tuple(pieces), size=size)

    async def _put(self, piece: bytes) -> str:
        before = self._repository.written_bytes
        name = await asyncio.to_thread(self._repository.put, piece, self._index)
        self._pieces.add(name)
        await self._throttle.spend(self._repository.written_bytes - before)
        return name

    def _use(self, entry: dict[str, object]) -> None:
        pieces = entry["pieces"]
        assert isinstance(pieces, list)
        self._pieces.update(map(str, pieces))

    def _count(self, **more: int) -> None:
        self._counts = replace(self._counts, **{name: getattr(self._counts, name) + by for name, by in more.items()})


def repository_id(clock: Clock) -> str:
    """The id of a run that begins now."""
    return repository.manifest_id(clock.now())


async def _pieces(content: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """The same content, cut."""
    held = bytearray()
    async for block in content:
        held += block
        while len(held) >= models.PIECE:
            yield bytes(held[: models.PIECE])
            del held[: models.PIECE]
    if held:
        yield bytes(held)


def _read(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(models.PIECE):
            yield piece


def _tar(lab: ports.Lab) -> bytes:
    """Small files, in one archive: they are some hundred KiB together."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, path in sorted(lab.small_files().items()):
            with contextlib.suppress(FileNotFoundError):  # Replaced at this very moment; the next run has it.
                held = path.read_bytes()
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(held), path.stat().st_mode & 0o777
                archive.addfile(member, io.BytesIO(held))
    return content.getvalue()
