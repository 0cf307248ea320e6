"""What the supervisor promises, on real processes that are really killed."""

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from etabli.components import child, inner, models, plan, status
from etabli.components.supervisor import Supervisor, down
from etabli.kernel import errors, processes
from etabli.kernel.clock import SystemClock
from tests.components.conftest import HURRIED, Lab, tell_network, until

LIGHT_KIB = 25 * 1024


def wait_for_end(supervisor: subprocess.Popen[bytes]) -> tuple[int, str]:
    """The exit code and what was said."""
    _, said = supervisor.communicate(timeout=20)
    return supervisor.returncode, said.decode()


async def test_components_start_in_the_order_of_needs_and_stop_in_the_opposite_one(lab: Lab) -> None:
    lab.answering("door", needs=("portal",))
    lab.answering("portal", needs=("store", "vault"))
    lab.answering("store")
    lab.answering("vault")
    supervisor = lab.up()
    await lab.ready()
    supervisor.terminate()
    assert wait_for_end(supervisor)[0] == 0
    lines = lab.told.read_text().splitlines()
    assert set(lines[:2]) == {"start store", "start vault"}
    assert lines[2:6] == ["start portal", "start door", "stop door", "stop portal"]
    assert set(lines[6:]) == {"stop store", "stop vault"}
    assert [one.state for one in status.read(lab.plan).components] == [models.State.STOPPED] * 4


async def test_the_supervisors_death_leaves_components_running_and_the_next_adopts_them(lab: Lab) -> None:
    lab.answering("store", inner=True)
    lab.answering("portal", needs=("store",))
    supervisor = lab.up()
    before = {one.name: one.pid for one in (await lab.ready()).components}
    supervisor.kill()
    supervisor.wait()
    orphans = status.read(lab.plan)
    assert orphans.supervisor is None
    assert {one.name: one.pid for one in orphans.components} == before
    lab.up()
    after = await lab.ready()
    assert {one.name: one.pid for one in after.components} == before
    assert [one.starts for one in after.components] == [0, 0]


async def test_whichever_component_is_killed_comes_back_and_the_others_stay(lab: Lab) -> None:
    names = ["store", "vault", "portal", "door"]
    lab.answering("store", inner=True)
    lab.answering("vault", inner=True)
    lab.answering("portal", needs=("store", "vault"))
    lab.answering("door", needs=("portal",))
    lab.up()
    await lab.ready()
    for name in names:
        before = {one: lab.ref(one) for one in names}
        killed = lab.kill(name)
        await until(lambda name=name, killed=killed: lab.ref(name) != killed, f"a new {name}")  # type: ignore[misc]
        await lab.ready()
        assert [one for one in names if lab.ref(one) != before[one]] == [name]
        assert tell_network(lab.ref("store")) == tell_network(lab.ref("vault"))


async def test_everything_killed_at_once_heals_at_the_next_start(lab: Lab) -> None:
    names = ["store", "portal", "network"]
    lab.answering("store", inner=True)
    lab.answering("portal", needs=("store",))
    supervisor = lab.up()
    await lab.ready()
    before = {name: lab.ref(name) for name in names}
    supervisor.kill()
    for name in names:
        lab.kill(name)
    supervisor.wait()
    lab.up()
    await lab.ready()
    assert all(lab.ref(name) != before[name] for name in names)


async def test_all_components_killed_at_once_under_a_living_supervisor_heal(lab: Lab) -> None:
    names = ["store", "portal", "network"]
    lab.answering("store", inner=True)
    lab.answering("portal", needs=("store",))
    lab.up()
    await lab.ready()
    before = {name: lab.kill(name) for name in names}
    await until(lambda: all(lab.ref(name) != before[name] for name in names), "all of them anew")
    await lab.ready()


