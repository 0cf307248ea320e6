"""Who listens on a TCP port of this machine, read from /proc (proc(5), net/tcp): so that a taken port is an answer, not a riddle."""

import ipaddress
import os
import pwd
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from etabli.components import models
from etabli.kernel import errors

_LISTEN = "0A"


@dataclass(frozen=True)
class Listener:
    """A listening socket. The process is known where it is ours, or where we are root."""

    account: str
    pid: int | None = None
    command: str = ""

    def __str__(self) -> str:
        if self.pid is None:
            return f"a process of `{self.account}`"
        return f"process {self.pid} of `{self.account}` (`{self.command}`)"


def check_free(port: models.Port) -> None:
    """Raise Conflict, naming who has it, if somebody listens where `port` would."""
    if found := find(port):
        raise errors.Conflict(
            f"port {port.number} is taken by {found}", hint="stop it, or choose another with `--port`", port=port.number
        )


def find(port: models.Port) -> Listener | None:
    """Who listens on that port, on the same address or on one that includes it."""
    wanted = ipaddress.ip_address(port.address)
    for table, size in ((Path("/proc/net/tcp"), 4), (Path("/proc/net/tcp6"), 16)):
        for address, number, uid, inode in _listening(table, size):
            # A socket on :: takes IPv4 too, unless told otherwise (ipv6(7)).
            overlaps = address == wanted or address.is_unspecified or wanted.is_unspecified
            if number == port.number and overlaps:
                return _owner(uid, inode)
    return None


def _listening(table: Path, size: int) -> Iterator[tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int, int, str]]:
    try:
        lines = table.read_text().splitlines()[1:]
    except FileNotFoundError:  # A kernel without IPv6.
        return
    for line in lines:
        fields = line.split()
        if fields[3] == _LISTEN:
            address, _, number = fields[1].partition(":")
            # Words of 32 bits, each in the machine's byte order.
            packed = b"".join(struct.pack("=I", int(address[at : at + 8], 16)) for at in range(0, size * 2, 8))
            yield ipaddress.ip_address(packed), int(number, 16), int(fields[7]), fields[9]


def _owner(uid: int, inode: str) -> Listener:
    try:
        account = pwd.getpwuid(uid).pw_name
    except KeyError:
        account = str(uid)
    pid = _holder(f"socket:[{inode}]")
    if pid is None:
        return Listener(account=account)
    return Listener(account=account, pid=pid, command=_command(pid))


def _holder(link: str) -> int | None:
    """The process that has the socket open; None where only others than us may see it."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and _has_open(folder / "fd", link):
            return int(folder.name)
    return None


def _has_open(folder: Path, link: str) -> bool:
    try:
        return any(os.readlink(entry) == link for entry in folder.iterdir())
    except OSError:  # Another account's, or gone meanwhile.
        return False


def _command(pid: int) -> str:
    """The start of its command line: 120 bytes tell which program it is, and seldom more."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()[:120].replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""
