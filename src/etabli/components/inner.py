"""The components' own network namespace: a loopback and nothing else, closed to every other account of the machine.

A *holder*, a process that only sleeps, keeps it open while components come and go. If it is killed, the next one holds the same
namespace again through a component that still lives in it, so that no component has to move; if none does, it is a fresh one.

Run as a program (`python -m etabli.components.inner [PID]`) it becomes a holder.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from etabli.kernel import errors
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import netlink, syscalls

HOLDER = ("sleep", "infinity")
NS_GET_USERNS = 0xB701  # ioctl_ns(2): a descriptor of the user namespace that owns a namespace.


def holder_argv(resident: ProcessRef | None = None) -> tuple[str, ...]:
    """What sleeps in the network that `resident` lives in, or in a fresh one."""
    return (sys.executable, "-m", "etabli.components.inner", *([str(resident.pid)] if resident else []))


def is_ready(ref: ProcessRef) -> bool:
    """Whether a holder has finished making its namespace: it only sleeps by then."""
    try:
        return Path(f"/proc/{ref.pid}/comm").read_text().strip() == HOLDER[0]
    except OSError:
        return False


def same_namespace(one: ProcessRef, other: ProcessRef) -> bool:
    """Whether two living processes share their network."""
    try:
        return os.readlink(f"/proc/{one.pid}/ns/net") == os.readlink(f"/proc/{other.pid}/ns/net")
    except OSError:
        return False


def enter_argv(ref: ProcessRef, argv: tuple[str, ...]) -> tuple[str, ...]:
    """`argv` run in the namespaces of a living process: same pid, and no capabilities once it runs."""
    # nsenter joins the user namespace first, which is what lets an ordinary user join the network.
    return (program("nsenter"), "--target", str(ref.pid), "--user", "--net", "--preserve-credentials", "--", *argv)


def program(name: str) -> str:
    """Where a program of util-linux or coreutils is. Refused where it is not."""
    if found := shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin"):
        return found
    raise errors.Refused(f"`{name}` is not on this machine", hint="install util-linux and coreutils")


def main(arguments: Sequence[str]) -> None:
    """Make a network, or join the one of the process whose pid is given; give up what that took, and sleep."""
    if arguments:
        _join(int(arguments[0]))
    else:
        _make()
    syscalls.drop_capabilities()
    os.execv(program(HOLDER[0]), HOLDER)


def _make() -> None:
    uid, gid = os.getuid(), os.getgid()
    syscalls.unshare(syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
    Path("/proc/self/setgroups").write_text("deny")  # Without it an ordinary user maps no group (user_namespaces(7)).
    Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
    Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    with netlink.Netlink() as links:
        links.up("lo")


def _join(pid: int) -> None:
    # A component may have nested a user namespace of its own; the network belongs to the first one.
    with open(f"/proc/{pid}/ns/net") as net:
        owner = fcntl.ioctl(net, NS_GET_USERNS)
        syscalls.setns(owner, syscalls.CLONE_NEWUSER)
        syscalls.setns(net.fileno(), syscalls.CLONE_NEWNET)
    os.close(owner)


if __name__ == "__main__":
    main(sys.argv[1:])
