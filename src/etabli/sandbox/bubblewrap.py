"""What `bwrap` is told: the view that a sandbox has, as a list of arguments. Pure: the sources are already at the given places.

The root is read-only; /tmp and the home folder are memory of a bounded size; only the mounts of the specification are the
machine's. The arguments travel by a descriptor (`--args`), since a sandbox can read the command line of its pid 1.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etabli.sandbox import models

HOME = "/home/etabli"
_RUN_BYTES = 64 << 20  # /run: sockets and pid files.

# What of the machine's /etc a program needs to find its libraries, names, certificates, time and fonts. Never a secret, nor
# anything of the machine's people.
HOST_ETC = """
    alternatives bash.bashrc ca-certificates ca-certificates.conf debian_version default/locale fonts gai.conf host.conf
    java java-11-openjdk java-17-openjdk java-21-openjdk ld.so.cache ld.so.conf ld.so.conf.d locale.alias locale.conf locale.gen
    localtime magic mailcap mime.types os-release pki/ca-trust pki/tls/certs profile protocols python3 R rpc services skel
    ssl/certs ssl/openssl.cnf timezone xdg
"""
_SYSTEM_FOLDERS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")


@dataclass(frozen=True)
class Place:
    """Something that was put at `source`, to be seen at `target`; without a source, memory of at most `size_bytes`."""

    source: str | None
    target: str
    read_only: bool = False
    size_bytes: int = 0


@dataclass(frozen=True)
class View:
    """Everything that a sandbox sees."""

    spec: models.SandboxSpec
    places: Sequence[Place]  # In order; a later one may lie in an earlier one.
    etc: Mapping[str, str]  # Entries of /etc made for the sandbox: name → where its content is. Without a system root.
    system: str | None  # Where the whole root is; None for the machine's own system.
    shared_memory: str | None  # Where the pod's /dev/shm is.


def arguments(view: View, *, filter_descriptor: int, status_descriptor: int) -> list[str]:
    """All of bwrap's options; the command follows them on the command line."""
    return [
        *_walls(view.spec, filter_descriptor=filter_descriptor, status_descriptor=status_descriptor),
        *_environment(view.spec),
        *(_host_root(view) if view.system is None else _own_root(view.system)),
        *_memory(view),
        *_places(view),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", view.spec.cwd),
    ]


def inner_command(spec: models.SandboxSpec, *, limit_processes: bool) -> list[str]:
    """The command inside; the limit of processes is set there where no cgroup does it, since it counts per user namespace."""
    if not limit_processes:
        return list(spec.argv)
    return ["prlimit", f"--nproc={spec.limits.processes}:{spec.limits.processes}", "--", *spec.argv]


def passwd(name: str = "etabli") -> str:
    """/etc/passwd of a sandbox."""
    return f"root:x:0:0:root:/root:/bin/sh\n{_user_line(name)}nobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"


def group(name: str = "etabli") -> str:
    """/etc/group of a sandbox."""
    return f"root:x:0:\n{name}:x:{models.INSIDE_UID}:\nnogroup:x:65534:\n"


def resolv_conf(nameservers: Sequence[str]) -> str:
    """/etc/resolv.conf; without a name server it names none, and look-ups fail at once instead of waiting for nobody."""
    return "".join(f"nameserver {address}\n" for address in nameservers) + "options timeout:2 attempts:2\n"


def _user_line(name: str) -> str:
    return f"{name}:x:{models.INSIDE_UID}:{models.INSIDE_UID}::{HOME}:/bin/bash\n"


def _walls(spec: models.SandboxSpec, *, filter_descriptor: int, status_descriptor: int) -> Iterator[str]:
    yield from ("--unshare-user", "--disable-userns", "--unshare-pid", "--unshare-ipc", "--unshare-uts")
    yield from ("--unshare-cgroup-try", "--die-with-parent", "--new-session", "--cap-drop", "ALL")
    yield from ("--uid", str(models.INSIDE_UID), "--gid", str(models.INSIDE_UID), "--hostname", spec.hostname)
    yield from ("--seccomp", str(filter_descriptor), "--json-status-fd", str(status_descriptor))


def _environment(spec: models.SandboxSpec) -> Iterator[str]:
    yield "--clearenv"
    usual = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": HOME, "USER": "etabli", "LANG": "C.UTF-8"}
    for name, value in {**usual, **spec.root.env, **spec.env}.items():
        yield from ("--setenv", name, value)


def _host_root(view: View) -> Iterator[str]:
    yield from ("--perms", "0755", "--dir", "/etc", "--perms", "0755", "--dir", "/etc/ssl", "--ro-bind", "/usr", "/usr")
    for name in _SYSTEM_FOLDERS:
        path = Path("/", name)
        if path.is_symlink():
            yield from ("--symlink", os.readlink(path), str(path))
        elif path.exists():
            yield from ("--ro-bind", str(path), str(path))
    if Path("/opt/rocm").exists():  # A vendor's libraries that the machine's programs are linked to.
        yield from ("--ro-bind", "/opt/rocm", "/opt/rocm")
    for name in HOST_ETC.split():
        if name not in view.etc:
            yield from ("--ro-bind-try", f"/etc/{name}", f"/etc/{name}")
    for name, source in view.etc.items():
        yield from ("--ro-bind", source, f"/etc/{name}")
    if "hosts" not in view.etc:
        yield from ("--symlink", f"{models.HOSTS_FOLDER}/hosts", "/etc/hosts")


def _own_root(system: str) -> Iterator[str]:
    yield from ("--bind", system, "/")


def _memory(view: View) -> Iterator[str]:
    yield from ("--proc", "/proc", "--dev", "/dev")
    if view.shared_memory is not None:
        yield from ("--bind", view.shared_memory, "/dev/shm")
    yield from _tmpfs("/tmp", view.spec.tmp_bytes, mode="1777")
    yield from _tmpfs("/run", _RUN_BYTES)
    if all(mount.target != HOME for mount in view.spec.mounts):
        yield from _tmpfs(HOME, view.spec.tmp_bytes)


def _places(view: View) -> Iterator[str]:
    for place in view.places:
        if place.source is None:
            yield from _tmpfs(place.target, place.size_bytes)
            continue
        yield from ("--ro-bind" if place.read_only else "--bind", place.source, place.target)


def _tmpfs(target: str, size: int, *, mode: str = "0755") -> Iterator[str]:
    yield from ("--perms", mode, "--size", str(size), "--tmpfs", target)
