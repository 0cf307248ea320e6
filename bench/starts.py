"""`make up` from a fresh checkout in an empty home, packages cached: the first time, and again; to the sign-in page."""

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

from bench import lab, owned, peers
from bench.report import LeftOut, Row, Series
from bench.setting import Setting

FIRST_LIMIT, AGAIN_LIMIT = 30.0, 5.0  # Seconds.
START_SECONDS = 600.0
POLL_SECONDS = 0.05
COPIED = ("src", "charts", "environments", "tools", "bench")


def starts(setting: Setting) -> list[Row | LeftOut]:
    """The first pass fills the cache and is thrown away; then fresh checkouts are started, each twice."""
    if shutil.which("make") is None:
        return [LeftOut("`make up`", "there is no `make` on this machine")]
    first, again = [], []
    _start(setting, "warm", turns=1)
    for turn in range(setting.times(3, quick=1)):
        took = _start(setting, f"start-{turn}", turns=2)
        first.append(took[0])
        again.append(took[1])
    once, twice = Series("s", tuple(first)), Series("s", tuple(again))
    return [
        Row("`make up`, first time", once, f"≤ {FIRST_LIMIT:.0f} s", once.median <= FIRST_LIMIT),
        Row("`make up`, again", twice, f"≤ {AGAIN_LIMIT:.0f} s", twice.median <= AGAIN_LIMIT),
    ]


def _start(setting: Setting, name: str, *, turns: int) -> list[float]:
    """Seconds to the sign-in page of each turn, in one fresh checkout and one empty home."""
    folder = setting.work / name
    tree, home = folder / "etabli", folder / "home"
    home.mkdir(parents=True)
    _checkout(tree)
    port = owned.free_port()
    env = {
        **{
            name: value for name, value in os.environ.items() if not name.startswith(("ETABLI_", "VIRTUAL_ENV", "MAKE"))
        },
        "HOME": str(home),
        "XDG_CACHE_HOME": str(setting.cache / "home-cache"),
        "XDG_RUNTIME_DIR": str(folder),
    }
    env.pop("XDG_DATA_HOME", None)
    try:
        return [_up(tree, port, env=env, log=folder / "log") for _ in range(turns)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _up(tree: Path, port: int, *, env: Mapping[str, str], log: Path) -> float:
    asked = time.monotonic()
    with owned.running(["make", "up", f"ARGS=--port {port}"], log=log, env=env, cwd=tree) as make:
        try:
            while not peers.answers(f"http://127.0.0.1:{port}/sign-in", host=f"etabli.localhost:{port}"):
                if make.poll() is not None or time.monotonic() > asked + START_SECONDS:
                    raise lab.Failed(f"`make up` did not come to its sign-in page: {log.read_text()[-1000:]}")
                time.sleep(POLL_SECONDS)
            return time.monotonic() - asked
        finally:
            python = str(tree / ".venv/bin/python")
            if Path(python).exists():
                down = [python, "-m", "etabli.main", "down"]
                subprocess.run(down, cwd=tree, env=dict(env), capture_output=True, timeout=120, check=False)


def _checkout(tree: Path) -> None:
    """What a clone gives: the files that are committed; where this tree is no repository, its files."""
    tree.mkdir(parents=True)
    git = ["git", "-c", f"safe.directory={lab.TREE}", "archive", "HEAD"]
    archive = subprocess.run(git, cwd=lab.TREE, capture_output=True, check=False)
    if archive.returncode == 0:
        subprocess.run(["tar", "-x"], cwd=tree, input=archive.stdout, check=True)
        return
    for folder in COPIED:
        shutil.copytree(lab.TREE / folder, tree / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in lab.TREE.iterdir():
        if file.is_file():
            shutil.copy2(file, tree / file.name)
