"""What the light processes say, and what is kept of what components say.

`say` is structlog's form, event and key-values, without structlog: importing it costs 11 MB, nearly half of what a light process may
use. A component's log is a file that it appends to by itself, so that nobody's death blocks or loses its output; `trim` bounds it.
"""

import contextlib
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

WORDS_BYTES = 1024  # How much is shown as last words, how it ended included.
TAIL_BYTES = 960  # How much of it is the log's.


def say(event: str, **values: object) -> None:
    """One line on standard error. Never a secret; never an error either, where nobody reads or the disk is full."""
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    pairs = "".join(f" {key}={_quoted(value)}" for key, value in values.items())
    with contextlib.suppress(OSError, ValueError):
        print(f"{moment} {event}{pairs}", file=sys.stderr, flush=True)


def open_log(path: Path) -> int:
    """A descriptor that appends to the log, 0600. The caller closes it."""
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def size(path: Path) -> int:
    """Bytes in the log now; 0 where there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def last_words(path: Path, *, since: int) -> str:
    """The log's last whole lines that were written after its byte `since`, at most 960 bytes."""
    end = size(path)
    first = since if since <= end else 0  # It was trimmed meanwhile.
    start = max(end - TAIL_BYTES, first)
    if end == 0 or start == end:
        return ""
    with path.open("rb") as file:
        file.seek(start)
        tail = file.read(TAIL_BYTES)
    if start > first and b"\n" in tail[:-1]:
        tail = tail.partition(b"\n")[2]
    return tail.decode(errors="replace").strip()


def trim(path: Path, *, limit: int) -> None:
    """Once the log is over `limit` bytes, keep the second half of it. Lines written in that very moment may be lost."""
    if size(path) <= limit:
        return
    with path.open("rb") as file:
        file.seek(-limit // 2, os.SEEK_END)
        file.readline()  # Most likely cut.
        kept = file.read()
    # Its writers append (O_APPEND): after the cut they go on at the end, wherever that is.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, kept)
    finally:
        os.close(descriptor)


def _quoted(value: object) -> str:
    text = str(value)
    return repr(text) if not text or any(character.isspace() for character in text) else text
