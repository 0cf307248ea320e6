"""What was measured, as data: repeated values with their unit, rows beside their peers, and the three ways that they are shown."""

import json
import os
import platform
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

MARKS = ("<!-- bench -->", "<!-- /bench -->")
HEADINGS = ("what", "Etabli", "beside it", "ratio", "to reach", "reached")


@dataclass(frozen=True)
class Series:
    """One thing, measured again and again. `unit` is a word that stands after the number."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The value in the middle."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        shown = f"{_number(self.median)} {self.unit}"
        if len(self.values) > 1:
            shown += f" ({_number(min(self.values))} to {_number(max(self.values))})"
        return shown


@dataclass(frozen=True)
class Peer:
    """What a row stands beside; without `series`, why it was left out."""

    name: str
    series: Series | None
    why: str = ""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    ours: Series
    target: str
    reached: bool | None  # None: there is no target, or no peer to compare with.
    peers: tuple[Peer, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class LeftOut:
    """A benchmark that did not run, and why."""

    what: str
    why: str


@dataclass(frozen=True)
class Machine:
    """Where it was measured."""

    date: str
    cores: int
    memory_gib: float
    kernel: str
    load: float  # Mean over the minute before, as others may use the machine.
    versions: Mapping[str, str] = field(default_factory=dict)


def machine(versions: Mapping[str, str]) -> Machine:
    """This machine, now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        date=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        cores=len(os.sched_getaffinity(0)),
        memory_gib=round(memory / (1 << 30), 1),
        kernel=platform.release(),
        load=round(os.getloadavg()[0], 1),
        versions={"etabli": metadata.version("etabli"), "python": platform.python_version(), **versions},
    )


def cells(rows: Sequence[Row | LeftOut]) -> list[tuple[str, ...]]:
    """The table's content: a line for each row, one more for each further peer."""
    lines: list[tuple[str, ...]] = []
    for row in rows:
        if isinstance(row, LeftOut):
            lines.append((row.what, "left out", row.why, "", "", ""))
            continue
        peers = [(_peer(peer), _ratio(row.ours, peer)) for peer in row.peers] or [("", "")]
        reached = {True: "yes", False: "NO", None: ""}[row.reached]
        lines.append((row.what, str(row.ours), *peers[0], row.target, reached))
        lines += [("", "", *peer, "", "") for peer in peers[1:]]
    return lines


def aligned(rows: Sequence[Row | LeftOut]) -> str:
    """For a terminal."""
    lines = [HEADINGS, *cells(rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS))]
    shown = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    notes = [f"{row.what}: {note}" for row in rows if isinstance(row, Row) for note in row.notes]
    return "\n".join([*shown, *([""] if notes else []), *notes])


def markdown(rows: Sequence[Row | LeftOut], where: Machine) -> str:
    """For the README."""
    lines = [_bar(HEADINGS), _bar(["---"] * len(HEADINGS)), *(_bar(line) for line in cells(rows))]
    versions = ", ".join(f"{name} {version}" for name, version in where.versions.items())
    said = (
        f"Measured by `make bench` on {where.date}: {where.cores} cores, {where.memory_gib:g} GiB, Linux {where.kernel}, "
        f"load {where.load:g} before. Medians, with the smallest and the largest. {versions}."
    )
    return "\n".join([*lines, "", said])


def write(path: Path, rows: Sequence[Row | LeftOut], where: Machine) -> None:
    """Everything, as JSON."""
    content = {"machine": asdict(where), "rows": [asdict(row) for row in rows]}
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def update(readme: Path, rows: Sequence[Row | LeftOut], where: Machine) -> bool:
    """Put the table between the README's marks; False where it has none."""
    text = readme.read_text()
    block = re.compile(f"{re.escape(MARKS[0])}.*?{re.escape(MARKS[1])}", re.DOTALL)
    if not block.search(text):
        return False
    content = f"{MARKS[0]}\n{markdown(rows, where)}\n{MARKS[1]}"
    readme.write_text(block.sub(lambda _: content, text))
    return True


def _peer(peer: Peer) -> str:
    return f"{peer.name}: {peer.series if peer.series is not None else f'left out, {peer.why}'}"


def _ratio(ours: Series, peer: Peer) -> str:
    if peer.series is None or peer.series.unit != ours.unit or not peer.series.median:
        return ""
    return f"{ours.median / peer.series.median:.2f}"


def _bar(line: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"


def _number(value: float) -> str:
    if abs(value) >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