async def test_a_killed_holder_is_replaced_on_the_same_network(lab: Lab) -> None:
    lab.answering("store", inner=True)
    lab.answering("vault", inner=True)
    lab.up()
    await lab.ready()
    network = tell_network(lab.ref("vault"))
    holder, killed = lab.kill("network"), lab.kill("store")
    await until(lambda: lab.ref("store") != killed and lab.ref("network") != holder, "both anew")
    await lab.ready()
    assert {tell_network(lab.ref(name)) for name in ("store", "vault", "network")} == {network}


async def test_a_holder_is_replaced_through_a_component_that_nested_a_namespace_of_its_own(lab: Lab) -> None:
    nested = lab.answering("store", inner=True)
    lab.add(replace(nested, argv=(inner.program("unshare"), "--user", "--map-current-user", "--", *nested.argv)))
    lab.answering("vault", inner=True)
    lab.up()
    await lab.ready()
    network = tell_network(lab.ref("store"))
    holder, killed = lab.kill("network"), lab.kill("vault")
    await until(lambda: lab.ref("vault") != killed and lab.ref("network") != holder, "both anew")
    await lab.ready()
    assert {tell_network(lab.ref(name)) for name in ("store", "vault", "network")} == {network}


async def test_a_component_that_was_left_in_another_network_is_brought_back(lab: Lab) -> None:
    lab.answering("store", inner=True)
    supervisor = Supervisor(lab.plan, clock=SystemClock(), pace=HURRIED)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.statuses[0].state is models.State.RUNNING, "RUNNING")
    lone = lab.ref("store")
    (lab.folder("store") / child.RECORD).unlink()  # So that the next holder cannot find the network through it.
    lab.kill("network")
    await until(lambda: lab.recorded("store") and lab.ref("store") != lone and supervisor.statuses[0].ready, "another")
    assert tell_network(lab.ref("store")) == tell_network(lab.ref("network"))
    supervisor.stop()
    await running


async def test_a_full_disk_is_said_and_heals_once_there_is_room(lab: Lab) -> None:
    lab.running("store", "import time; time.sleep(99)")
    plan.save(lab.plan, lab.told)
    small = f"mount -t tmpfs -o size=256k none {lab.plan.data}; exec {sys.executable} -m etabli.components.supervisor {lab.told}"
    supervisor = lab.spawn("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", small)
    disk = Path(f"/proc/{supervisor.pid}/root/{lab.plan.data}")
    await until(lambda: (seen := lab.written("store")) is not None and seen.ready, "readiness")
    fill(disk / "filler")
    before = lab.written("store")
    assert before
    assert before.pid
    os.kill(before.pid, signal.SIGKILL)
    await until(lambda: "No space left" in (lab.written("store") or before).words, "the reason")
    (disk / "filler").unlink()
    await until(lambda: (seen := lab.written("store")) is not None and seen.ready and seen.pid != before.pid, "health")
    assert supervisor.poll() is None


def fill(path: Path) -> None:
    """Write until the disk is full."""
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            return


async def test_the_inner_network_has_a_loopback_and_nothing_else(lab: Lab) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    code = f"""
import os, socket
print("links", sorted(os.listdir("/sys/class/net")) and [name for _, name in socket.if_nameindex()])
own = socket.create_server(("127.0.0.1", 0)); socket.create_connection(own.getsockname()); print("own loopback answers")
try: socket.create_connection(("127.0.0.1", {listener.getsockname()[1]}), 1)
except OSError as error: print("the machine:", error)
print([line for line in open("/proc/self/status") if line.startswith(("CapEff", "CapPrm", "CapAmb"))])
"""
    lab.running("probe", code, inner=True, once=True)
    lab.up()
    await lab.ready()
    listener.close()
    said = (lab.folder("probe") / "log").read_text()
    assert "links ['lo']" in said
    assert "own loopback answers" in said
    assert "refused" in said
    assert len(re.findall(r":\\t0000000000000000", said)) == 3


