"""How far a build is, read from what uv and our own steps write to its log.

uv prints no bar where nobody watches, but a line for each package over 1 MiB that begins (`Downloading numpy (16.1MiB)`) and ends
(` Downloaded numpy`), and one for each stage. Lines that are not understood are skipped: a newer uv tells less, and breaks nothing.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from etabli.environments.models import BuildPhase, BuildState
from etabli.kernel.clock import Clock

LOOK_EVERY = timedelta(milliseconds=250)  # At the log: what a person sees as live.

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
RESOLVED = re.compile(r"Resolved (\d+) packages?")
BEGINS = re.compile(r"Downloading (\S+) \(([\d.]+)(B|KiB|MiB|GiB)\)")
ENDS = re.compile(r" Downloaded (\S+)")
PREPARED = re.compile(r"Prepared \d+ packages?")
INSTALLED = re.compile(r"Installed \d+ packages?")
BASE_STAGE = re.compile(
    r"I: ((?:running apt|downloading|extracting|installing|creating)[^/]*?)\.\.\.$"
)  # mmdebstrap's.
COMPILED = re.compile(r"Compiled (\d+)/(\d+)")


class Progress:
    """The state of one build, moved on by lines of its log."""

    def __init__(self, state: BuildState) -> None:
        self.state = state
        self._sizes: dict[str, int] = {}
        self._rest = ""

    def feed(self, text: str) -> BuildState:
        """Read what was appended; a line cut in two is kept for the next time."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._line(line)
        return self.state

    def _line(self, line: str) -> None:
        if match := RESOLVED.match(line):
            self._move(BuildPhase.DOWNLOADING, f"downloading {match[1]} packages", packages=int(match[1]))
        elif match := BEGINS.match(line):
            self._sizes[match[1]] = round(float(match[2]) * UNITS[match[3]])
            self._downloading()
        elif match := ENDS.match(line):
            self.state = replace(self.state, bytes_done=self.state.bytes_done + self._sizes.get(match[1], 0))
            self._downloading()
        elif PREPARED.match(line) or INSTALLED.match(line):
            self._move(BuildPhase.INSTALLING, f"installing {self.state.packages} packages")
        elif match := BASE_STAGE.match(line):
            self._move(BuildPhase.DOWNLOADING, f"making the base: {match[1]}")
        elif match := COMPILED.match(line):
            done, total = int(match[1]), int(match[2])
            self._move(BuildPhase.FINISHING, f"compiling {total} modules", fraction=done / total if total else None)

    def _downloading(self) -> None:
        done, total = self.state.bytes_done, sum(self._sizes.values())
        words = f"downloading {self.state.packages} packages, {_mebibytes(done)} of {_mebibytes(total)} MiB"
        self.state = replace(self.state, bytes_total=total)
        self._move(BuildPhase.DOWNLOADING, words, fraction=done / total if total else None)

    def _move(
        self, phase: BuildPhase, message: str, *, fraction: float | None = None, packages: int | None = None
    ) -> None:
        packages = self.state.packages if packages is None else packages
        self.state = replace(self.state, phase=phase, message=message, fraction=fraction, packages=packages)


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.0f}"


class Follower:
    """Reads a log from its end on, and tells each change of the state."""

    def __init__(self, log: Path, begin: BuildState, *, tell: Callable[[BuildState], None]) -> None:
        self._log, self._tell = log, tell
        self._progress = Progress(begin)
        self._start = self._position = log.stat().st_size if log.exists() else 0
        tell(begin)

    async def follow(self, clock: Clock) -> None:
        """Until cancelled."""
        while True:
            self.look()
            await clock.sleep(LOOK_EVERY)

    def look(self) -> BuildState:
        """The state as of now."""
        text = self._read(self._position)
        self._position += len(text)
        before = self._progress.state
        if self._progress.feed(text.decode(errors="replace")) != before:
            self._tell(self._progress.state)
        return self._progress.state

    def output(self) -> str:
        """All that was written since we began."""
        return self._read(self._start).decode(errors="replace")

    def _read(self, start: int) -> bytes:
        try:
            with self._log.open("rb") as file:
                file.seek(start)
                return file.read()
        except FileNotFoundError:
            return b""
