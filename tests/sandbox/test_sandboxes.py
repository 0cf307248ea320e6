"""One sandbox: it outlives us, is found again, ends when told, and leaves what it was given as it was."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from tests.sandbox.conftest import DEADLINE_S, Lab, until

from etabli.kernel import errors, processes
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import models, spawning, supervision
from etabli.sandbox.launching import PROCESS_FILE
from etabli.sandbox.models import Phase

pytestmark = pytest.mark.binaries

# Another process that starts a sandbox as the engine would, says so, and waits to be killed.
CONTROLLER = """
import asyncio, sys
from pathlib import Path
from etabli.kernel.clock import SystemClock
from etabli.sandbox.models import SandboxSpec
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings
async def main(base):
    sandboxes = Sandboxes(state=base / "state", run=base / "run", settings=SandboxSettings(), clock=SystemClock())
    ground = await sandboxes.ensure_project("project")
    pod = await sandboxes.ensure_pod(ground, "pod2", address=ground.pod_address(2))
    script = "echo begun; until [ -e /work/end ]; do sleep 0.05; done; exit 7"
    from etabli.sandbox.models import Mount
    spec = SandboxSpec("survivor", ("sh", "-c", script), mounts=(Mount("/work", base / "given", read_only=True),))
    await sandboxes.start(spec, on=pod, folder=base / "survivor", log=base / "survivor.log")
    print("started", flush=True)
    await asyncio.sleep(60)
