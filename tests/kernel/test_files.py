"""Files that hold state."""

import os
from pathlib import Path

import pytest

from etabli.kernel import files


def test_a_file_is_replaced_whole_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    umask = os.umask(0)
    try:
        files.write_atomically(path, "one")
        files.write_atomically(path, "two")
    finally:
        os.umask(umask)
    assert path.read_text() == "two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.mkdir()
    with pytest.raises(OSError, match=r"directory|Is a"):
        files.write_atomically(path, "content")
    assert list(tmp_path.iterdir()) == [path]


def test_a_key_is_made_once(tmp_path: Path) -> None:
    path = tmp_path / "key"
    assert files.write_once(path, b"first") == b"first"
    assert files.write_once(path, b"second") == b"first"


def test_a_private_folder_is_closed_even_where_it_was_open(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True, mode=0o777)
    files.private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
