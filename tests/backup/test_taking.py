"""What a run reads and writes, over the real object store: increments by count, cuts, deletions meanwhile, another store as place."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from etabli.backup import giving, models, places, ports, repository, s3, sealing
from etabli.backup.service import Backups
from etabli.backup.settings import BackupSettings
from etabli.backup.standing import HOLD, Notebook, deletions_held, folder
from etabli.components import seaweedfs
from etabli.kernel import errors, holds
from etabli.kernel.ids import new_id
from etabli.storage.copying import CopyingClient, Version, parts_of
from etabli.storage.models import Keys
from tests import parts
from tests.storage.conftest import REGION, Store
from tests.storage.conftest import store as store  # A fixture.

pytestmark = pytest.mark.binaries
PLENTY = BackupSettings(to="/elsewhere", recipients=("set by the test",))


class Lab:
    """A lab's database and vault as plain files, and one volume as a folder of this test."""

    origin = "http://etabli.localhost"

    def __init__(self, data: Path) -> None:
        self.data = data
        self.while_held: Callable[[], None] = lambda: None
        (data / "volume/inner").mkdir(parents=True)

    def revision(self) -> str:
        return "0001"

    @contextmanager
    def deletions_held(self) -> Iterator[None]:
        with holds.holding(folder(self.data) / HOLD, otherwise="held"):
            yield
            self.while_held()

    def copy_database(self, target: Path) -> None:
        target.write_bytes(b"database")

    async def copy_vault(self, target: Path) -> None:
        await asyncio.to_thread(target.write_bytes, b"vault")

    def small_files(self) -> Mapping[str, Path]:
        return {"keys/backup.json": self.data / "backup.json"}

    async def dump(self) -> tuple[int, int]:
        dumped = self.data / "volume/dump"
        if not dumped.exists():
            dumped.write_bytes(b"dump")
        return 1, 0

    async def volumes(self) -> Sequence[ports.Volume]:
        return [ports.Volume("service", "project", "home")]

    def carry(self, volume: ports.Volume) -> AbstractContextManager[ports.Carrier]:
        return nullcontext(Carrier(self.data / "volume"))


class Carrier:
    """Files of a folder that is our own."""

    def __init__(self, root: Path) -> None:
        self.root, self.last = root, root

    def entries(self) -> Iterator[models.Entry]:
        yield models.Entry(".", "folder", 0o755, 0)
        for path in sorted(self.root.rglob("*")):
            found, name = path.stat(), path.relative_to(self.root).as_posix()
            self.last = path
            kind = "folder" if path.is_dir() else "file"
            yield models.Entry(
                name, kind, 0o755, found.st_mtime_ns, 0 if path.is_dir() else found.st_size, "", str(found.st_mtime_ns)
            )

    def content(self) -> Iterator[bytes]:
        yield self.last.read_bytes()


