"""Pieces, manifests and what was done to them by other hands: no lab, a folder, real keys."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etabli.backup import models, places, repository, sealing
from etabli.backup.index import Index
from etabli.backup.service import kept_ids
from etabli.backup.settings import BackupSettings
from etabli.kernel import errors

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC)


class Lab:
    """What writes backups, and what opens them."""

    def __init__(self, folder: Path, place: places.Place | None = None) -> None:
        self.folder = folder
        self.place = place or places.Folder(folder / "place")
        self.identity = folder / "identity"
        recipient = sealing.generate(self.identity) if not self.identity.exists() else ""
        self.keys = sealing.keys(folder)
        self.writing = repository.Repository(
            self.place, self.keys, sealing.recipients([recipient]) if recipient else ()
        )
        self.writing.open(make=True)
        self.index = Index(folder / "index.db")

    def publish(self, *contents: bytes, at: datetime = NOW) -> models.Manifest:
        """A backup of these pieces."""
        names = tuple(self.writing.put(content, self.index) for content in contents)
        manifest = models.Manifest(
            id=repository.manifest_id(at),
            taken_at=at,
            etabli="1",
            revision="0001",
            origin="http://etabli.localhost",
            repository="r",
            signer=self.keys.signer,
            naming=self.keys.naming.hex(),
            streams={"database": models.Stream(names, sum(map(len, contents)))},
        )
        self.writing.publish(manifest, names)
        return manifest

    def reader(self, identity: Path | None = None, signer: str | None = None) -> repository.Reader:
        return repository.Reader(self.place, sealing.identities(identity or self.identity), signer=signer)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_what_was_put_is_read_and_equal_pieces_are_stored_once(lab: Lab) -> None:
    lab.publish(b"one" * 1000, b"two", b"one" * 1000, b"")
    assert lab.writing.written == 3
    reader = lab.reader(signer=lab.keys.signer)
    manifest = reader.manifest(reader.newest())
    assert list(reader.stream("database", manifest)) == [b"one" * 1000, b"two", b"one" * 1000, b""]


def test_an_ssh_key_opens_a_backup_as_each_of_several_recipients_does(tmp_path: Path) -> None:
    key = tmp_path / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text()
    other = sealing.generate(tmp_path / "other")
    sealed = sealing.seal(b"content", sealing.recipients([public, other]))
    assert sealing.unseal(sealed, sealing.identities(key)) == b"content"
    assert sealing.unseal(sealed, sealing.identities(tmp_path / "other")) == b"content"


def test_another_identity_opens_nothing_and_is_told_so(lab: Lab) -> None:
    manifest = lab.publish(b"one")
    sealing.generate(lab.folder / "stranger")
    with pytest.raises(errors.Refused, match="this identity does not open"):
        lab.reader(lab.folder / "stranger").manifest(manifest.id)


@pytest.mark.parametrize("content", ["", "nonsense", "# only a comment\n", "-----BEGIN OPENSSH PRIVATE KEY-----\nxx\n"])
def test_a_file_without_an_identity_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "identity"
    path.write_text(content)
    with pytest.raises(errors.Invalid, match="holds no identity"):
        sealing.identities(path)


@pytest.mark.parametrize("text", ["age1nonsense", "ssh-ed25519 AAAA", "", "AGE-SECRET-KEY-1"])
def test_a_recipient_that_is_none_is_refused_at_its_field(text: str) -> None:
    with pytest.raises(errors.Invalid) as raised:
        sealing.recipients([text])
    assert list(raised.value.fields) == ["backup.recipients"]


def test_a_changed_piece_is_found_with_and_without_an_identity(lab: Lab) -> None:
    manifest = lab.publish(b"one", b"two")
    one, two = manifest.streams["database"].pieces
    path = lab.folder / "place" / repository.piece_path(one)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert (lab.writing.check(one), lab.writing.check(two), lab.writing.check("0" * 64)) == ("damaged", None, "missing")
    with pytest.raises(errors.Refused, match="damaged"):
        lab.reader().piece(one, manifest)


def test_a_piece_in_the_place_of_another_is_found(lab: Lab) -> None:
    """Whoever has the public key can seal what they like: the name is the lab's own secret's to give."""
    manifest = lab.publish(b"one", b"two")
    one, two = (lab.folder / "place" / repository.piece_path(name) for name in manifest.streams["database"].pieces)
    one.write_bytes(two.read_bytes())
    assert lab.writing.check(manifest.streams["database"].pieces[0]) == "damaged"
    with pytest.raises(errors.Refused, match="is not what was stored"):
        lab.reader().piece(manifest.streams["database"].pieces[0], manifest)


def test_a_manifest_of_another_hand_is_refused(lab: Lab, tmp_path: Path) -> None:
    manifest = lab.publish(b"one")
    forger = sealing.keys(_folder(tmp_path / "forger"))
    content = manifest.dump().replace(lab.keys.signer.encode(), forger.signer.encode())
    recipients = sealing.recipients([lab.identity.read_text().split("public key: ")[1].split()[0]])
    lab.place.write(f"manifests/{manifest.id}.age", sealing.seal(forger.sign(content) + content, recipients))
    with pytest.raises(errors.Refused, match="was not signed by"):
        lab.reader(signer=lab.keys.signer).manifest(manifest.id)
    swapped = sealing.seal(lab.keys.sign(content)[:63] + b"x" + content, recipients)
    lab.place.write(f"manifests/{manifest.id}.age", swapped)
    with pytest.raises(errors.Refused, match="was not signed by"):
        lab.reader().manifest(manifest.id)


def test_a_backup_under_another_ones_id_is_refused(lab: Lab) -> None:
    old, new = lab.publish(b"old"), lab.publish(b"new", at=NOW + timedelta(days=1))
    lab.place.write(f"manifests/{new.id}.age", lab.place.read(f"manifests/{old.id}.age"))
    with pytest.raises(errors.Refused, match="was not signed by"):
        lab.reader().manifest(new.id)


def test_a_list_of_another_hand_prunes_nothing(lab: Lab) -> None:
    manifest = lab.publish(b"one")
    lab.place.write(f"lists/{manifest.id}", lab.place.read(f"lists/{manifest.id}")[::-1])
    with pytest.raises(errors.Refused, match="changed by another hand"):
        lab.writing.needed(manifest.id)


def test_a_run_that_was_cut_costs_nothing_and_the_next_goes_on(lab: Lab) -> None:
    whole = lab.publish(b"one")
    lab.writing.put(b"two", lab.index)  # And no manifest.
    assert [one.id for one in lab.writing.summaries()] == [whole.id]
    before, forgetful = (
        lab.writing.written,
        Index(lab.folder / "fresh.db"),
    )  # As after a kill: what was noted last is lost.
    assert lab.writing.put(b"two", forgetful) in {path.name for path in lab.folder.rglob("pieces/*/*")}
    assert lab.writing.written == before


def test_sweeping_removes_what_no_backup_needs(lab: Lab) -> None:
    old = lab.publish(b"old", b"both")
    new = lab.publish(b"new", b"both", at=NOW + timedelta(days=1))
    lab.writing.drop(old.id)
    gone = list(lab.writing.sweep(lab.writing.needed(new.id)))
    assert gone == [old.streams["database"].pieces[0]]
    reader = lab.reader()
    assert list(reader.stream("database", reader.manifest(new.id))) == [b"new", b"both"]


def test_a_place_of_a_newer_format_is_refused(lab: Lab) -> None:
    lab.place.write(repository.HEAD, b'{"format": 2, "id": "x"}')
    with pytest.raises(errors.Refused, match="format `2`"):
        lab.reader()
    with pytest.raises(errors.Refused, match="format `2`"):
        lab.writing.open(make=True)


class FullDisk(places.Folder):
    """A disk that takes so many files and no more."""

    def __init__(self, root: Path, left: int) -> None:
        super().__init__(root)
        self.left = left

    def write(self, name: str, content: bytes) -> None:
        if not self.left:
            raise self._unavailable(OSError(errno.ENOSPC, "No space left on device"))
        self.left -= 1
        super().write(name, content)


def test_a_full_disk_is_a_sentence_and_leaves_the_earlier_backups_whole(tmp_path: Path) -> None:
    place = FullDisk(tmp_path / "place", left=4)  # The head, a piece, a list, a manifest.
    lab = Lab(tmp_path, place)
    lab.publish(b"one")
    with pytest.raises(errors.Unavailable, match=r"the disk of the backups at .* is full"):
        lab.publish(b"two")
    reader = lab.reader()
    assert list(reader.stream("database", reader.manifest(reader.newest()))) == [b"one"]


def test_what_is_kept_is_the_newest_and_the_last_of_days_and_weeks() -> None:
    moments = [NOW - timedelta(hours=6 * number) for number in range(200)]  # Four a day, fifty days.
    summaries = [models.Summary(repository.manifest_id(at), at, 1) for at in moments]
    kept = _moments(summaries, kept_ids(summaries, BackupSettings(keep_last=3, keep_daily=4, keep_weekly=3)))
    assert kept[:3] == moments[:3]
    days = {at.date() for at in kept}
    assert {NOW.date() - timedelta(days=number) for number in range(4)} <= days
    assert len({at.isocalendar()[1] for at in kept}) == 3
    assert len(kept) <= 3 + 4 + 3
    one = kept_ids(summaries[-1:], BackupSettings(keep_last=1, keep_daily=0, keep_weekly=0))
    assert one == {summaries[-1].id}


def _moments(summaries: Sequence[models.Summary], kept: frozenset[str]) -> list[datetime]:
    return [one.taken_at for one in summaries if one.id in kept]


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
