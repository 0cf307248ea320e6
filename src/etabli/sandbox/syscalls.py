"""What Python 3.11 does not offer of Linux: namespaces, mounts, capabilities, seccomp. Thin calls into libc that raise OSError.

Only a process of one thread may enter a user namespace (setns(2)), so these are called in children that the spawner forks.
"""

import ctypes
import os
import resource
import signal
from collections.abc import Iterable

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_BIND = 0x1000
MS_REC = 0x4000
MS_SLAVE = 0x80000
MS_NOSUID = 0x2
MS_NODEV = 0x4
MNT_DETACH = 0x2

CAP_NET_ADMIN = 12
LAST_CAPABILITY = 63  # Beyond what any kernel has: prctl answers EINVAL past its own last one.

_PR_CAPBSET_DROP = 24
_PR_SET_SECCOMP = 22
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_SYS_OPENAT2 = 437  # The same number on every architecture.
_RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x04, 0x08
_CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3, capset(2).

_libc = ctypes.CDLL(None, use_errno=True)


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def setns(descriptor: int, kinds: int) -> None:
    """Enter namespaces: those of the process that a pidfd names, or the one that a /proc/PID/ns file names."""
    _check(_libc.setns(descriptor, kinds), "setns")


def unshare(kinds: int) -> None:
    """Leave for fresh namespaces."""
    _check(_libc.unshare(kinds), "unshare")


def mount(source: str, target: str, *, kind: str | None = None, flags: int = 0, options: str | None = None) -> None:
    """mount(2)."""
    kind_bytes = kind.encode() if kind else None
    option_bytes = options.encode() if options else None
    result = _libc.mount(
        os.fsencode(source), os.fsencode(target), kind_bytes, ctypes.c_ulong(flags), ctypes.c_char_p(option_bytes)
    )
    _check(result, f"mount {target}")


def unmount(target: str) -> None:
    """Detach what is mounted at `target`; it goes when its last user does."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def open_beneath(folder: int, path: str) -> int:
    """An O_PATH descriptor of `path` under `folder`, no component of it a link (openat2(2)). The caller closes it."""
    how = _OpenHow(os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW, 0, _RESOLVE_NO_SYMLINKS | _RESOLVE_BENEATH)
    arguments = (ctypes.c_int(folder), os.fsencode(path), ctypes.byref(how), ctypes.c_size_t(ctypes.sizeof(how)))
    descriptor = int(_libc.syscall(ctypes.c_long(_SYS_OPENAT2), *arguments))
    _check(descriptor, f"open {path}")
    return descriptor


def keep_capability(number: int) -> None:
    """Let a capability of this process survive exec, for a tool that needs it."""
    header = _CapabilityHeader(_CAPABILITY_VERSION, 0)
    sets = (_CapabilityData * 2)()
    _check(_libc.capget(ctypes.byref(header), sets), "capget")
    sets[number // 32].inheritable |= 1 << (number % 32)
    _check(_libc.capset(ctypes.byref(header), sets), "capset")
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number)


def drop_capabilities() -> None:
    """Give up every capability for good, in this process and whatever it executes."""
    _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
    for number in range(LAST_CAPABILITY + 1):
        if _libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
            break
    header = _CapabilityHeader(_CAPABILITY_VERSION, 0)
    _check(_libc.capset(ctypes.byref(header), (_CapabilityData * 2)()), "capset")
    forbid_new_privileges()


def forbid_new_privileges() -> None:
    """No set-uid file gives this process or its children anything from now on."""
    _prctl(_PR_SET_NO_NEW_PRIVS, 1)


def set_dumpable(value: bool) -> None:
    """Whether processes of the same user may look into this one. Changing ids makes it False; entering it asks for True."""
    _prctl(_PR_SET_DUMPABLE, int(value))


def install_filter(program: bytes) -> None:
    """Put a seccomp filter (BPF instructions of 8 bytes) on this process."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = _FilterProgram(len(program) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    _check(_libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(header), 0, 0), "seccomp")


def restore_signals() -> None:
    """Undo what Python ignores before it is replaced: an ignored signal stays ignored in the program that comes."""
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def close_all_but(kept: Iterable[int]) -> None:
    """Close every descriptor above 2 that is not in `kept`: an inherited folder is a way out of a sandbox."""
    limit = min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 20)
    low = 3
    for descriptor in sorted({fd for fd in kept if fd > 2}):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, limit)


def _prctl(option: int, argument: int, third: int = 0) -> None:
    arguments = (ctypes.c_ulong(argument), ctypes.c_ulong(third), ctypes.c_ulong(0), ctypes.c_ulong(0))
    _check(_libc.prctl(option, *arguments), f"prctl {option}")


def _check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
