"""The system calls that a sandbox may not make: those that reach beyond every namespace, or that only holes in the kernel need.

JupyterLab, PostgreSQL, R, node, git and java run under it. What it refuses answers EPERM or, for calls that programs probe for,
ENOSYS, so that they take their other way.
"""

import errno
import io
import os
import socket
import tempfile

import pyseccomp  # type: ignore[import-untyped] # It has no stubs.

# No namespace bounds AF_VSOCK (the hypervisor's channel); the others are old protocols with a history of holes.
_ALLOWED_FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
_FAMILIES = 46  # AF_MAX of Linux 6: no family has a number beyond.

# Keyrings are per host user, not per namespace; the rest asks for privileges that nobody has inside, through much kernel code.
_REFUSED = """
    add_key keyctl request_key
    bpf perf_event_open userfaultfd kcmp lookup_dcookie quotactl nfsservctl
    mount umount2 pivot_root move_mount open_tree fsopen fsconfig fsmount fspick mount_setattr
    setns unshare open_by_handle_at fanotify_init acct swapon swapoff
    init_module finit_module delete_module kexec_load kexec_file_load reboot syslog sethostname setdomainname
    iopl ioperm settimeofday clock_settime clock_adjtime adjtimex vhangup move_pages migrate_pages
"""
_ABSENT = ("io_uring_setup", "io_uring_enter", "io_uring_register", "clone3")
_CLONE_NEW = 0x7E020000 & ~0x01000000 | 0x00000080  # Every CLONE_NEW* flag of clone(2).
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C  # Typing into, and pasting into, somebody's terminal.


def program() -> bytes:
    """The filter, as BPF instructions for this machine's architecture."""
    refused = pyseccomp.ERRNO(errno.EPERM)
    rules = pyseccomp.SyscallFilter(pyseccomp.ALLOW)
    for name in _REFUSED.split():
        _refuse(rules, refused, name)
    for name in _ABSENT:
        _refuse(rules, pyseccomp.ERRNO(errno.ENOSYS), name)
    for family in range(_FAMILIES):
        if family not in _ALLOWED_FAMILIES:
            rules.add_rule(refused, "socket", pyseccomp.Arg(0, pyseccomp.EQ, family))
    rules.add_rule(refused, "socket", pyseccomp.Arg(0, pyseccomp.GE, _FAMILIES))
    for command in (_TIOCSTI, _TIOCLINUX):
        rules.add_rule(refused, "ioctl", pyseccomp.Arg(1, pyseccomp.MASKED_EQ, 0xFFFFFFFF, command))
    for bit in range(32):
        if _CLONE_NEW >> bit & 1:
            rules.add_rule(refused, "clone", pyseccomp.Arg(0, pyseccomp.MASKED_EQ, 1 << bit, 1 << bit))
    return _exported(rules)


def _refuse(rules: pyseccomp.SyscallFilter, action: int, name: str) -> None:
    try:
        rules.add_rule(action, name)
    except (
        RuntimeError,
        OSError,
    ):  # libseccomp of this machine does not know the call; nor does anything that would make it.
        return


def _exported(rules: pyseccomp.SyscallFilter) -> bytes:
    with tempfile.TemporaryFile() as file:
        rules.export_bpf(file)
        file.seek(0, io.SEEK_SET)
        return os.pread(file.fileno(), 1 << 20, 0)