async def test_a_component_that_never_comes_up_is_tried_with_patience_and_shows_its_last_words(lab: Lab) -> None:
    lab.running("broken", "import sys; print('the vault has no key'); sys.exit(7)")
    supervisor = Supervisor(lab.plan, clock=SystemClock(), pace=HURRIED)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.statuses[0].state is models.State.FATAL, "FATAL")
    seen = supervisor.statuses[0]
    assert (seen.failures, seen.starts, seen.pid) == (4, 4, None)
    assert seen.words == "ended with 7\nthe vault has no key"
    await until(lambda: supervisor.statuses[0].starts > 4, "another try")
    supervisor.stop()
    await running


async def test_a_component_that_does_not_answer_in_time_says_so(lab: Lab) -> None:
    mute = "import signal, time; print('thinking', flush=True); time.sleep(60)"
    lab.running("mute", mute, health=models.Health(lab.plan.run / "mute.sock"), start_seconds=0.3, grace_seconds=0.5)
    supervisor = Supervisor(lab.plan, clock=SystemClock(), pace=HURRIED)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.statuses[0].state is models.State.BACKOFF, "BACKOFF")
    assert supervisor.statuses[0].words.startswith("did not answer within 0.3 s")
    supervisor.stop()
    await running


async def test_a_component_that_hangs_is_killed_and_started_again(lab: Lab) -> None:
    lab.answering("store", grace_seconds=0.2)
    supervisor = Supervisor(lab.plan, clock=SystemClock(), pace=replace(HURRIED, misses=1))
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.statuses[0].state is models.State.RUNNING, "RUNNING")
    hung = lab.ref("store")
    processes.send_signal(hung, signal.SIGSTOP)
    await until(lambda: lab.ref("store") != hung and supervisor.statuses[0].ready, "another")
    supervisor.stop()
    await running


async def test_a_second_supervisor_says_that_the_lab_runs_and_where(lab: Lab) -> None:
    lab.answering("store")
    first = lab.up()
    await lab.ready()
    code, said = wait_for_end(lab.up())
    assert code == 1
    assert f"process {first.pid}" in said
    assert "etabli status" in said
    assert first.poll() is None


async def test_a_taken_port_says_which_process_has_it(lab: Lab) -> None:
    other = (
        sys.executable,
        "-S",
        "-c",
        "import socket,time; s=socket.create_server(('127.0.0.1',0)); print(s.getsockname()[1],flush=True); time.sleep(99)",
    )
    with subprocess.Popen(other, stdout=subprocess.PIPE) as taker:  # noqa: ASYNC220 - It answers at once.
        assert taker.stdout
        port = int(taker.stdout.readline())
        lab.answering("door", ports=(models.Port("127.0.0.1", port),))
        code, said = wait_for_end(lab.up())
        taker.kill()
    assert code == 1
    assert f"port {port} is taken by process {taker.pid}" in said
    assert "import socket" in said
    assert lab.told.read_text() == ""


async def test_a_refused_start_leaves_what_runs_alone(lab: Lab) -> None:
    lab.answering("store")
    first = lab.up()
    await lab.ready()
    first.kill()
    first.wait()
    running = lab.ref("store")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        lab.answering("door", ports=(models.Port("127.0.0.1", taken.getsockname()[1]),))
        code, said = wait_for_end(lab.up())
    assert (code, "is taken by" in said) == (1, True)
    assert processes.is_alive(running)


async def test_a_configuration_that_cannot_be_read_is_one_components_trouble(lab: Lab) -> None:
    locked = lab.plan.data / "locked"
    locked.touch(0o000)
    lab.answering("store")
    lab.answering("door", files=(locked,))
    supervisor = Supervisor(lab.plan, clock=SystemClock(), pace=HURRIED)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: supervisor.statuses[1].state is models.State.FATAL and supervisor.statuses[0].ready, "FATAL")
    assert "locked" in supervisor.statuses[1].words
    supervisor.stop()
    await running


