import sys
from pathlib import Path

import pytest

from etabli.environments import base
from etabli.kernel import errors


def interpreter(folder: Path, name: str, version: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
    (folder / name).chmod(0o755)


def test_this_machine_has_a_base_that_sandboxes_see() -> None:
    found = base.host()

    assert found.python.startswith("/usr/")
    assert found.python_folder.startswith("python3.")
    assert "machine=" in found.identity


def test_the_systems_own_python_comes_first_and_another_where_it_is_asked_for(tmp_path: Path) -> None:
    interpreter(tmp_path, "python3", "3.11.2")
    interpreter(tmp_path, "python3.13", "3.13.1")

    assert base.host(folders=(str(tmp_path),)).python_version == "3.11.2"
    assert base.host("3.13", folders=(str(tmp_path),)).python == str(tmp_path / "python3.13")


def test_an_absent_python_is_refused_with_what_there_is(tmp_path: Path) -> None:
    interpreter(tmp_path, "python3", "3.11.2")

    with pytest.raises(errors.Invalid, match=r"no Python 3\.12 .* it has 3\.11") as caught:
        base.host("3.12", folders=(str(tmp_path),))
    assert list(caught.value.fields) == ["runtime.txt"]


def test_a_machine_without_a_recent_python_is_told(tmp_path: Path) -> None:
    interpreter(tmp_path, "python3", "3.9.2")
    interpreter(tmp_path, "python3.12", "not a version")

    with pytest.raises(errors.Unavailable, match=r"no Python 3\.11 or newer"):
        base.host(folders=(str(tmp_path),))


def test_an_interpreter_is_asked_without_running_anything_of_ours(tmp_path: Path) -> None:
    (tmp_path / "python3").symlink_to(sys.executable)

    assert base.host(folders=(str(tmp_path),)).python_version.startswith("3.")
