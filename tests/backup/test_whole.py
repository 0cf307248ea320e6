"""A whole, real lab: backed up while people work, changed, backed up again, lost, and made anew elsewhere, to the last version."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from etabli.assembly import backups, configuration
from etabli.storage.copying import CopyingClient
from etabli.storage.errors import StoreUnavailable
from tests import lab as labs
from tests.story import people

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(600)]

CATALOGS = f'catalogs = [{{id = "ide", location = "builtin"}}, {{id = "tests", location = "{Path(__file__).parent / "charts"}"}}]'
WORK = """
    import os, boto3, hvac
    s3, bucket = boto3.client("s3"), os.environ["ETABLI_BUCKET"]
    for content in (b"first", b"second", b"third"):
        s3.put_object(Bucket=bucket, Key="versions é+&.txt", Body=content, Metadata={"who": "alice"}, ContentType="text/plain")
    s3.put_object(Bucket=bucket, Key="tagged", Body=b"t" * 100, Tagging="a=b&c=d e", CacheControl="no-store")
    s3.put_object(Bucket=bucket, Key="gone", Body=b"was here")
    s3.delete_object(Bucket=bucket, Key="gone")
    s3.put_object(Bucket=bucket, Key="empty", Body=b"")
    open("/tmp/big", "wb").write(os.urandom(1 << 20) * 20)
    s3.upload_file("/tmp/big", bucket, "in parts")
    path, mount = os.environ["VAULT_TOP_DIR"] + "/db", os.environ["VAULT_MOUNT"]
    for word in ("old", "new"):
        hvac.Client().secrets.kv.v2.create_or_update_secret(path, {"password": word}, mount_point=mount)
    work = os.environ.get("HOME", "/home/onyxia") + "/work"
    os.makedirs(work + "/folder", exist_ok=True)
    open(work + "/folder/kept.txt", "w").write("kept")
    os.chmod(work + "/folder/kept.txt", 0o640)
    os.symlink("folder/kept.txt", work + "/link")
"""
CHANGE = """
    import os, boto3
    s3, bucket = boto3.client("s3"), os.environ["ETABLI_BUCKET"]
    s3.put_object(Bucket=bucket, Key="after the first", Body=b"new")
    work = os.environ.get("HOME", "/home/onyxia") + "/work"
    open(work + "/later.txt", "w").write("later")
"""
READ = """
    import json, os, hvac
    path, mount = os.environ["VAULT_TOP_DIR"] + "/db", os.environ["VAULT_MOUNT"]
    read = lambda number: hvac.Client().secrets.kv.v2.read_secret_version(
        path, version=number, mount_point=mount, raise_on_deleted_version=True)["data"]["data"]["password"]
    work = os.environ.get("HOME", "/home/onyxia") + "/work"
    kept = os.stat(work + "/folder/kept.txt")
    open(work + "/written-after", "w").write("mine")
    print(json.dumps({
        "secrets": [read(1), read(2)], "kept": open(work + "/link").read(), "mode": kept.st_mode & 0o777,
        "mine": kept.st_uid == os.getuid(),
        "later": open(work + "/later.txt").read(), "mtime": kept.st_mtime_ns}))
