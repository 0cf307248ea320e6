"""A command that has a /tmp of its own: same pid, no capability, its folders where they were."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from etabli.components import private_tmp

pytestmark = pytest.mark.binaries


def run(folder: Path, keep: tuple[Path, ...], script: str) -> str:
    argv = private_tmp.command(folder, keep, ("/bin/sh", "-c", script))
    return subprocess.run(argv, check=True, capture_output=True, text=True, env={"PATH": os.defpath}).stdout


def test_what_it_puts_in_tmp_stays_in_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    name = f"etabli-test-{os.getpid()}.sock"
    assert run(folder, (), f"echo hello > /tmp/{name}; cat /tmp/{name}") == "hello\n"
    assert (folder / name).read_text() == "hello\n"
    assert not (Path("/tmp") / name).exists()
    assert (folder / name).stat().st_mode & 0o777 == 0o600


def test_folders_that_are_kept_are_where_they_were(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    with tempfile.TemporaryDirectory(dir="/tmp") as kept, tempfile.TemporaryDirectory(dir="/tmp") as hidden:
        run(folder, (Path(kept),), f"echo x > {kept}/file; test ! -e {hidden}")
        assert (Path(kept) / "file").read_text() == "x\n"


def test_it_has_no_capability_and_is_the_same_process(tmp_path: Path) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    argv = private_tmp.command(folder, (), ("/bin/sh", "-c", "echo $$; grep Cap /proc/self/status; id -u"))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as child:
        said, _ = child.communicate()
    pid, *capabilities, uid = said.split("\n")[:-1]
    assert int(pid) == child.pid
    assert {line.split()[1].strip("0") for line in capabilities if not line.startswith("CapInh")} == {""}
    assert int(uid) == os.getuid()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    argv = private_tmp.command(tmp_path / "none", (), ("/bin/true",))
    answer = subprocess.run(argv, check=False, capture_output=True, text=True)
    assert answer.returncode != 0
    assert "none" in answer.stderr or "mount /tmp" in answer.stderr
