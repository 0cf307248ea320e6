"""The files of a backup: pieces stored once, manifests signed and sealed, and lists that tell without any identity what is needed.

    etabli-backup.json            {"format", "id"}
    pieces/ab/abcd…               32 bytes of mark, then age(1 byte: 0 plain, 1 zlib; the content)
    manifests/<id>.age            age(64 bytes of signature, the manifest's JSON)
    lists/<id>                    zlib(names of the manifest's pieces, a line each), then 32 bytes of mark

A list is written before its manifest, and pieces before both: a manifest that is there is whole.
"""

import json
import zlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Protocol

from etabli.backup import models, sealing
from etabli.backup.places import Place
from etabli.kernel import errors, ids

HEAD = "etabli-backup.json"
MARK = 32  # Bytes.
SIGNATURE = 64
PLAIN, PACKED = b"\0", b"\1"
ID_FORMAT = "%Y%m%dT%H%M%SZ"


class Known(Protocol):
    """Which pieces are there, as the lab remembers it."""

    def has(self, name: str) -> bool: ...
    def note(self, name: str) -> None: ...


class Repository:
    """One place, as the lab writes it. It cannot read what it wrote: that takes an identity (`Reader`)."""

    def __init__(self, place: Place, keys: sealing.Keys, recipients: Sequence[sealing.Recipient]) -> None:
        self._place, self.keys, self._recipients = place, keys, recipients
        self.written = 0  # Pieces.
        self.written_bytes = 0

    def open(self, *, make: bool = False) -> str:
        """The repository's id; a fresh one where the place is empty and may be made into one."""
        try:
            return _head(self._place)
        except errors.NotFound:
            if not make:
                raise
        head = {"format": models.FORMAT, "id": ids.new_id()}
        self._place.write(HEAD, json.dumps(head).encode())
        return head["id"]  # type: ignore[return-value] # The id is a text.

    def put(self, content: bytes, known: Known) -> str:
        """Store a piece unless it is there; its name."""
        name = sealing.name_of(content, self.keys.naming)
        if known.has(name):
            return name
        path = piece_path(name)
        if not self._place.exists(path):
            packed = zlib.compress(content, 1)
            plain = len(packed) >= len(content)
            sealed = sealing.seal(PLAIN + content if plain else PACKED + packed, self._recipients)
            self._place.write(path, sealing.mark_of(name, sealed, self.keys.naming) + sealed)
            self.written += 1
            self.written_bytes += len(sealed) + MARK
        known.note(name)
        return name

    def publish(self, manifest: models.Manifest, pieces: Iterable[str]) -> None:
        """Make a backup of what was stored."""
        listed = zlib.compress("\n".join(sorted(set(pieces))).encode())
        self._place.write(f"lists/{manifest.id}", listed + sealing.mark_of(manifest.id, listed, self.keys.naming))
        content = manifest.dump()
        sealed = sealing.seal(self.keys.sign(content) + content, self._recipients)
        self._place.write(f"manifests/{manifest.id}.age", sealed)

    def summaries(self) -> list[models.Summary]:
        """Every whole backup, oldest first."""
        return [
            models.Summary(id=one, taken_at=taken_at(one), pieces=len(self.needed(one)))
            for one in manifest_ids(self._place)
        ]

    def needed(self, manifest_id: str) -> frozenset[str]:
        """The pieces of a backup. Refused where its list is not what the lab wrote."""
        content = self._place.read(f"lists/{manifest_id}")
        listed, mark = content[:-MARK], content[-MARK:]
        if mark != sealing.mark_of(manifest_id, listed, self.keys.naming):
            raise errors.Refused(f"the list of the backup `{manifest_id}` was changed by another hand, or is damaged")
        return frozenset(zlib.decompress(listed).decode().split())

    def check(self, name: str) -> str | None:
        """What is wrong with a piece, without opening it; None where nothing is."""
        try:
            content = self._place.read(piece_path(name))
        except errors.NotFound:
            return "missing"
        mark, sealed = content[:MARK], content[MARK:]
        return None if mark == sealing.mark_of(name, sealed, self.keys.naming) else "damaged"

    def drop(self, manifest_id: str) -> None:
        """Forget a backup; its pieces stay until `sweep`."""
        self._place.remove(f"manifests/{manifest_id}.age")
        self._place.remove(f"lists/{manifest_id}")

    def sweep(self, kept: frozenset[str]) -> Iterator[str]:
        """Remove every piece that is not `kept`; the names of those."""
        for path in list(self._place.names("pieces")):
            name = path.rpartition("/")[2]
            if name not in kept:
                self._place.remove(path)
                yield name