"""


@dataclass
class Scene:
    """A lab with a backup of its first day, one of its second, and what was in it then."""

    lab: labs.Lab
    alice: people.Person
    notebook: str
    dumping: str
    place: Path
    identity: Path
    told: list[str]
    objects: dict[str, object]
    inside: dict[str, object]
    rows: dict[str, int]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("backups")
    place, identity = folder / "place", folder / "identity"
    with labs.lab(catalog=CATALOGS) as lab:
        recipient = lab.etabli("backup", "keygen", str(identity)).strip()
        with (lab.data / "etabli.toml").open("a") as file:
            file.write(f'\n[backup]\nto = "{place}"\nrecipients = ["{recipient}"]\n')
        lab.up()
        alice = people.joined(lab, lab.link, "Alice")
        notebook = lab.launch("--name", "notebook", "--set", "persistence.enabled=true")
        dumping = lab.etabli("launch", "tests/dumping").strip()
        people.inside(lab, notebook, WORK)
        lab.until_state(dumping, "ready")
        told = [lab.etabli("backup", "now")]
        people.inside(lab, notebook, CHANGE)
        told.append(lab.etabli("backup", "now"))
        yield Scene(
            lab=lab,
            alice=alice,
            notebook=notebook,
            dumping=dumping,
            place=place,
            identity=identity,
            told=told,
            objects=asyncio.run(_objects(lab)),
            inside=json.loads(people.inside(lab, notebook, READ)),
            rows=_rows(lab.data / "etabli.db"),
        )


def test_the_second_backup_reads_and_writes_what_is_new_alone(scene: Scene) -> None:
    first, second = scene.told
    assert "(0 new)" not in first
    assert "versions of objects (1 new)" in second
    assert "1 dumps;" in first
    assert "FAILED" not in second
    assert len(scene.lab.etabli("backup", "list").strip().splitlines()) == 3
    assert "all well" in scene.lab.etabli("backup", "verify")
    assert "kept" in next(line for line in scene.lab.etabli("doctor").splitlines() if line.startswith("backups"))


def test_nothing_in_a_backup_can_be_read_without_an_identity(scene: Scene) -> None:
    content = b"".join(path.read_bytes() for path in scene.place.rglob("*") if path.is_file())
    secrets = [path.read_bytes() for path in (scene.lab.data / "keys").iterdir()]
    assert not [
        secret for secret in (*secrets, b"versions \xc3\xa9", b"alice", b"kept.txt", b"third") if secret in content
    ]


def test_a_lost_lab_is_made_anew(scene: Scene, tmp_path: Path) -> None:
    lab = scene.lab
    lab.down()
    other = labs.Lab(folder=Path(str(lab.folder) + "-b"), port=lab.port)
    other.folder.mkdir()
    signer = lab.etabli("backup", "key").strip()
    try:
        told = other.etabli(
            "restore", str(scene.place), "--identity", str(scene.identity), "--signer", signer, timeout=300
        )
        assert signer in told
        with (other.data / "etabli.toml").open("a") as file:
            file.write('every = "1h"\n')  # Of `[backup]`, the last section.
        other.up()
        other.until_state(scene.notebook, "ready", seconds=120)
        assert _rows(other.data / "etabli.db").keys() == scene.rows.keys()
        for table in ("users", "projects", "memberships", "sessions", "services", "service_revisions"):
            assert _rows(other.data / "etabli.db")[table] == scene.rows[table], table
        assert other.until(lambda: _seen(other), 30) == scene.objects
        assert json.loads(people.inside(other, scene.notebook, READ)) == scene.inside
        # Signed in still: the same person, in the browser that she had.
        alice = people.Person(other, scene.alice.jars)
        assert f"/services/{scene.notebook}" in alice.visit(f"{other.origin}/services")[1].text
        other.until_state(scene.dumping, "ready", seconds=120)
        assert people.inside(other, scene.dumping, "print(open('/data/dump').read())") == "dump of words\n\n"
        # And the lab made anew is backed up to the same place, on what is there, by its schedule.
        other.until(lambda: len(other.etabli("backup", "list").splitlines()) == 4 or None, 200)
        assert other.etabli("backup", "verify").endswith("3 backups: all well\n")
    finally:
        other.etabli("down", check=False, timeout=240)
        other.kill_everything()
        shutil.rmtree(other.folder, ignore_errors=True)


def _seen(lab: labs.Lab) -> dict[str, object] | None:
    """The objects, once the store that has just started finds them."""
    try:
        return asyncio.run(_objects(lab))
    except StoreUnavailable:
        return None


async def _objects(lab: labs.Lab) -> dict[str, object]:
    """Every bucket's settings, every version in order with its content and headers; but ids and times, which are the store's own."""
    layout = people.layout(lab)
    client: CopyingClient = backups.store_client(layout, configuration.load(layout))
    found: dict[str, object] = {}
    try:
        for bucket in await client.buckets():
            versions: list[object] = []
            async for version in client.versions(bucket):
                if version.is_mark:
                    versions.append((version.key, "mark"))
                    continue
                async with client.reading(version) as (headers, content):
                    body = b"".join([block async for block in content])
                versions.append((version.key, version.etag, version.size, sorted(headers.items()), body))
            found[bucket] = (await client.settings(bucket), versions)
    finally:
        await client.close()
    return found


def _rows(database: Path) -> dict[str, int]:
    with closing(sqlite3.connect(database)) as opened:
        tables = [name for (name,) in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: opened.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for name in tables}