asyncio.run(main(Path(sys.argv[1])))
"""


async def test_it_outlives_the_sigkill_of_who_started_it_and_its_exit_code_is_kept(lab: Lab) -> None:
    await lab.ground()
    (lab.base / "given").mkdir()
    (lab.base / "given").chmod(0o755)
    controller = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CONTROLLER, str(lab.base), stdout=asyncio.subprocess.PIPE
    )
    assert controller.stdout is not None
    assert await controller.stdout.readline() == b"started\n"
    controller.kill()
    await controller.wait()
    await lab.until_said("survivor", "begun")
    folder = lab.base / "survivor"
    lab.folders.append(folder)
    assert lab.sandboxes.inspect(folder).phase is Phase.RUNNING
    (lab.base / "given" / "end").touch()
    found = await lab.sandboxes.wait(folder)
    assert (found.phase, found.exit_code) == (Phase.EXITED, 7)


async def test_starting_again_in_the_same_folder_finds_what_runs(lab: Lab) -> None:
    pod = await lab.pod(2)
    spec = models.SandboxSpec("twice", ("sleep", "60"))
    folder, log = lab.folder("twice"), lab.base / "twice.log"
    first = await lab.sandboxes.start(spec, on=pod, folder=folder, log=log)
    other = await lab.again()
    assert await other.start(spec, on=pod, folder=folder, log=log) == first
    await other.close()


async def test_another_process_that_has_the_number_is_not_taken_for_it(lab: Lab) -> None:
    folder = await lab.start("reused", "exit 0", on=await lab.pod(2))
    await lab.said(folder)
    (folder / "status").unlink()
    stranger = processes.reference(os.getpid())
    forged = ProcessRef(stranger.pid, stranger.start_time - 1, stranger.boot_id)
    processes.save(forged, folder / PROCESS_FILE)
    assert lab.sandboxes.inspect(folder).phase is not Phase.RUNNING
    await lab.sandboxes.stop(folder, grace=timedelta())  # And we are still here to say so.


async def test_what_another_boot_ran_is_lost(lab: Lab) -> None:
    folder = lab.folder("before")
    folder.mkdir(parents=True)
    processes.save(ProcessRef(os.getpid(), 1, "another-boot"), folder / PROCESS_FILE)
    assert lab.sandboxes.inspect(folder).phase is Phase.LOST
    assert lab.sandboxes.inspect(lab.folder("never")).phase is Phase.ABSENT


async def test_a_sandbox_whose_supervisor_is_killed_dies_with_it(lab: Lab) -> None:
    folder = await lab.start("orphan", "echo here; exec sleep 61", on=await lab.pod(2))
    await lab.until_said("orphan", "here")
    record = supervision.read(folder)
    init = supervision.init_reference(record)
    assert record.supervisor is not None
    assert init is not None
    processes.send_signal(record.supervisor, signal.SIGKILL)
    assert await supervision.wait(init, within=timedelta(seconds=DEADLINE_S))
    await lab.sandboxes.wait(folder)
    assert lab.sandboxes.inspect(folder).phase is Phase.KILLED


async def test_it_is_asked_to_end_and_may_say_how(lab: Lab) -> None:
    script = "trap 'echo asked; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    folder = await lab.start("polite", script, on=await lab.pod(2))
    await lab.until_said("polite", "ready")
    found = await lab.sandboxes.stop(folder, grace=timedelta(seconds=DEADLINE_S))
    assert found.exit_code == 3
    assert "asked" in lab.log("polite")
    assert await lab.sandboxes.stop(folder, grace=timedelta()) == await lab.sandboxes.wait(folder)


async def test_one_that_does_not_listen_is_ended_after_its_grace(lab: Lab) -> None:
    script = "trap '' TERM; (trap '' TERM; exec sleep 62) & echo ready; while :; do sleep 0.05; done"
    folder = await lab.start("deaf", script, on=await lab.pod(2))
    await lab.until_said("deaf", "ready")
    found = await lab.sandboxes.stop(folder, grace=timedelta(seconds=0.2))
    assert (found.phase, found.exit_code) == (Phase.EXITED, 137)


async def test_one_that_stopped_its_own_pid_1_is_still_ended(lab: Lab) -> None:
    script = "import ctypes, time; ctypes.CDLL(None).ptrace(16, 1, 0, 0); print('held', flush=True); time.sleep(60)"
    folder = await lab.start("holder", script, on=await lab.pod(2))
    await lab.until_said("holder", "held")
    await lab.sandboxes.stop(folder, grace=timedelta(seconds=0.2))
    assert lab.sandboxes.inspect(folder).phase is not Phase.RUNNING


async def test_a_command_runs_inside_behind_the_same_walls(lab: Lab) -> None:
    folder = await lab.start("home", "echo here > /tmp/x; echo ready; exec sleep 60", on=await lab.pod(2))
    await lab.until_said("home", "ready")
    run = lab.sandboxes.exec
    env = {"PATH": "/usr/bin:/bin", "GREETING": "hello"}
    seconds = timedelta(seconds=DEADLINE_S)
    found = await run(folder, ["sh", "-c", 'cat /tmp/x; echo "$GREETING"; id -u; exit 5'], env=env, timeout=seconds)
    assert (found.exit_code, found.output) == (5, b"here\nhello\n1000\n")
    status = (await run(folder, ["cat", "/proc/self/status"], env=env, timeout=seconds)).output.decode()
    for line in ("CapEff:\t0000000000000000", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"):
        assert line in status
    assert (await run(folder, ["unshare", "-U", "true"], env=env, timeout=seconds)).exit_code == 1
    assert (await run(folder, ["nothing-like-it"], env=env, timeout=seconds)).exit_code == 127
    assert (await run(folder, ["sleep", "30"], env=env, timeout=timedelta(seconds=0.2))).exit_code == 124
    await lab.sandboxes.stop(folder, grace=timedelta())
    with pytest.raises(errors.NotFound):
        await run(folder, ["true"], env=env, timeout=seconds)


async def test_what_is_written_over_an_environment_dies_with_the_sandbox(lab: Lab) -> None:
    pod, tree = await lab.pod(2), lab.base / "tree"
    (tree / "lib").mkdir(parents=True)
    (tree / "lib" / "module.py").write_text("original\n")
    await lab.sandboxes.take(pod.ground, tree, shared=True)
    spec = models.SandboxSpec("env", (), root=models.Root(environment=tree))
    script = (
        "cd /opt/environment && cat lib/module.py && echo changed > lib/module.py && echo new > lib/new.py"
        " && mkdir bin && mv lib/new.py bin/ && ls bin lib && cat lib/module.py"
    )
    folder = await lab.start("env", script, on=pod, spec=spec)
    assert (await lab.said(folder)).split() == ["original", "bin:", "new.py", "lib:", "module.py", "changed"]
    await lab.sandboxes.stop(folder, grace=timedelta())
    assert not (folder / "written").exists()
    assert sorted(path.name for path in tree.rglob("*")) == ["lib", "module.py"]
    assert (tree / "lib" / "module.py").read_text() == "original\n"
    assert "original" in await lab.said(await lab.start("env", "cat /opt/environment/lib/module.py", on=pod, spec=spec))


async def test_an_environment_that_was_not_shared_is_refused_by_name(lab: Lab) -> None:
    pod, tree = await lab.pod(2), lab.base / "tree"
    tree.mkdir()
    if pod.ground.uid == os.getuid():
        pytest.skip("this machine gives projects no uid of their own")
    with pytest.raises(errors.Invalid, match="not shared"):
        await lab.start("env", "true", on=pod, spec=models.SandboxSpec("env", (), root=models.Root(environment=tree)))
    assert lab.sandboxes.inspect(lab.base / "sandboxes" / "env").phase is Phase.ABSENT


async def test_a_given_folder_is_written_inside_and_taken_back(lab: Lab) -> None:
    pod, home = await lab.pod(2), lab.base / "given"
    home.mkdir(mode=0o700)
    (home / "before").write_text("from the lab")
    await lab.sandboxes.give(pod.ground, home)
    spec = models.SandboxSpec("home", (), mounts=(models.Mount("/home/etabli", home),))
    script = "cat ~/before; echo mine > ~/after; mkdir ~/closed; chmod 0 ~/closed"
    assert "from the lab" in await lab.said(await lab.start("home", script, on=pod, spec=spec))
    await lab.sandboxes.take(pod.ground, home)
    assert (home / "after").read_text() == "mine\n"
    assert (home / "after").stat().st_uid == os.getuid()
    await lab.sandboxes.give(pod.ground, home)
    await lab.sandboxes.remove_tree(pod.ground, home)
    await lab.sandboxes.remove_tree(pod.ground, home)
    assert not home.exists()


async def test_a_root_of_its_own_replaces_the_machines(lab: Lab) -> None:
    pod, lower = await lab.pod(2), lab.base / "lower"
    (lower / "usr").mkdir(parents=True)
    (lower / "etc").mkdir()
    (lower / "etc" / "mark").write_text("a root of its own")
    for name in ("bin", "lib", "lib64"):
        (lower / name).symlink_to(f"usr/{name}")
    await lab.sandboxes.take(pod.ground, lower, shared=True)
    mounts = (models.Mount("/usr", Path("/usr"), read_only=True),)
    spec = models.SandboxSpec("root", (), root=models.Root(system=(lower,)), mounts=mounts)
    script = "cat /etc/mark; id -un; touch /etc/x || echo closed; ls /etc"
    said = await lab.said(await lab.start("root", script, on=pod, spec=spec))
    assert "a root of its own" in said
    assert "etabli" in said
    assert "closed" in said
    assert not (lower / "etc" / "passwd").exists()


async def test_memory_lies_where_it_is_asked_for_in_the_order_of_mounts(lab: Lab) -> None:
    pod, home = await lab.pod(2), lab.base / "home"
    (home / "cache").mkdir(parents=True)
    for folder in (home, home / "cache"):
        folder.chmod(0o777)
    mounts = (models.Mount("/home/etabli", home), models.Mount("/home/etabli/cache", size_bytes=1 << 20))
    script = "stat -f -c %T ~/cache; head -c 2M /dev/zero > ~/cache/x || echo full; getent hosts localhost"
    said = await lab.said(await lab.start("order", script, on=pod, spec=models.SandboxSpec("order", (), mounts=mounts)))
    assert said.startswith("tmpfs\n")
    assert "full" in said
    assert "localhost" in said
    assert list((home / "cache").iterdir()) == []


async def test_a_build_runs_with_the_labs_uid_and_is_awaited(lab: Lab) -> None:
    ground, tree = await lab.ground(), lab.base / "built"
    tree.mkdir()
    spec = models.SandboxSpec(
        "build",
        ("sh", "-c", "echo built > /opt/environment/x; echo $SECRET_OF_OURS; exit 4"),
        mounts=(models.Mount(models.ENVIRONMENT_PATH, tree),),
        user=models.User.LAB,
    )
    found = await lab.sandboxes.run(spec, on=ground, folder=lab.folder("build"), log=lab.base / "build.log")
    assert found.exit_code == 4
    assert (tree / "x").stat().st_uid == os.getuid()


async def test_a_cancelled_run_ends_what_it_started(lab: Lab) -> None:
    spec = models.SandboxSpec("long", ("sh", "-c", "echo begun; exec sleep 63"))
    folder = lab.folder("long")
    running = asyncio.create_task(
        lab.sandboxes.run(spec, on=await lab.ground(), folder=folder, log=lab.base / "long.log")
    )
    await lab.until_said("long", "begun")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert lab.sandboxes.inspect(folder).phase is Phase.EXITED


async def test_what_cannot_be_executed_says_why(lab: Lab) -> None:
    folder = lab.folder("missing")
    spec = models.SandboxSpec("missing", ("nothing-like-it",))
    await lab.sandboxes.start(spec, on=await lab.pod(2), folder=folder, log=lab.base / "missing.log")
    assert "nothing-like-it" in await lab.said(folder)
    found = lab.sandboxes.inspect(folder)
    assert found.phase is Phase.FAILED
    assert found.message == "execvp nothing-like-it: No such file or directory"


async def test_the_spawner_ends_when_nobody_asks_and_comes_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawning, "IDLE_S", 0.1)
    pod = await lab.pod(2)
    await until(lambda: not own_spawners())
    assert "back again" in await lab.output("after", "echo back again", on=pod)


async def test_the_spawner_killed_is_started_again(lab: Lab) -> None:
    pod = await lab.pod(2)
    spawners = own_spawners()
    assert spawners
    for pid in spawners:
        os.kill(pid, signal.SIGKILL)
    assert "still here" in await lab.output("after", "echo still here", on=pod)


async def test_a_specification_with_a_zero_byte_or_a_relative_target_is_refused(lab: Lab) -> None:
    ground = await lab.ground()
    for wrong in (
        models.SandboxSpec("a", ("echo", "a\0--bind\0/\0/x")),
        models.SandboxSpec("b", ("true",), env={"A=B": "x"}),
        models.SandboxSpec("c", ("true",), mounts=(models.Mount("x/../../y"),)),
        models.SandboxSpec("d", ()),
    ):
        with pytest.raises(errors.Invalid):
            await lab.sandboxes.start(wrong, on=ground, folder=lab.base / "no", log=lab.base / "no.log")
    assert not (lab.base / "no").exists()


def own_spawners() -> list[int]:
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if b"spawning_main" in Path(f"/proc/{pid}/cmdline").read_bytes()]
