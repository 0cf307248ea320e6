"""Every attempt of probes.py, inside a sandbox, is refused; outside, as the control, those that harm nobody succeed."""

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.sandbox.conftest import Lab

from etabli.kernel import errors
from etabli.sandbox import models

pytestmark = pytest.mark.binaries

PROBES = Path(__file__).parent / "probes.py"
SMALL = 32 << 20  # Less than what the probes try to write.

HARMLESS = (
    "read the lab's state",
    "list another project's home",
    "connect to the lab's control socket",
    "connect to an abstract socket of the machine",
    "see processes of the machine",
    "signal a process of the machine",
    "hold a process of the machine",
    "unshare a user namespace",
    "clone into a user namespace",
    "list /sys",
    "have any capability",
    "fill /tmp beyond its size",
)


@pytest.fixture
def machine(base: Path) -> Iterator[Mapping[str, str]]:
    """What a sandbox is to reach for: state, another's home, sockets, a process."""
    mark = f"lab-{secrets.token_hex(4)}"
    state, other = base / "secrets", base / "other"
    for folder in (state, other):
        folder.mkdir(mode=0o700)
    (state / "secret").write_text("secret")
    with socket.socket(socket.AF_UNIX) as control, socket.socket(socket.AF_UNIX) as abstract:
        control.bind(str(state / "control.sock"))
        abstract.bind(f"\0{mark}")
        for listener in (control, abstract):
            listener.listen()
        victim = subprocess.Popen(["sleep", "300"], env={"MARK": mark})
        yield {"STATE": str(state), "OTHER": str(other), "VICTIM": str(victim.pid), "MARK": mark}
        victim.kill()
        victim.wait()


def results(text: str) -> dict[str, dict[str, object]]:
    found = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return {str(one["name"]): one for one in found}


async def test_every_attempt_inside_is_refused(lab: Lab, machine: Mapping[str, str]) -> None:
    pod, names_folder = await lab.pod(2), lab.base / "names"
    lab.sandboxes.write_hosts(names_folder, {})
    spec = models.SandboxSpec(
        id="probe",
        argv=("python3", "/probes.py"),
        env=machine,
        mounts=(
            models.Mount("/probes.py", PROBES, read_only=True),
            models.Mount(models.HOSTS_FOLDER, names_folder, read_only=True),
        ),
        tmp_bytes=SMALL,
    )
    folder = lab.folder("probe")
    await lab.sandboxes.start(spec, on=pod, folder=folder, log=lab.base / "probe.log")
    seen = results(await lab.said(folder))
    assert len(seen) >= 50, lab.log("probe")[-2000:]
    assert [f"{one['name']}: {one['result']}" for one in seen.values() if not one["refused"]] == []


def test_outside_the_same_attempts_succeed(machine: Mapping[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, PROBES, *HARMLESS], env={**machine, "HOME": "/tmp"}, capture_output=True, text=True
    )
    assert [one for one in results(done.stdout).values() if one["refused"]] == [], done.stderr
    assert len(results(done.stdout)) == len(HARMLESS)


async def test_a_source_that_a_service_swapped_for_a_link_is_refused(lab: Lab, machine: Mapping[str, str]) -> None:
    pod, home = await lab.pod(2), lab.base / "given"
    home.mkdir()
    (home / "inner").symlink_to(machine["STATE"])
    await lab.sandboxes.give(pod.ground, home)
    for mount in (models.Mount("/x", home / "inner"), models.Mount("/x", home, subpath="inner")):
        spec = models.SandboxSpec(id="swap", argv=("ls", "/x"), mounts=(mount,))
        with pytest.raises(errors.Invalid):
            await lab.sandboxes.start(spec, on=pod, folder=lab.folder("swap"), log=lab.base / "swap.log")


async def test_a_service_cannot_own_the_socket_that_leads_to_it(lab: Lab) -> None:
    pod = await lab.pod(2)
    relay = models.InwardRelay(lab.base / "up.sock", pod.address, 8888)
    await lab.sandboxes.set_relays(pod.ground, [relay])
    owner = relay.socket.stat()
    assert owner.st_uid == os.getuid()
    assert owner.st_mode & 0o777 == 0o600
    output = await lab.output("own", f"rm -f {relay.socket}; ls {lab.base}", on=pod)
    assert relay.socket.exists()
    assert "up.sock" not in output


async def test_a_folder_that_the_lab_has_open_is_not_inherited(lab: Lab, machine: Mapping[str, str]) -> None:
    descriptor = os.open(machine["STATE"], os.O_RDONLY | os.O_DIRECTORY)
    os.set_inheritable(descriptor, True)
    try:
        output = await lab.output("fds", "ls -l /proc/self/fd", on=await lab.pod(2))
    finally:
        os.close(descriptor)
    assert machine["STATE"] not in output


async def test_the_projects_uid_cannot_read_what_the_lab_kept_for_itself(lab: Lab, machine: Mapping[str, str]) -> None:
    """Even where a hole in the view shows it: a folder of the lab's, mounted on purpose."""
    pod = await lab.pod(2)
    if pod.ground.uid == os.getuid():
        pytest.skip("this machine gives projects no uid of their own")
    spec = models.SandboxSpec(id="hole", argv=(), mounts=(models.Mount("/hole", Path(machine["STATE"])),))
    folder = await lab.start("hole", "cat /hole/secret", on=pod, spec=spec)
    assert "Permission denied" in await lab.said(folder)
