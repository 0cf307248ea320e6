"""What a lab costs that nobody uses, and what a project's network costs: proportional memory (PSS) of whole process trees.

PSS (proc(5), smaps_rollup) counts a page that several processes share once in all: the sum is what would be free without them.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bench import owned
from bench.report import LeftOut, Row, Series
from bench.setting import Setting
from etabli.kernel import processes

LAB_LIMIT, PROJECT_LIMIT = 450.0, 60.0  # MB
HELM = b"etabli.catalog"  # The rendering worker's modules.
HELM_SECONDS = 150.0
SETTLE_SECONDS = 5.0
MB = 1000  # Kilobytes of smaps_rollup, to the MB of the target.


def idle(setting: Setting) -> list[Row | LeftOut]:
    """Launch a service once, measure what its project has beside its pods, delete it, and measure what is left without Helm."""
    lab = setting.lab
    places = tuple(str(path).encode() for path in (lab.data, lab.run))
    service = lab.open("jupyter-python", catalog="ide", to="/lab")
    project = _parts(places, project=True)
    lab.delete(service.id)
    owned.until(
        lambda: not any(HELM in line for line in commands(places).values()), HELM_SECONDS, "the end of Helm's worker"
    )
    time.sleep(SETTLE_SECONDS)
    parts = _parts(places, project=False)
    whole, part = Series("MB", (sum(parts.values()),)), Series("MB", (sum(project.values()),))
    return [
        Row("the lab, idle (PSS)", whole, f"≤ {LAB_LIMIT:.0f} MB", whole.median <= LAB_LIMIT, notes=(_shown(parts),)),
        Row(
            "one project's holder, agent, network (PSS)",
            part,
            f"≤ {PROJECT_LIMIT:.0f} MB",
            part.median <= PROJECT_LIMIT,
            notes=(_shown(project),),
        ),
    ]


def _parts(places: tuple[bytes, ...], *, project: bool) -> dict[str, float]:
    """MB by part: of the lab's components, or of projects' holders, agents and networks. Pods are neither."""
    found: dict[str, float] = {}
    for pid, line in commands(places).items():
        name, of_project = _part(line)
        if name and of_project == project:
            found[name] = found.get(name, 0.0) + _pss(pid) / MB
    return found


def _part(command: bytes) -> tuple[str, bool]:
    """What a process is to the lab, and whether it is a project's; an empty name for what a pod runs."""
    words = command.split(b"\0")
    if words[0] == b"etabli-holder":
        return "holder", True
    if b"sandbox/relay.py" in command:
        return "agent", True
    if words[0].rpartition(b"/")[2] == b"pasta":
        return "pasta", True
    if any(b"/bwrap" in word or word.startswith(b"/opt/") for word in words[:3]):
        return "", False
    module = next((word for word in words if word.startswith(b"etabli.")), words[0])
    return module.decode(errors="replace").rpartition("/")[2], False


def commands(places: tuple[bytes, ...]) -> Mapping[int, bytes]:
    """Command lines of the lab's processes: those that name its folders, in words or environment, and all below them; and holders,
    which have no word and no variable, by their records.
    """
    found: dict[int, bytes] = {}
    for place in places:
        for record in Path(os.fsdecode(place)).glob("**/holder.json"):
            if (holder := processes.load(record)) is not None and processes.is_alive(holder):
                found[holder.pid] = Path(f"/proc/{holder.pid}/cmdline").read_bytes()
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or entry.name == str(os.getpid()):
            continue
        told = _read(entry, "cmdline") + _read(entry, "environ")
        if any(place in told for place in places):
            for pid in owned.descendants(int(entry.name)):
                found[pid] = Path(f"/proc/{pid}/cmdline").read_bytes() if Path(f"/proc/{pid}").exists() else b""
    return {pid: line for pid, line in found.items() if line and pid != os.getpid()}


def _read(entry: os.DirEntry[str], name: str) -> bytes:
    with suppress(OSError):
        return Path(entry.path, name).read_bytes()
    return b""


def _pss(pid: int) -> int:
    """Kilobytes; 0 for a process that has just ended.

    `pasta` lets nobody read its maps: its resident memory, which counts what it shares in full, stands for it.
    """
    for file, field in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with suppress(PermissionError, FileNotFoundError, ProcessLookupError):
            for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
                if line.startswith(field):
                    return int(line.split()[1])
    return 0


def _shown(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {size:.1f}" for name, size in sorted(parts.items(), key=lambda part: -part[1]))
