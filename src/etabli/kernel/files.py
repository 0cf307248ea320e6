"""Files that hold state: written whole or not at all, readable by their owner alone, on the disk before anyone is told.

A reader never sees half a file: content goes to a temporary file in the same folder, is fsynced, and takes its name by `rename`,
which is atomic (POSIX); the folder is fsynced too, so that the name survives a power loss.
"""

import os
import secrets
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700


def write_atomically(path: Path, content: bytes | str, *, mode: int = PRIVATE_FILE) -> None:
    """Replace `path` by `content`, durably. Its folder must exist."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(file.fileno(), mode)  # The umask has no say in who reads a secret.
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_once(path: Path, content: bytes | str, *, mode: int = PRIVATE_FILE) -> bytes:
    """Write `path` unless it is there already; either way answer what it holds. For keys that are made once."""
    if not path.exists():
        write_atomically(path, content, mode=mode)
    return path.read_bytes()


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_folder(path: Path) -> Path:
    """Make `path` and its parents where absent; `path` itself is for its owner alone."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(PRIVATE_FOLDER)
    return path
