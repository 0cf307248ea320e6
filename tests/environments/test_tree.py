import os
from pathlib import Path

import pytest

from etabli.environments import tree
from etabli.environments.models import CopiedFile
from etabli.kernel import errors


def grow(root: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def test_a_digest_sees_contents_names_rights_and_links_and_nothing_else(tmp_path: Path) -> None:
    one = grow(tmp_path / "one", {"a": "1", "b/c": "2"})
    same = grow(tmp_path / "same", {"b/c": "2", "a": "1", "b/__pycache__/c.pyc": "derived"})
    os.utime(same / "a", (1, 1))
    assert tree.digest(one) == tree.digest(same)

    for number, change in enumerate([{"a": "9"}, {"d": ""}]):
        assert tree.digest(grow(tmp_path / f"other{number}", {"a": "1", "b/c": "2", **change})) != tree.digest(one)
    (same / "a").chmod(0o755)
    assert tree.differences(one, same) == ("a",)
    (one / "link").symlink_to("a")
    (same / "link").symlink_to("b")
    assert tree.differences(one, same) == ("a", "link")


def test_a_uniform_tree_has_one_date_two_modes_and_nothing_special(tmp_path: Path) -> None:
    root = grow(tmp_path / "tree", {"bin/run": "", "secret": "", "shut/inside": ""})
    (root / "bin/run").chmod(0o4700)
    (root / "secret").chmod(0o600)
    os.mkfifo(root / "pipe")
    (root / "dangling").symlink_to("/nonexistent")
    (root / "shut").chmod(0)

    tree.make_uniform(root)

    modes = {
        path.relative_to(root).as_posix(): path.lstat().st_mode & 0o7777
        for path in root.rglob("*")
        if not path.is_symlink()
    }
    assert modes == {"bin": 0o775, "bin/run": 0o775, "secret": 0o664, "shut": 0o775, "shut/inside": 0o664}
    assert {path.lstat().st_mtime for path in root.rglob("*") if not path.is_symlink()} == {tree.EPOCH}


def test_copying_never_writes_into_a_file_that_others_share(tmp_path: Path) -> None:
    cached = tmp_path / "cached"
    cached.write_text("theirs")
    root = tmp_path / "tree"
    root.mkdir()
    (root / "module.py").hardlink_to(cached)

    tree.copy_in(root, [CopiedFile("module.py", b"ours", executable=False)], python_folder="python3.11")

    assert (cached.read_text(), (root / "module.py").read_text()) == ("theirs", "ours")


def test_copying_never_follows_a_link_out_of_the_tree(tmp_path: Path) -> None:
    root, outside = tmp_path / "tree", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "etc").symlink_to(outside)
    (root / "file").symlink_to(outside / "target")

    with pytest.raises(errors.Invalid):
        tree.copy_in(root, [CopiedFile("etc/x", b"", executable=False)], python_folder="python3.11")
    tree.copy_in(root, [CopiedFile("file", b"", executable=False)], python_folder="python3.11")

    assert list(outside.iterdir()) == []


def test_the_python_folder_is_the_trees_own(tmp_path: Path) -> None:
    tree.copy_in(tmp_path, [CopiedFile("lib/python3/x.pth", b"", executable=False)], python_folder="python3.13")

    assert (tmp_path / "lib/python3.13/x.pth").exists()


def test_a_folder_that_shuts_its_owner_out_can_be_removed(tmp_path: Path) -> None:
    root = grow(tmp_path / "tree", {"a/b/c": ""})
    (root / "a/b").chmod(0)
    (root / "a").chmod(0)

    tree.remove(root)
    tree.remove(root)

    assert not root.exists()
