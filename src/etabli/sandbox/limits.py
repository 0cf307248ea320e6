"""What bounds a sandbox's processor, memory and number of processes, and what it consumed.

Three ways, the first that this machine offers: cgroup v2, where a subtree was delegated to us (systemd's `Delegate=yes`); cgroup
v1, where root made `etabli` folders ours (`prepare_cgroups`); none, where per-process limits, niceness and a watchdog do what they
can. A cgroup is named after the lab and the sandbox, so another process than its maker finds it.
"""

import contextlib
import errno
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from etabli.kernel import errors
from etabli.sandbox import models

CGROUP_ROOT = Path("/sys/fs/cgroup")
DELEGATED = "etabli"  # The folder of each v1 controller that root gives us.
CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
PERIOD_US = 100_000  # Of the processor quota, the kernel's own default.
_MINIMUM_QUOTA_US = 1_000  # The kernel takes no less.
_EMPTIED_S, _EMPTIED_POLL_S = 1.0, 0.005  # A killed process leaves its cgroup a moment later.


class Limiter(Protocol):
    """One way to bound sandboxes."""

    @property
    def name(self) -> str:
        """What does it, for people."""
        ...

    @property
    def firmness(self) -> models.Firmness:
        """How firmly it holds."""
        ...

    def make(self, name: str, limits: models.Limits) -> Sequence[Path]:
        """Make a sandbox's bounds; answers the files that a process writes itself into to be bound by them."""
        ...

    def find(self, name: str) -> Sequence[Path]:
        """The same files of bounds made earlier; empty where there are none."""
        ...

    def consumption(self, name: str) -> models.Consumption:
        """What was consumed within, since it was made."""
        ...

    def out_of_memory(self, name: str) -> bool:
        """Whether the kernel killed within for want of memory."""
        ...

    def remove(self, name: str) -> None:
        """Forget bounds in which nothing runs any more. Absent is success."""
        ...


@dataclass(frozen=True)
class CgroupsV1:
    """One folder in each controller's hierarchy."""

    root: Path = CGROUP_ROOT
    name: str = "cgroup v1"
    firmness: models.Firmness = models.Firmness.ENFORCED

    def make(self, name: str, limits: models.Limits) -> Sequence[Path]:
        for controller in CONTROLLERS:
            self._folder(controller, name).mkdir(exist_ok=True)
        if limits.memory_bytes is not None:
            memory = self._folder("memory", name)
            _write_limit(memory / "memory.limit_in_bytes", limits.memory_bytes)
            with contextlib.suppress(OSError):  # Without swap accounting, the limit above is all there is.
                _write_limit(memory / "memory.memsw.limit_in_bytes", limits.memory_bytes)
        if limits.cpu is not None:
            cpu = self._folder("cpu", name)
            (cpu / "cpu.cfs_period_us").write_text(str(PERIOD_US))
            (cpu / "cpu.cfs_quota_us").write_text(str(_quota(limits.cpu)))
        (self._folder("pids", name) / "pids.max").write_text(str(limits.processes))
        return self.find(name)

    def find(self, name: str) -> Sequence[Path]:
        folders = [self._folder(controller, name) for controller in CONTROLLERS]
        return [folder / "cgroup.procs" for folder in folders] if all(folder.is_dir() for folder in folders) else []

    def consumption(self, name: str) -> models.Consumption:
        try:
            nanoseconds = int((self._folder("cpuacct", name) / "cpuacct.usage").read_text())
            memory = self._folder("memory", name)
            used = int((memory / "memory.usage_in_bytes").read_text())
            droppable = _table(memory / "memory.stat").get("total_inactive_file", 0)
        except FileNotFoundError:
            return models.Consumption()
        return models.Consumption(cpu_seconds=nanoseconds / 1e9, memory_bytes=max(0, used - droppable))

    def out_of_memory(self, name: str) -> bool:
        return _table(self._folder("memory", name) / "memory.oom_control").get("oom_kill", 0) > 0

    def remove(self, name: str) -> None:
        for controller in CONTROLLERS:
            _remove_cgroup(self._folder(controller, name))

    def _folder(self, controller: str, name: str) -> Path:
        return self.root / controller / DELEGATED / name