class Reader:
    """One place, as somebody with an identity reads it; it needs nothing of the lab that wrote it."""

    def __init__(self, place: Place, identities: Sequence[sealing.Identity], *, signer: str | None = None) -> None:
        self._place, self._identities, self._signer = place, identities, signer
        self.repository = _head(place)

    def newest(self) -> str:
        """The id of the last backup. NotFound where there is none."""
        found = manifest_ids(self._place)
        if not found:
            raise errors.NotFound(f"there is no whole backup at `{self._place.describe()}`")
        return found[-1]

    def manifest(self, manifest_id: str) -> models.Manifest:
        """A backup. Refused where another than the named signer wrote it, or where it is damaged."""
        opened = sealing.unseal(self._place.read(f"manifests/{manifest_id}.age"), self._identities)
        signature, content = opened[:SIGNATURE], opened[SIGNATURE:]
        manifest = models.load(content)
        signer = self._signer or manifest.signer
        if not sealing.is_signed(content, signature, signer=signer) or manifest.id != manifest_id:
            raise errors.Refused(
                f"the backup `{manifest_id}` was not signed by `{signer}`",
                hint="`etabli backup key` on the lab that wrote it says its signer; a backup of another hand is not restored",
            )
        return manifest

    def piece(self, name: str, manifest: models.Manifest) -> bytes:
        """A piece's content. Refused where it is not what the manifest stands for."""
        content = self._place.read(piece_path(name))
        opened = sealing.unseal(content[MARK:], self._identities)
        flag, packed = opened[:1], opened[1:]
        try:
            plain = zlib.decompress(packed) if flag == PACKED else packed
        except zlib.error as error:
            raise _changed(name) from error
        if sealing.name_of(plain, bytes.fromhex(manifest.naming)) != name:
            raise _changed(name)
        return plain

    def stream(self, name: str, manifest: models.Manifest) -> Iterator[bytes]:
        """The pieces of one of a manifest's streams, in order."""
        for piece in manifest.streams[name].pieces:
            yield self.piece(piece, manifest)

    def lines(self, name: str, manifest: models.Manifest) -> Iterator[dict[str, object]]:
        """A stream of JSON lines."""
        rest = b""
        for content in self.stream(name, manifest):
            *whole, rest = (rest + content).split(b"\n")
            yield from map(json.loads, whole)


def piece_path(name: str) -> str:
    """Where a piece lies."""
    return f"pieces/{name[:2]}/{name}"


def manifest_ids(place: Place) -> list[str]:
    """Every whole backup's id, oldest first."""
    return sorted(name.rpartition("/")[2].removesuffix(".age") for name in place.names("manifests"))


def manifest_id(now: datetime) -> str:
    """A fresh id, which says when."""
    return f"{now.strftime(ID_FORMAT)}-{ids.new_id()}"


def taken_at(manifest_id: str) -> datetime:
    """When the backup of an id was taken."""
    return datetime.strptime(manifest_id.partition("-")[0] + "+0000", ID_FORMAT + "%z")


def _head(place: Place) -> str:
    try:
        head = json.loads(place.read(HEAD))
    except errors.NotFound as error:
        raise errors.NotFound(
            f"there are no backups at `{place.describe()}`", hint="`etabli backup now` takes the first one"
        ) from error
    except ValueError as error:
        raise errors.Refused(f"`{place.describe()}` holds no backup that can be read") from error
    if head.get("format") != models.FORMAT:
        raise errors.Refused(
            f"the backups at `{place.describe()}` are of format `{head.get('format')}`, which this version does not read",
            hint="use the Etabli that wrote them, or a newer one",
        )
    return str(head["id"])


def _changed(name: str) -> errors.Refused:
    return errors.Refused(
        f"the piece `{name[:12]}` of the backup is not what was stored",
        hint="the place of the backups was tampered with, or its disk fails: take another backup, or another copy",
    )
