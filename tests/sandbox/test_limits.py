"""A sandbox that takes too much dies or waits alone; what it consumed is counted."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tests.sandbox.conftest import DEADLINE_S, Lab, until

from etabli.sandbox import limits, models
from etabli.sandbox.models import Phase

MIB = 1 << 20


@pytest.mark.binaries
async def test_a_memory_hog_dies_alone_and_it_is_said(lab: Lab) -> None:
    pod = await lab.pod(2)
    neighbour = await lab.start("neighbour", "echo up; exec sleep 60", on=pod)
    hog = "import time\nheld = []\nwhile True: held.append(bytearray(8 << 20)); time.sleep(0.01)"
    spec = models.SandboxSpec("hog", (), limits=models.Limits(memory_bytes=128 * MIB))
    folder = await lab.start("hog", hog, on=pod, spec=spec)
    async with asyncio.timeout(DEADLINE_S):
        found = await lab.sandboxes.wait(folder)
    assert found.out_of_memory
    assert found.message == "it used more memory than it was given"
    assert lab.sandboxes.inspect(neighbour).phase is Phase.RUNNING


@pytest.mark.binaries
async def test_memory_files_count_as_memory(lab: Lab) -> None:
    if lab.sandboxes.limiter.firmness is not models.Firmness.ENFORCED:
        pytest.skip("no cgroup bounds memory here")
    spec = models.SandboxSpec("files", (), limits=models.Limits(memory_bytes=64 * MIB))
    folder = await lab.start("files", "head -c 200M /dev/zero > /tmp/x; echo survived", on=await lab.pod(2), spec=spec)
    await lab.said(folder)
    assert lab.sandboxes.inspect(folder).out_of_memory


@pytest.mark.binaries
async def test_a_fork_bomb_dies_alone(lab: Lab) -> None:
    pod = await lab.pod(2)
    neighbour = await lab.start("neighbour", "echo up; exec sleep 60", on=pod)
    bomb = "bomb() { bomb | bomb & }; bomb; echo lit; exec sleep 60"
    spec = models.SandboxSpec("bomb", (), limits=models.Limits(processes=40, cpu=0.2))
    folder = await lab.start("bomb", bomb, on=pod, spec=spec)
    await until(lambda: "Cannot fork" in lab.log("bomb") or "Resource temporarily" in lab.log("bomb"))
    assert "fine" in await lab.output("other", "echo fine", on=pod)
    assert lab.sandboxes.inspect(neighbour).phase is Phase.RUNNING
    await lab.sandboxes.stop(folder, grace=timedelta())


@pytest.mark.binaries
async def test_a_share_of_a_processor_is_not_exceeded_and_is_counted(lab: Lab) -> None:
    if lab.sandboxes.limiter.firmness is not models.Firmness.ENFORCED:
        pytest.skip("no cgroup bounds the processor here")
    spec = models.SandboxSpec("busy", (), limits=models.Limits(cpu=0.25))
    folder = await lab.start("busy", "echo on; while :; do :; done", on=await lab.pod(2), spec=spec)
    await lab.until_said("busy", "on")
    before, began = lab.sandboxes.inspect(folder).consumption, time.monotonic()
    await until(lambda: lab.sandboxes.inspect(folder).consumption.cpu_seconds > before.cpu_seconds + 0.3)
    used = lab.sandboxes.inspect(folder).consumption.cpu_seconds - before.cpu_seconds
    assert used / (time.monotonic() - began) < 0.35


@pytest.mark.binaries
async def test_without_cgroups_processes_are_bounded_and_the_watchdog_ends_a_hog(lab: Lab) -> None:
    lab.sandboxes.limiter = limits.NoCgroups()
    pod = await lab.pod(2)
    spec = models.SandboxSpec("hog", (), limits=models.Limits(memory_bytes=96 * MIB, processes=30))
    assert (await lab.said(await lab.start("limit", "ulimit -p 2>/dev/null || ulimit -u", on=pod, spec=spec))) == "30\n"
    many = (
        "import subprocess, time\nhog = 'x = bytearray(40 << 20); import time; time.sleep(60)'\n"
        "held = [subprocess.Popen(['python3', '-c', hog]) for _ in range(4)]; time.sleep(60)"
    )
    folder = await lab.start("hog", many, on=pod, spec=replace(spec, id="hog"))
    async with asyncio.timeout(DEADLINE_S):
        found = await lab.sandboxes.wait(folder)
    assert found.out_of_memory


def test_the_subtree_that_systemd_delegated_is_used(tmp_path: Path) -> None:
    """The files of a v2 subtree, as the kernel lays them out; not the kernel itself."""
    (tmp_path / "one").mkdir()
    for name, content in {
        "memory.current": "5000",
        "memory.stat": "anon 1\ninactive_file 1000\n",
        "cpu.stat": "usage_usec 2500000\n",
        "memory.events": "oom 1\noom_kill 1\n",
    }.items():
        (tmp_path / "one" / name).write_text(content)
    limiter = limits.CgroupsV2(tmp_path)
    assert limiter.make("one", models.Limits(cpu=0.5, memory_bytes=1000, processes=7)) == [
        tmp_path / "one/cgroup.procs"
    ]
    assert (tmp_path / "one" / "cpu.max").read_text() == "50000 100000"
    assert (tmp_path / "one" / "memory.max").read_text() == "1000"
    assert limiter.consumption("one") == models.Consumption(cpu_seconds=2.5, memory_bytes=4000)
    assert limiter.out_of_memory("one")


def test_a_machine_without_cgroups_for_us_falls_back(tmp_path: Path) -> None:
    assert limits.detect(tmp_path).firmness is models.Firmness.BEST_EFFORT