class Counting(places.Folder):
    """A folder that takes so many pieces, and then is away."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.left: int | None = None

    def write(self, name: str, content: bytes) -> None:
        if self.left is not None:
            if self.left == 0:
                raise errors.Unavailable("the place went away")
            self.left -= 1
        super().write(name, content)


class Scene:
    """A store with a bucket of this test, a lab around it, a place for its backups."""

    def __init__(self, folder_: Path, client: CopyingClient, place: places.Place) -> None:
        self.client, self.place, self.data = client, place, folder_ / "data"
        self.lab = Lab(self.data)
        self.identity = folder_ / "identity"
        self.recipient = sealing.generate(self.identity)
        self.bucket = f"b-{new_id()}"

    async def put(self, key: str, content: bytes) -> None:
        await self.client.put(self.bucket, key, content)

    async def take(self) -> models.Manifest:
        return await Backups(
            settings=BackupSettings(to="/elsewhere", recipients=(self.recipient,)),
            folder=folder(self.data),
            keys=self.data,
            clock=parts.CLOCK,
            place=lambda: self.place,
            lab=self.lab,
            buckets=OneBucket(self.client, self.bucket),
        ).take()

    def standing(self) -> str:
        return Notebook(settings=PLENTY, folder=folder(self.data), clock=parts.CLOCK).standing().trouble

    def given(self) -> giving.Giving:
        reader = repository.Reader(self.place, sealing.identities(self.identity))
        return giving.Giving(reader, reader.manifest(reader.newest()))


class OneBucket:
    """The store, as if it had one bucket: tests share it."""

    def __init__(self, client: CopyingClient, bucket: str) -> None:
        self.settings, self.versions, self.reading = client.settings, client.versions, client.reading
        self._bucket = bucket

    async def buckets(self) -> list[str]:
        return [self._bucket]


@pytest_asyncio.fixture
async def client(store: Store) -> AsyncIterator[CopyingClient]:
    held = seaweedfs.keys(store.layout)
    keys = Keys(held.access_key, held.secret_key)
    made = CopyingClient(socket=store.layout.socket("s3"), origin=parts.LAB.s3_origin, region=REGION, keys=keys)
    yield made
    await made.close()


@pytest_asyncio.fixture
async def scene(tmp_path: Path, client: CopyingClient) -> Scene:
    made = Scene(tmp_path, client, Counting(tmp_path / "place"))
    await client.create_bucket(made.bucket)
    await client.enable_versioning(made.bucket)
    return made


async def test_a_run_reads_what_is_new_alone_and_writes_no_piece_twice(scene: Scene) -> None:
    for number in range(20):
        await scene.put(f"k{number}", b"%d" % number)
    (scene.lab.data / "volume/inner/file").write_bytes(b"in a volume")
    first = (await scene.take()).counts
    assert (first.objects, first.objects_read, first.files, first.files_read) == (20, 20, 2, 2)
    second = (await scene.take()).counts
    assert (second.objects, second.objects_read, second.files_read) == (20, 0, 0)
    assert second.pieces_written == 0
    await scene.put("k3", b"changed")
    await scene.client.delete(scene.bucket, "k4")
    third = (await scene.take()).counts
    # A version and a mark of deletion more; their list and the version's content are the only new pieces.
    assert (third.objects, third.objects_read, third.pieces_written) == (22, 1, 2)
    assert scene.standing() == ""


async def test_a_run_that_is_cut_leaves_the_earlier_backup_and_the_next_goes_on(scene: Scene) -> None:
    await scene.put("first", b"first")
    whole = await scene.take()
    for number in range(20):
        await scene.put(f"k{number}", b"%d" % number)
    assert isinstance(scene.place, Counting)
    scene.place.left = 6
    with pytest.raises(errors.Unavailable, match="went away"):
        await scene.take()
    assert "the last backup failed: the place went away" in scene.standing()
    assert repository.manifest_ids(scene.place) == [whole.id]
    assert not list((folder(scene.data)).glob("scratch"))
    scene.place.left = None
    counts = (await scene.take()).counts
    assert counts.objects == 21
    assert counts.objects_read <= 20
    assert counts.pieces_written < 20 + 2  # What the cut run stored is not stored again.
    assert scene.standing() == ""


async def test_what_the_lab_remembered_may_be_lost(scene: Scene) -> None:
    await scene.put("first", b"first")
    await scene.take()
    (folder(scene.data) / "index.db").unlink()
    counts = (await scene.take()).counts
    assert (counts.objects_read, counts.pieces_written) == (1, 0)


async def test_an_object_that_is_deleted_meanwhile_is_left_out_and_counted(scene: Scene) -> None:
    await scene.client.put_settings(scene.bucket, {})
    await scene.put("stays", b"1")
    await scene.put("goes", b"2")
    listed = [version async for version in scene.client.versions(scene.bucket)]

    async def without(bucket: str) -> AsyncIterator[Version]:
        for version in listed:
            yield version

    one = next(version for version in listed if version.key == "goes")
    await scene.client._call("DELETE", f"/{scene.bucket}/goes", query={"versionId": one.id})
    buckets = OneBucket(scene.client, scene.bucket)
    buckets.versions = without
    manifest = await Backups(
        settings=BackupSettings(to="/elsewhere", recipients=(scene.recipient,)),
        folder=folder(scene.data),
        keys=scene.data,
        clock=parts.CLOCK,
        place=lambda: scene.place,
        lab=scene.lab,
        buckets=buckets,
    ).take()
    assert (manifest.counts.objects, manifest.counts.objects_gone) == (1, 1)


async def test_deletions_are_held_until_everything_is_listed_and_never_after(scene: Scene) -> None:
    seen = []
    scene.lab.while_held = lambda: seen.append(deletions_held(scene.data))
    await scene.take()
    assert seen == [True]
    assert not deletions_held(scene.data)


async def test_versions_come_back_in_their_order_with_what_they_carry(scene: Scene, client: CopyingClient) -> None:
    key = "a é+&=?#/ b"
    for content in (b"1", b"2", b""):
        await scene.put(key, content)
    await client.delete(scene.bucket, key)
    headers = {"Content-Type": "text/x", "x-amz-meta-who": "me", "x-amz-tagging": "a=b&c=d+e"}
    await client._call("PUT", f"/{scene.bucket}/tagged", body=b"t", headers=headers)
    await client._call("PUT", f"/{scene.bucket}/folder/", body=b"")
    await scene.take()
    shutil.rmtree(scene.data / "volume")
    before = await _seen(client, scene.bucket)
    other = f"b-{new_id()}"
    given = scene.given()
    assert await given.objects(Renamed(client, scene.bucket, other)) == 6
    assert await _seen(client, other) == before
    assert await client.versioning(other) == "Enabled"


async def test_another_store_is_a_place_too(tmp_path: Path, store: Store, client: CopyingClient) -> None:
    held = seaweedfs.keys(store.layout)
    place_bucket = f"p-{new_id()}"
    await client.create_bucket(place_bucket)
    target = s3.Target(
        endpoint=parts.LAB.s3_origin,
        region=REGION,
        bucket=place_bucket,
        prefix="lab/one",
        access_key=held.access_key,
        secret_key=held.secret_key,
    )
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(store.layout.socket("s3")))) as http:
        place = s3.S3Place(target, http=http)
        scene = Scene(tmp_path, client, place)
        await client.create_bucket(scene.bucket)
        await scene.put("k", b"content" * 1000)
        first = await scene.take()
        assert (await scene.take()).counts.pieces_written == 0
        given = await asyncio.to_thread(scene.given)
        given.copy("database", tmp_path / "database")
        assert (tmp_path / "database").read_bytes() == b"database"
        for name in await asyncio.to_thread(lambda: list(place.names("pieces"))):
            assert await asyncio.to_thread(place.exists, name)
            await asyncio.to_thread(place.remove, name)
        assert not await asyncio.to_thread(lambda: list(place.names("pieces")))
        with pytest.raises(errors.NotFound):
            await asyncio.to_thread(place.read, f"lists/{first.id}x")
        wrong = s3.S3Place(s3.Target(**{**vars(target), "secret_key": "x"}), http=http)
        with pytest.raises(errors.Refused, match="HTTP 403"):
            await asyncio.to_thread(wrong.read, "lists/x")


@pytest.mark.parametrize(
    ("etag", "size", "parts_"),
    [
        ("d41d8cd98f00b204e9800998ecf8427e", 0, ()),
        ("x-3", 20 << 20, (8 << 20, 8 << 20, 4 << 20)),
        ("x-1", 1, (1,)),
        ("x-4", 20 << 20, (5 << 20,) * 4),
        ("x-1", 0, (0,)),
    ],
)
def test_parts_are_guessed_from_what_an_etag_tells(etag: str, size: int, parts_: tuple[int, ...]) -> None:
    assert parts_of(etag, size) == parts_


class Renamed:
    """The store, in which what comes back goes to another bucket."""

    def __init__(self, client: CopyingClient, of: str, to: str) -> None:
        self._client, self._names = client, {of: to}

    async def create_bucket(self, bucket: str) -> None:
        await self._client.create_bucket(self._names[bucket])

    async def put_settings(self, bucket: str, settings: Mapping[str, str]) -> None:
        await self._client.put_settings(self._names[bucket], settings)

    async def set_versioning(self, bucket: str, status: str) -> None:
        await self._client.set_versioning(self._names[bucket], status)

    async def delete(self, bucket: str, key: str) -> None:
        await self._client.delete(self._names[bucket], key)

    async def write(
        self,
        bucket: str,
        key: str,
        content: AsyncIterator[bytes],
        *,
        size: int,
        headers: Mapping[str, str],
        parts: tuple[int, ...] = (),
    ) -> None:
        await self._client.write(self._names[bucket], key, content, size=size, headers=headers, parts=parts)


async def _seen(client: CopyingClient, bucket: str) -> list[object]:
    found: list[object] = []
    async for version in client.versions(bucket):
        if version.is_mark:
            found.append((version.key, "mark"))
            continue
        async with client.reading(version) as (headers, content):
            body = b"".join([block async for block in content])
        found.append((version.key, version.etag, sorted(headers.items()), body))
    return found
