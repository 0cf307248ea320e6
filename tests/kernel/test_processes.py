"""Processes found again without mistake."""

import dataclasses
import os
import select
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from etabli.kernel import processes


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_a_process_is_found_again_from_its_record(sleeper: subprocess.Popen[bytes], tmp_path: Path) -> None:
    processes.save(processes.reference(sleeper.pid), tmp_path / "pid")
    ref = processes.load(tmp_path / "pid")
    assert ref is not None
    assert processes.is_alive(ref)
    assert processes.send_signal(ref, signal.SIGKILL)
    sleeper.wait()
    assert not processes.is_alive(ref)
    assert not processes.send_signal(ref, signal.SIGKILL)


def test_a_zombie_is_gone(sleeper: subprocess.Popen[bytes]) -> None:
    ref = processes.reference(sleeper.pid)
    descriptor = processes.open_pidfd(ref)
    assert descriptor is not None
    sleeper.kill()
    with os.fdopen(descriptor) as pidfd:
        select.select([pidfd], [], [], 10)  # Readable once it ended; nobody has waited for it, so it is a zombie.
    assert not processes.is_alive(ref)


def test_a_pid_given_to_another_process_is_not_ours(sleeper: subprocess.Popen[bytes]) -> None:
    ref = processes.reference(sleeper.pid)
    assert not processes.is_alive(dataclasses.replace(ref, start_time=ref.start_time - 1))


def test_after_a_reboot_no_process_is_ours(sleeper: subprocess.Popen[bytes]) -> None:
    ref = processes.reference(sleeper.pid)
    assert not processes.is_alive(dataclasses.replace(ref, boot_id="another"))


def test_a_record_cut_short_is_no_process(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text('{"pid": 1')
    assert processes.load(tmp_path / "pid") is None
    assert processes.load(tmp_path / "absent") is None
