"""Attempts to get out of a sandbox, as a program: run inside one, and outside as the control.

Each attempt prints one JSON line: its name, whether it was `refused`, and what happened. STATE (the lab's state folder, with `secret`
and `control.sock`), OTHER (another project's home), VICTIM (a process of the machine) and MARK (a word in that process' environment,
and the name of an abstract socket) are in the environment. An attempt succeeds when it returns. What would harm the machine only
opens what it would write to. Tracing and stopping one's own pid 1 is not among them: it is the sandbox's own.
"""

import ctypes
import fcntl
import json
import os
import socket
import struct
import sys
from collections.abc import Callable

STATE, OTHER, VICTIM = os.environ["STATE"], os.environ["OTHER"], int(os.environ["VICTIM"])
HOME = os.environ["HOME"]
LIBC = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20


def syscall(number: int, *arguments: object) -> int:
    converted = [ctypes.c_long(one) if isinstance(one, int) else one for one in arguments]
    result = int(LIBC.syscall(ctypes.c_long(number), *converted))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(4000)


def write(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def connect(address: str) -> None:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.connect(address)


def open_socket(family: int, kind: int, protocol: int = 0) -> None:
    socket.socket(family, kind, protocol).close()


def fill(folder: str, mebibytes: int) -> None:
    """Write more than the folder may hold."""
    path = os.path.join(folder, "fill")
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        for _ in range(mebibytes):
            os.write(descriptor, b"\0" * MIB)
    finally:
        os.close(descriptor)
        os.unlink(path)


def fork_into(flag: int) -> None:
    pid = syscall(56, flag | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def unshare_user() -> None:
    """In a child, which then has no right to do anything else."""
    pid = os.fork()
    if pid == 0:
        os._exit(LIBC.unshare(0x10000000) != 0)
    if os.waitpid(pid, 0)[1]:
        raise PermissionError("unshare")


def type_into_terminal() -> None:
    descriptor = os.open("/dev/tty", os.O_RDWR)
    fcntl.ioctl(descriptor, 0x5412, b"#")


def inherited_descriptors() -> str:
    names = [name for name in os.listdir("/proc/self/fd") if int(name) > 2]
    targets = [link for name in names if (link := _link(f"/proc/self/fd/{name}")) and not link.startswith("/proc/")]
    if not targets:
        raise PermissionError("none")
    return str(targets)


def foreign_processes() -> None:
    """Whether more is seen than the sandbox's own: its pid 1 and this tree."""
    if str(VICTIM) in os.listdir("/proc") and os.environ["MARK"] in read(f"/proc/{VICTIM}/environ").decode():
        return
    raise PermissionError("not seen")


def victim_pidfd() -> None:
    foreign_processes()
    os.pidfd_open(VICTIM)


def kill_victim() -> None:
    foreign_processes()
    os.kill(VICTIM, 0)


def launchers_environment() -> None:
    if not read("/proc/1/environ"):
        raise PermissionError("empty")


def launchers_command_line() -> None:
    if STATE not in read("/proc/1/cmdline").decode(errors="replace"):
        raise PermissionError("says nothing of the machine")


def powers() -> None:
    """Whether any capability is had, or could be."""
    status = read("/proc/self/status").decode()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    if int(fields["CapEff"], 16) == 0 and int(fields["CapBnd"], 16) == 0 and fields["NoNewPrivs"] == "1":
        raise PermissionError("none")


def load_program() -> None:
    attributes = ctypes.create_string_buffer(struct.pack("=IIIII", 1, 4, 4, 1, 0) + bytes(108))
    syscall(321, 0, attributes, 128)


def watch_counters() -> None:
    attributes = ctypes.create_string_buffer(struct.pack("=II", 1, 112) + bytes(104))
    syscall(298, attributes, 0, -1, -1, 0)


def open_by_handle() -> None:
    handle = ctypes.create_string_buffer(b"\x08\0\0\0\x01\0\0\0\x02\0\0\0\0\0\0\0")
    syscall(304, os.open("/", 0), handle, 0)


def set_loopback_down() -> None:
    fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0))


def kernel_addresses() -> None:
    with open("/proc/kallsyms") as file:
        if file.readline().startswith("0000000000000000"):
            raise PermissionError("zeros")


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


