"""The vocabulary of backups. No I/O.

A *piece* is at most PIECE bytes, stored once under a name that its content gives. A *stream* is pieces in order. A *manifest* is one
backup: its streams and what to know of it.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from etabli.kernel import errors

FORMAT = 1
PIECE = 4 << 20


@dataclass(frozen=True)
class Stream:
    """What was cut into pieces."""

    pieces: tuple[str, ...]
    size: int  # Bytes of the whole.


@dataclass(frozen=True)
class Counts:
    """What a run saw, and how much of it was new."""

    buckets: int = 0
    objects: int = 0  # Versions, marks of deletion included.
    objects_read: int = 0  # Those that no earlier run had.
    objects_gone: int = 0  # Deleted by their people while the run looked.
    files: int = 0  # In volumes.
    files_read: int = 0
    dumps: int = 0  # Pods that wrote a dump of their own first.
    dumps_failed: int = 0
    bytes_total: int = 0  # Of everything that the backup stands for.
    pieces_written: int = 0
    bytes_written: int = 0  # As stored: compressed, encrypted.


@dataclass(frozen=True)
class Manifest:
    """One backup."""

    id: str
    taken_at: datetime
    etabli: str  # The version that took it.
    revision: str  # Of its database.
    origin: str  # The lab's address.
    repository: str
    signer: str
    naming: str = field(repr=False)  # Hexadecimal; who reads a manifest may check names.
    streams: Mapping[str, Stream] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    format: int = FORMAT

    def dump(self) -> bytes:
        """JSON."""
        return json.dumps({**asdict(self), "taken_at": self.taken_at.isoformat()}, sort_keys=True).encode()


@dataclass(frozen=True)
class Summary:
    """What is known of a backup without opening it."""

    id: str
    taken_at: datetime
    pieces: int


@dataclass(frozen=True)
class Entry:
    """A file, folder or link of a volume."""

    path: str  # Relative, with slashes; "." is the volume's own folder.
    kind: str  # `folder`, `file`, `link`.
    mode: int
    mtime_ns: int
    size: int = 0
    target: str = ""  # Of a link.
    stamp: str = ""  # Differs where the content may.


def load(content: bytes) -> Manifest:
    """A manifest read. Refused where a newer Etabli wrote it."""
    raw: dict[str, Any] = json.loads(content)
    if raw.get("format") != FORMAT:
        raise errors.Refused(
            f"this backup is of format `{raw.get('format')}`, which this version does not read",
            hint="restore with the Etabli that wrote it, or a newer one",
        )
    streams = {name: Stream(tuple(one["pieces"]), one["size"]) for name, one in raw["streams"].items()}
    return Manifest(
        **{
            **raw,
            "taken_at": datetime.fromisoformat(raw["taken_at"]),
            "streams": streams,
            "counts": Counts(**raw["counts"]),
        }
    )
