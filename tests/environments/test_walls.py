"""Builds behind the real walls, and what they give to services."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from etabli.environments.errors import BuildFailed
from etabli.environments.service import Environments
from etabli.environments.settings import EnvironmentSettings
from etabli.environments.walls import SandboxBuilder
from etabli.kernel.clock import SystemClock
from etabli.kernel.processes import is_alive
from etabli.sandbox.models import SandboxSpec
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings
from tests.environments.conftest import MakeLab, write_environment
from tests.environments.processes import WAITS, go_on, lab_process, until

pytestmark = pytest.mark.binaries

# Each line is tried by a hostile `postBuild`; whatever succeeds is told. `{…}` are places that exist outside.
ATTEMPTS = {
    "list the lab's folder": "ls {lab}",
    "list the cache": "ls /run/etabli-pool",
    "write to the cache": "touch {lab}/pool/cache/mine",
    "write to another tree": "touch {lab}/trees/mine",
    "read the wheels' neighbours": "ls {wheels}/..",
    "list homes": "ls /home/etabli/.local",
    "write to the system": "touch /usr/mine",
    "write to etc": "touch /etc/mine",
    "become root": "unshare --user --map-root-user true",
    "see other processes": "test $(ls -d /proc/[0-9]* | wc -l) -gt 10",
    "read passwords": "cat /etc/shadow",
    "mount": "mount -t tmpfs none /mnt",
}
HOSTILE = """#!/usr/bin/python3
import json, os, subprocess
attempts = json.loads({attempts!r})
told = {{name: subprocess.run(["sh", "-c", line], capture_output=True).returncode for name, line in attempts.items()}}
module = next(os.path.join(folder, "alpha.py") for folder, _, names in os.walk("/opt/environment") if "alpha.py" in names)
told["links of a module"] = os.stat(module).st_nlink
told["uid"] = os.getuid()
open("/opt/environment/told.json", "w").write(json.dumps(told))
"""


@dataclass
class Walled:
    """A lab whose builds run behind the real walls."""

    lab: Environments
    sandboxes: Sandboxes
    root: Path
    run: Path


@pytest.fixture
async def walled(make_lab: MakeLab, tmp_path: Path) -> AsyncIterator[Walled]:
    run = Path(tempfile.mkdtemp(prefix="e-"))  # Short, as sockets need.
    sandboxes = Sandboxes(
        state=tmp_path / "sandbox", run=run, settings=SandboxSettings(internet=False), clock=SystemClock()
    )
    lab = make_lab(builder=SandboxBuilder(sandboxes, EnvironmentSettings()))
    yield Walled(lab, sandboxes, tmp_path / "lab", run)
    await lab.close()
    await sandboxes.close()
    shutil.rmtree(run, ignore_errors=True)


async def test_a_service_runs_in_a_tree_and_never_changes_it(walled: Walled, tmp_path: Path) -> None:
    tree = await walled.lab.ensure("etabli/small")
    ground = await walled.sandboxes.ensure_project("p-service")
    code = "import alpha, sys, pathlib; pathlib.Path(alpha.__file__).write_text('VERSION=0'); print(alpha.VERSION, sys.prefix)"
    try:
        for number in range(2):
            spec = SandboxSpec(id="service", argv=("python", "-c", code), root=await walled.lab.root(tree.digest))
            ended = await walled.sandboxes.run(spec, on=ground, folder=tmp_path / f"pod{number}", log=tmp_path / "log")
            assert ended.exit_code == 0, (tmp_path / "log").read_text()
    finally:
        await walled.sandboxes.remove_ground(ground)

    assert (tmp_path / "log").read_text() == "1.0 /opt/environment\n" * 2


async def test_a_hostile_post_build_reaches_nothing(walled: Walled, folder: Path, wheels: Path) -> None:
    honest = await walled.lab.ensure("etabli/small")
    places = {"lab": walled.root, "wheels": wheels}
    attempts = {name: line.format(**places) for name, line in ATTEMPTS.items()}
    write_environment(
        folder, "hostile", {"requirements.txt": "alpha\n", "postBuild": HOSTILE.format(attempts=json.dumps(attempts))}
    )

    tree = await walled.lab.ensure("etabli/hostile")

    told = json.loads((tree.path / "told.json").read_text())
    assert told.pop("links of a module") == 1
    assert told.pop("uid") != 0
    assert {name for name, code in told.items() if code == 0} == set()
    assert walled.lab.is_built(honest.digest)


async def test_a_build_leaves_no_ground_behind(walled: Walled, folder: Path) -> None:
    write_environment(folder, "failing", {"requirements.txt": "alpha\n", "postBuild": "#!/bin/sh\nexit 1\n"})
    await walled.lab.ensure("etabli/small")
    with pytest.raises(BuildFailed, match="postBuild"):
        await walled.lab.ensure("etabli/failing")

    assert list((walled.run / "g").iterdir()) == []


async def test_what_a_killed_lab_left_running_is_ended_by_the_next(
    walled: Walled, folder: Path, wheels: Path, tmp_path: Path
) -> None:
    write_environment(folder, "slow", {"requirements.txt": "alpha\n", "postBuild": WAITS})
    env = {"LAB_RUN": str(walled.run), "LAB_STATE": str(tmp_path / "sandbox")}
    async with lab_process(walled.root, folder, wheels, "etabli/slow", env=env) as killed:
        await until(lambda: "at the gate" in walled.lab.log("etabli/slow"))
        killed.kill()
        await killed.wait()
    [left] = (walled.root / "pool/building").iterdir()
    orphan = walled.sandboxes.inspect(left / "step-postbuild").process
    assert orphan is not None
    assert is_alive(orphan), "its sandbox outlives the lab that started it"

    building = asyncio.create_task(walled.lab.ensure("etabli/slow"))
    await until(lambda: not left.exists())
    assert not is_alive(orphan)

    assert walled.lab.is_built((await go_on(walled.root, building)).digest)