ATTEMPTS: dict[str, Callable[[], object]] = {
    "use an inherited descriptor": inherited_descriptors,  # First: others open some.
    "read the lab's state": lambda: read(f"{STATE}/secret"),
    "list another project's home": lambda: os.listdir(OTHER),
    "connect to the lab's control socket": lambda: connect(f"{STATE}/control.sock"),
    "connect to an abstract socket of the machine": lambda: connect(f"\0{os.environ['MARK']}"),
    "read the launcher's environment": launchers_environment,
    "read the launcher's command line": launchers_command_line,
    "reach the lab's state through pid 1": lambda: os.listdir(f"/proc/1/root{STATE}"),
    "see processes of the machine": foreign_processes,
    "signal a process of the machine": kill_victim,
    "hold a process of the machine": victim_pidfd,
    "mount": lambda: syscall(165, b"none", b"/tmp", b"tmpfs", 0, 0),
    "remount /usr writable": lambda: syscall(165, b"none", b"/usr", b"", 32 | 4096, 0),
    "unshare a user namespace": unshare_user,
    "clone into a user namespace": lambda: fork_into(0x10000000),
    "clone3": lambda: syscall(435, ctypes.create_string_buffer(88), 88),
    "enter pid 1's user namespace": lambda: syscall(308, os.open("/proc/1/ns/user", 0), 0),
    "open the parent user namespace": lambda: fcntl.ioctl(os.open("/proc/self/ns/user", 0), 0xB702),
    "raw socket": lambda: open_socket(socket.AF_INET, socket.SOCK_RAW, 1),
    "packet socket": lambda: open_socket(17, socket.SOCK_RAW, 3),
    "ping socket": lambda: open_socket(socket.AF_INET, socket.SOCK_DGRAM, 1),
    "hypervisor socket": lambda: open_socket(40, socket.SOCK_STREAM),
    "kernel crypto socket": lambda: open_socket(38, socket.SOCK_SEQPACKET),
    "search the keyrings": lambda: syscall(250, 10, -4, b"user", b"hostkey", 0),
    "add a key": lambda: syscall(248, b"user", b"sandkey", b"zz", 2, -4),
    "type into the terminal": type_into_terminal,
    "write to /usr": lambda: os.open("/usr/x", os.O_CREAT | os.O_WRONLY),
    "write to /etc/hosts": lambda: write("/etc/hosts"),
    "write to the folder of names": lambda: os.open("/run/net/x", os.O_CREAT | os.O_WRONLY),
    "write to /": lambda: os.open("/x", os.O_CREAT | os.O_WRONLY),
    "write to /dev": lambda: os.open("/dev/x", os.O_CREAT | os.O_WRONLY),
    "set the core pattern": lambda: write("/proc/sys/kernel/core_pattern"),
    "press SysRq": lambda: write("/proc/sysrq-trigger"),
    "list /sys": lambda: os.listdir("/sys"),
    "read the kernel's log": lambda: syscall(103, 3, ctypes.create_string_buffer(100), 100),
    "read kernel addresses": kernel_addresses,
    "load a BPF map": load_program,
    "open a performance counter": watch_counters,
    "userfaultfd": lambda: syscall(323, 0),
    "set up io_uring": lambda: syscall(425, 4, ctypes.create_string_buffer(120)),
    "open by handle": open_by_handle,
    "make a device": lambda: os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0)),
    "have any capability": powers,
    "switch the loopback off": set_loopback_down,
    "read the machine's ssh keys": lambda: os.listdir("/etc/ssh"),
    "read the machine's shadow file": lambda: read("/etc/shadow"),
    "fill /tmp beyond its size": lambda: fill("/tmp", 80),
    "fill /dev/shm beyond its size": lambda: fill("/dev/shm", 80),
    "fill /run beyond its size": lambda: fill("/run", 80),
    "fill the home in memory beyond its size": lambda: fill(HOME, 80),
}


def main(names: list[str]) -> None:
    for name in names or list(ATTEMPTS):
        try:
            result: object = ATTEMPTS[name]()
            refused = False
        except (OSError, ValueError) as error:
            result, refused = f"{type(error).__name__}: {error}", True
        print(json.dumps({"name": name, "refused": refused, "result": str(result)[:200]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
