"""`python -m bench`: run the benchmarks that are asked for, print their table, keep it as JSON and in the README."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

from bench import door, durability, entering, idle, launches, live, pages, peers, report, starts, weight
from bench.lab import TREE, Failed
from bench.owned import TooSlow
from bench.report import LeftOut, Row
from bench.setting import Setting
from etabli.sandbox import limits

RESULTS = Path(__file__).resolve().parent / "results.json"
BENCHMARKS: Mapping[str, Callable[[Setting], list[Row | LeftOut]]] = {
    "up": starts.starts,
    "idle": idle.idle,
    "launch": launches.one,
    "crowd": launches.crowd,
    "door": door.door,
    "pages": pages.pages,
    "weight": weight.weight,
    "entering": entering.entering,
    "live": live.live,
    "durability": durability.durability,
}


def main() -> int:
    """0 where all ran, whether their targets were reached or not: what is missed is work to do, not a mistake of the bench."""
    parser = argparse.ArgumentParser(prog="bench", description="Benchmarks, each beside its peer")
    parser.add_argument("--only", default="", help=f"some of {','.join(BENCHMARKS)}")
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, less certain")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or list(BENCHMARKS)
    if unknown := set(chosen) - BENCHMARKS.keys():
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    if os.geteuid() == 0:
        parser.error("the lab never runs as root: `make bench` goes on as an ordinary user")
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    if not _shares_alike():
        _say(
            "started outside the lab's cgroup: services and bare processes get unlike shares of the processor; use `make bench`"
        )
    return _run(chosen, quick=given.quick)


def _run(chosen: list[str], *, quick: bool) -> int:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etabli/bench"
    cache.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="eb-", dir="/tmp"))  # Short: paths of sockets have 107 bytes.
    rows: list[Row | LeftOut] = []
    failed = False
    try:
        with ExitStack() as stack:
            setting = Setting(stack, work=work, cache=cache, quick=quick)
            for name in chosen:
                began = time.monotonic()
                _say(f"{name}…")
                try:
                    rows += BENCHMARKS[name](setting)
                except (Failed, TooSlow) as error:
                    failed = True
                    setting.keep_logs()
                    _say(f"{name}: {error}")
                    rows.append(LeftOut(name, str(error).splitlines()[0][:160]))
                _say(f"{name}: {time.monotonic() - began:.0f} s")
    except KeyboardInterrupt:
        _say("interrupted: everything that was started has ended")
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    where = report.machine(peers.versions(cache))
    print(report.aligned(rows))
    results = RESULTS if os.access(RESULTS.parent, os.W_OK) else cache / RESULTS.name
    report.write(results, rows, where)
    _say(f"kept in {results}")
    if chosen == list(BENCHMARKS) and not quick and not failed:
        _keep_in_readme(rows, where)
    return 1 if failed else 0


def _keep_in_readme(rows: list[Row | LeftOut], where: report.Machine) -> None:
    readme = TREE / "README.md"
    if not os.access(readme, os.W_OK):
        _say(f"{readme} is not this user's to write: its table stays as it was")
    elif not report.update(readme, rows, where):
        _say(f"{readme} has no `{report.MARKS[0]}`: its table goes between that and `{report.MARKS[1]}`")


def _shares_alike() -> bool:
    """Whether what we start competes with the lab's sandboxes on the same level: with cgroups v1, where root moves us first."""
    if not isinstance(limits.detect(), limits.CgroupsV1):
        return True
    own = [line.split(":", 2) for line in Path("/proc/self/cgroup").read_text().splitlines()]
    return any(path == f"/{limits.DELEGATED}" for _, controllers, path in own if "cpu" in controllers.split(","))


def _interrupt(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(number)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
