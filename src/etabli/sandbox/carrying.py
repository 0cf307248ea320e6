"""What lies in a project's folder, told to who copies it: `python -m etabli.sandbox.carrying IDENTITIES FOLDER`.

A project's files are its own uid's, which the lab reads only in a user namespace that has both. This program enters one and talks
over its streams: for each folder, file and link a line of JSON goes out; after a file's line comes one byte, `y` or `n`, whether
its content is wanted; if so its `size` bytes follow. A file that shrinks meanwhile is filled with zeros, one that grows is cut (as
tar does): each file is as the disk had it, and files may be some moments apart. Sockets, pipes and devices are left out; links are
never followed.
"""

import json
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import BinaryIO, NoReturn

from etabli.sandbox import ids, namespaces

BLOCK = 1 << 20


def command(identities: ids.Identities, folder: str) -> tuple[str, ...]:
    """What carries a folder of a project out."""
    return (sys.executable, "-m", "etabli.sandbox.carrying", json.dumps(asdict(identities)), folder)


def main(arguments: Sequence[str]) -> None:
    """Carry one folder out."""
    identities, folder = ids.Identities(**json.loads(arguments[0])), arguments[1]
    if identities.shared_gid is None:
        _carry(folder, sys.stdin.buffer, sys.stdout.buffer)
        return

    def inside() -> NoReturn:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        _carry(folder, sys.stdin.buffer, sys.stdout.buffer)
        os._exit(0)

    namespaces.run_mapped(
        inside,
        uids=((0, os.getuid()), (1, identities.uid)),
        gids=((0, os.getgid()), (1, identities.gid), (2, identities.shared_gid)),
    )


def _carry(folder: str, answers: BinaryIO, out: BinaryIO) -> None:
    for entry, descriptor, name in _walk(folder):
        out.write(json.dumps(entry).encode() + b"\n")
        out.flush()
        if entry["kind"] == "file" and answers.read(1) == b"y":
            _send(name, descriptor, int(str(entry["size"])), out)
            out.flush()


def _walk(folder: str) -> Iterator[tuple[dict[str, object], int, str]]:
    for where, _folders, names, descriptor in os.fwalk(folder, follow_symlinks=False):
        relative = os.path.relpath(where, folder)
        yield _described(relative, os.fstat(descriptor), "folder"), descriptor, "."
        for name in sorted({*names, *(one for one in _folders if _is_link(one, descriptor))}):
            try:
                found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
                path = name if relative == "." else f"{relative}/{name}"
                if stat.S_ISLNK(found.st_mode):
                    entry = _described(path, found, "link")
                    yield {**entry, "target": os.readlink(name, dir_fd=descriptor)}, descriptor, name
                elif stat.S_ISREG(found.st_mode):
                    yield _described(path, found, "file"), descriptor, name
            except FileNotFoundError:
                continue  # The service removed it meanwhile.


def _described(path: str, found: os.stat_result, kind: str) -> dict[str, object]:
    size = found.st_size if kind == "file" else 0
    return {
        "path": path,
        "kind": kind,
        "mode": stat.S_IMODE(found.st_mode),
        "mtime_ns": found.st_mtime_ns,
        "size": size,
        "target": "",
        "stamp": f"{found.st_ino}:{size}:{found.st_mtime_ns}:{found.st_ctime_ns}",
    }


def _send(name: str, within: int, size: int, out: BinaryIO) -> None:
    left = size
    try:
        # Not blocking: what is a pipe by now must not hold us.
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=within)
    except OSError:
        descriptor = -1  # Gone meanwhile: zeros, as for one that shrank.
    try:
        while left and descriptor >= 0:
            block = os.read(descriptor, min(BLOCK, left))
            if not block:
                break
            out.write(block)
            left -= len(block)
    finally:
        if descriptor >= 0:
            os.close(descriptor)
    while left:
        zeros = bytes(min(BLOCK, left))
        out.write(zeros)
        left -= len(zeros)


def _is_link(name: str, within: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode)


if __name__ == "__main__":
    main(sys.argv[1:])
