"""Runs a command that sees a folder of ours as /tmp: `python -m etabli.components.private_tmp FOLDER KEEP… -- COMMAND…`.

SeaweedFS talks to itself over sockets with fixed names, /tmp/seaweedfs-<part>-grpc-<port>.sock, whatever TMPDIR says. Two labs of one
machine would answer for each other, and another account could put a socket of its own there first. Here each has its own /tmp.

OpenBao runs so too: its own option for the mode of its socket needs names of users, which a namespace has not; here the umask does it.

Promises: the command replaces this process (same pid, so signals and records reach it), has no capability, and sees the rest of the
machine as before; each KEEP folder that lies under /tmp stays where it was. It needs user namespaces (user_namespaces(7)), no root.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from etabli.sandbox import syscalls

MS_PRIVATE = 0x40000  # <sys/mount.h>: what we mount is seen by nobody else.
TMP = Path("/tmp")


def command(folder: Path, keep: Sequence[Path], argv: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs `argv` so."""
    return (sys.executable, "-m", __name__, str(folder), *map(str, keep), "--", *argv)


def main(arguments: Sequence[str]) -> None:
    """Never returns: the command takes over. OSError where the machine refuses a namespace or a mount."""
    split = arguments.index("--")
    folder, keep, argv = Path(arguments[0]), [Path(path) for path in arguments[1:split]], arguments[split + 1 :]
    os.umask(0o077)  # Its sockets and files are for their owner alone.
    _enter_namespace()
    for path in keep:
        if path.is_relative_to(TMP):
            place = folder / path.relative_to(TMP)
            place.mkdir(parents=True, exist_ok=True)
            syscalls.mount(str(path), str(place), flags=syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.mount(str(folder), str(TMP), flags=syscalls.MS_BIND | syscalls.MS_REC)
    syscalls.drop_capabilities()
    os.execv(argv[0], list(argv))


def _enter_namespace() -> None:
    uid, gid = os.geteuid(), os.getegid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
    # Groups must be given up before an ordinary user may map its own (user_namespaces(7)).
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    syscalls.mount("none", "/", flags=syscalls.MS_REC | MS_PRIVATE)


if __name__ == "__main__":
    main(sys.argv[1:])