async def test_what_changed_is_restarted_and_what_did_not_is_adopted(lab: Lab) -> None:
    config = lab.plan.data / "config"
    config.write_text("one")
    lab.answering("store", files=(config,))
    lab.answering("portal")
    lab.answering("gone")
    first = lab.up()
    await lab.ready()
    before = {name: lab.ref(name) for name in ("store", "portal", "gone")}
    first.send_signal(signal.SIGHUP)
    assert wait_for_end(first)[0] == 0
    assert all(processes.is_alive(ref) for ref in before.values())
    config.write_text("two")
    lab.plan = models.Plan(lab.plan.data, lab.plan.run, lab.plan.components[:2])
    lab.up()
    await lab.ready()
    assert lab.ref("portal") == before["portal"]
    assert lab.ref("store") != before["store"]
    assert not processes.is_alive(before["gone"])


async def test_a_step_of_set_up_runs_before_those_that_need_it(lab: Lab) -> None:
    lab.running("prepare", f"open({str(lab.told)!r}, 'a').write('prepared\\n')", once=True)
    lab.answering("portal", needs=("prepare",))
    lab.up()
    seen = await lab.ready()
    assert lab.told.read_text() == "prepared\nstart portal\n"
    assert seen.components[0].pid is None


async def test_down_stops_a_lab_with_and_without_its_supervisor(lab: Lab) -> None:
    lab.answering("store", inner=True)
    for kill_it in (False, True):
        supervisor = lab.up()
        await lab.ready()
        ref, holder = lab.ref("store"), lab.ref("network")
        if kill_it:
            supervisor.kill()
            supervisor.wait()
        assert await down(lab.plan, clock=SystemClock())
        assert not processes.is_alive(ref)
        await until(lambda holder=holder: not processes.is_alive(holder), "the network's end")  # type: ignore[misc]
    assert not await down(lab.plan, clock=SystemClock())


async def test_a_process_whose_record_was_never_written_never_runs(lab: Lab) -> None:
    component = lab.answering("store")
    component.folder.mkdir(parents=True)
    popen = child._spawn(component, component.argv)  # As if the supervisor were killed before it recorded this pid.
    assert popen.stdin
    popen.stdin.close()
    assert popen.wait(10) == 1
    assert lab.told.read_text() == ""


async def test_a_log_is_bounded_and_its_writer_goes_on(lab: Lab) -> None:
    chatter = "import time\nfor n in range(10**9):\n print('line', n, '.' * 80, flush=True); n % 50 or time.sleep(0.01)"
    component = lab.running("chatter", chatter, log_bytes=50_000)
    supervisor = Supervisor(lab.plan, clock=SystemClock(), pace=HURRIED)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: component.log.exists() and component.log.stat().st_size > 50_000, "much talk")
    await until(lambda: component.log.stat().st_size <= 50_000, "a cut")
    await until(lambda: component.log.stat().st_size > 50_000, "more talk")
    supervisor.stop()
    await running
    assert b"\0" not in component.log.read_bytes()
    assert component.log.stat().st_mode & 0o777 == 0o600


async def test_the_supervisor_is_light(lab: Lab) -> None:
    lab.answering("store", inner=True)
    supervisor = lab.up()
    await lab.ready()
    rollup = Path(f"/proc/{supervisor.pid}/smaps_rollup").read_text()  # noqa: ASYNC240 - Not a disk.
    pss = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    assert pss
    assert int(pss[1]) <= LIGHT_KIB


def test_a_plan_reads_back_as_it_was_written(lab: Lab) -> None:
    lab.answering("store", ports=(models.Port("::", 1),), files=(Path("/x"),), env={"A": "b"}, inner=True)
    plan.save(lab.plan, lab.path)
    assert plan.load(lab.path) == lab.plan
    assert lab.path.stat().st_mode & 0o777 == 0o600


def test_needs_in_a_circle_or_unknown_are_refused(lab: Lab) -> None:
    lab.answering("a", needs=("b",))
    with pytest.raises(errors.Invalid):
        plan.check(lab.plan)
    lab.answering("b", needs=("a",))
    with pytest.raises(errors.Invalid):
        plan.check(lab.plan)
