"""Restores that are refused or cut, before anything of a lab runs: real files, real keys, a real small disk."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etabli.assembly import restoring
from etabli.backup import giving, models, places, repository, sealing
from etabli.backup.index import Index
from etabli.backup.settings import BackupSettings
from etabli.backup.standing import RESTORING, refuse_unfinished
from etabli.kernel import errors
from etabli.kernel.settings import Layout

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Source:
    """A place with one backup in it."""

    def __init__(self, folder: Path, *, revision: str = "0001", files: bytes = b"", volumes: bytes = b"") -> None:
        folder.mkdir()
        self.identity, self.place = folder / "identity", folder / "place"
        recipients = sealing.recipients([sealing.generate(self.identity)])
        keys = sealing.keys(folder)
        writing = repository.Repository(places.Folder(self.place), keys, recipients)
        writing.open(make=True)
        index = Index(folder / "index.db")
        contents = {"files": files, "volumes": volumes, "vault": b"v", "database": b"d"}
        names = {stream: writing.put(content, index) for stream, content in contents.items()}
        self.manifest = models.Manifest(
            id=repository.manifest_id(NOW),
            taken_at=NOW,
            etabli="9.9",
            revision=revision,
            origin="http://etabli.localhost",
            repository="r",
            signer=keys.signer,
            naming=keys.naming.hex(),
            streams={stream: models.Stream((name,), len(contents[stream])) for stream, name in names.items()},
        )
        writing.publish(self.manifest, names.values())

    def request(self, **changes: object) -> restoring.Request:
        given = {"source": BackupSettings(to=str(self.place)), "identity": self.identity, **changes}
        return restoring.Request(**given)  # type: ignore[arg-type] # Names of Request.


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data=tmp_path / "data", run=tmp_path / "run")


def restore(layout: Layout, source: Source, **changes: object) -> None:
    restoring.restore(layout, source.request(**changes), environ={})


def test_a_backup_of_a_newer_version_is_refused_and_leaves_nothing(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(errors.Refused, match=r"taken by a newer Etabli, 9.9 \(revision `9999`\)"):
        restore(layout, Source(tmp_path / "source", revision="9999"))
    assert not layout.data.exists()


def test_a_folder_with_a_lab_in_it_is_left_as_it_is(layout: Layout, tmp_path: Path) -> None:
    layout.data.mkdir()
    layout.database.write_bytes(b"somebody's")
    with pytest.raises(errors.Refused, match="is not empty: a restore overwrites nothing"):
        restore(layout, Source(tmp_path / "source"))
    assert [path.name for path in layout.data.iterdir()] == ["etabli.db"]
    assert layout.database.read_bytes() == b"somebody's"


def test_nothing_is_restored_over_the_sockets_of_a_lab_that_runs(layout: Layout, tmp_path: Path) -> None:
    layout.run.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(layout.socket("s3")))
        listening.listen()
        with pytest.raises(errors.Refused, match="another lab answers at"):
            restore(layout, Source(tmp_path / "source"))
    assert not layout.data.exists()


def test_another_identity_or_another_signer_leaves_nothing(layout: Layout, tmp_path: Path) -> None:
    source = Source(tmp_path / "source")
    sealing.generate(tmp_path / "stranger")
    with pytest.raises(errors.Refused, match="this identity does not open"):
        restore(layout, source, identity=tmp_path / "stranger")
    other = sealing.keys(tmp_path).signer
    with pytest.raises(errors.Refused, match="was not signed by"):
        restore(layout, source, signer=other)
    with pytest.raises(errors.Invalid, match="cannot be read"):
        restore(layout, source, identity=tmp_path / "nowhere")
    assert not layout.data.exists()


def test_a_restore_that_was_cut_is_no_lab_and_the_next_begins_anew(layout: Layout, tmp_path: Path) -> None:
    source = Source(tmp_path / "source", files=b"no archive")
    with pytest.raises(Exception, match="file could not be opened"):
        restore(layout, source)
    with pytest.raises(errors.Refused, match="was cut: it is not whole"):
        refuse_unfinished(layout.data)
    (layout.data / "keys" / "half").write_text("left by the cut one")
    with pytest.raises(Exception, match="file could not be opened"):
        restore(layout, source)
    assert not (layout.data / "keys" / "half").exists()
    assert (layout.data / RESTORING).exists()


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "a/../../outside"])
def test_no_name_in_a_backup_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    lines = '{"volume": "s/c", "service": "s", "project": "p", "claim": "c"}\n'
    lines += f'{{"path": "{name}", "kind": "folder", "mode": 493, "mtime_ns": 0}}\n'
    source = Source(tmp_path / "source", volumes=lines.encode())
    reader = repository.Reader(places.Folder(source.place), sealing.identities(source.identity))
    with pytest.raises(errors.Refused, match="outside of the lab's folder"):
        list(giving.Giving(reader, reader.manifest(source.manifest.id)).volumes(tmp_path / "services"))


def test_a_link_in_a_volume_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    entry = '"mode": 420, "mtime_ns": 0, "size": 0, "pieces": []'
    lines = (
        '{"volume": "s/c", "service": "s", "project": "p", "claim": "c"}\n'
        '{"path": ".", "kind": "folder", "mode": 493, "mtime_ns": 0}\n'
        f'{{"path": "link", "kind": "link", "target": "{tmp_path}/target", {entry}}}\n'
        f'{{"path": "link/file", "kind": "file", {entry}}}\n'
    )
    source = Source(tmp_path / "source", volumes=lines.encode())
    reader = repository.Reader(places.Folder(source.place), sealing.identities(source.identity))
    with pytest.raises(errors.Refused, match="outside of the lab's folder"):
        list(giving.Giving(reader, reader.manifest(source.manifest.id)).volumes(tmp_path / "services"))
    assert not list((tmp_path / "target").iterdir())


@pytest.mark.binaries
def test_a_full_disk_is_a_sentence_and_what_to_do(tmp_path: Path) -> None:
    """A file system of 64 KiB, in a namespace of our own."""
    source = Source(tmp_path / "source", files=_archive(os.urandom(1 << 20)))
    small = tmp_path / "small"
    small.mkdir()
    command = f"{sys.executable} -m etabli.main restore {source.place} --identity {source.identity}"
    program = f"mount -t tmpfs -o size=64k tmpfs {small} && exec {command}"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", program],
        env={**os.environ, "ETABLI_DATA": str(small / "data"), "ETABLI_RUN": str(tmp_path / "run")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 75, done.stderr
    assert "is full: the restore was cut" in done.stderr
    assert "hint: make room, then `etabli restore` again: it begins anew" in done.stderr


def _archive(content: bytes) -> bytes:
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w") as archive:
        member = tarfile.TarInfo("keys/large")
        member.size, member.mode = len(content), 0o600
        archive.addfile(member, io.BytesIO(content))
    return held.getvalue()