@dataclass(frozen=True)
class CgroupsV2:
    """One folder in the unified hierarchy, under a subtree that was delegated to us."""

    subtree: Path
    name: str = "cgroup v2"
    firmness: models.Firmness = models.Firmness.NOT_VERIFIED  # Built to its documentation; not seen on a machine yet.

    def make(self, name: str, limits: models.Limits) -> Sequence[Path]:
        folder = self.subtree / name
        folder.mkdir(exist_ok=True)
        (folder / "memory.max").write_text("max" if limits.memory_bytes is None else str(limits.memory_bytes))
        with contextlib.suppress(FileNotFoundError):  # A machine without swap.
            (folder / "memory.swap.max").write_text("max" if limits.memory_bytes is None else "0")
        quota = "max" if limits.cpu is None else str(_quota(limits.cpu))
        (folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        (folder / "pids.max").write_text(str(limits.processes))
        return self.find(name)

    def find(self, name: str) -> Sequence[Path]:
        folder = self.subtree / name
        return [folder / "cgroup.procs"] if folder.is_dir() else []

    def consumption(self, name: str) -> models.Consumption:
        folder = self.subtree / name
        try:
            used = int((folder / "memory.current").read_text())
        except FileNotFoundError:
            return models.Consumption()
        droppable = _table(folder / "memory.stat").get("inactive_file", 0)
        microseconds = _table(folder / "cpu.stat").get("usage_usec", 0)
        return models.Consumption(cpu_seconds=microseconds / 1e6, memory_bytes=max(0, used - droppable))

    def out_of_memory(self, name: str) -> bool:
        return _table(self.subtree / name / "memory.events").get("oom_kill", 0) > 0

    def remove(self, name: str) -> None:
        _remove_cgroup(self.subtree / name)


@dataclass(frozen=True)
class NoCgroups:
    """Nothing to write to: limits are set per process when a sandbox starts, and the watchdog looks at memory."""

    name: str = "process limits and a watchdog"
    firmness: models.Firmness = models.Firmness.BEST_EFFORT

    def make(self, name: str, limits: models.Limits) -> Sequence[Path]:
        return ()

    def find(self, name: str) -> Sequence[Path]:
        return ()

    def consumption(self, name: str) -> models.Consumption:
        return models.Consumption()

    def out_of_memory(self, name: str) -> bool:
        return False

    def remove(self, name: str) -> None:
        return


def detect(root: Path = CGROUP_ROOT) -> Limiter:
    """The firmest way that this machine offers to the user that we are."""
    if all(os.access(root / controller / DELEGATED / "cgroup.procs", os.W_OK) for controller in CONTROLLERS):
        return CgroupsV1(root)
    subtree = _delegated_subtree(root)
    return NoCgroups() if subtree is None else CgroupsV2(subtree)


def prepare_cgroups(uid: int, gid: int, *, root: Path = CGROUP_ROOT) -> bool:
    """As root, once a boot: give a user cgroups to make sandboxes' bounds in. False where this machine has no v1 controllers."""
    if not all((root / controller / "cgroup.procs").exists() for controller in CONTROLLERS):
        return False
    for controller in CONTROLLERS:
        folder = root / controller / DELEGATED
        folder.mkdir(exist_ok=True)
        for place in (folder, folder / "cgroup.procs", folder / "tasks"):
            os.chown(place, uid, gid)
    return True


def prepare_own_subtree(root: Path = CGROUP_ROOT) -> None:
    """In a delegated v2 subtree, before anything else is started: move this process into a leaf, so that sandboxes may have
    controllers beside it (a v2 cgroup has either processes or controllers for its children: cgroups(7)). Elsewhere, nothing."""
    own = _own_cgroup(root)
    if own is None or not os.access(own / "cgroup.subtree_control", os.W_OK):
        return
    leaf = own / "lab"
    leaf.mkdir(exist_ok=True)
    (leaf / "cgroup.procs").write_text(str(os.getpid()))
    wanted = {"memory", "cpu", "pids"} & set((own / "cgroup.controllers").read_text().split())
    (own / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in sorted(wanted)))


def processes_under(pid: int) -> Iterator[int]:
    """A process and all below it. In a sandbox, orphans become children of its pid 1, so its tree is whole."""
    waiting = [pid]
    while waiting:
        current = waiting.pop()
        yield current
        for task in _tasks(current):
            with contextlib.suppress(OSError):
                waiting += [int(child) for child in (task / "children").read_text().split()]


def consumption_under(pid: int) -> models.Consumption:
    """What a process and all below it consume, where no cgroup counts: processor time of the dead ones they waited for included."""
    ticks, memory = 0, 0
    for one in processes_under(pid):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(int(value) for value in fields[11:15])  # utime, stime, cutime, cstime: proc(5).
            memory += _own_memory(one)
    return models.Consumption(cpu_seconds=ticks / os.sysconf("SC_CLK_TCK"), memory_bytes=memory)


def _own_memory(pid: int) -> int:
    """Proportional set size, which counts shared pages once; resident size where the kernel does not tell it to us."""
    try:
        return _table(Path(f"/proc/{pid}/smaps_rollup"))["Pss:"] * 1024
    except (OSError, KeyError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _tasks(pid: int) -> Sequence[Path]:
    try:
        return list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return ()


def _quota(cpu: float) -> int:
    return max(_MINIMUM_QUOTA_US, round(cpu * PERIOD_US))


def _write_limit(path: Path, value: int) -> None:
    try:
        path.write_text(str(value))
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise errors.Refused("less memory was asked for than is in use already") from error
        raise


def _table(path: Path) -> Mapping[str, int]:
    """A file of `name value` lines; empty where there is none."""
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except FileNotFoundError:
        return {}
    return {line[0]: int(line[1]) for line in lines if len(line) >= 2 and line[1].isdigit()}


def _remove_cgroup(folder: Path) -> None:
    deadline = time.monotonic() + _EMPTIED_S
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                return  # Something of it still ends; the folder costs nothing and is used again under the same name.
            time.sleep(_EMPTIED_POLL_S)
        else:
            return


def _own_cgroup(root: Path) -> Path | None:
    """Our own cgroup in the unified hierarchy, where that is the machine's only one."""
    if not (root / "cgroup.controllers").exists():
        return None
    line = next((line for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")), None)
    return None if line is None else root / line[3:].lstrip("/")


def _delegated_subtree(root: Path) -> Path | None:
    own = _own_cgroup(root)
    candidates = () if own is None else (own.parent, own)  # We may be in the leaf that `prepare_own_subtree` made.
    for folder in candidates:
        control = folder / "cgroup.subtree_control"
        if os.access(folder, os.W_OK) and control.exists() and "memory" in control.read_text().split():
            return folder
    return None
