"""A tree on the disk: files copied in, made uniform, measured, digested, compared.

Two builds of one lock give the same content digest wherever they are made: there are two modes, nothing is setuid, every file has
one date. The date also makes compiled bytecode valid for ever, since an overlay's lower keeps it. Bytecode itself is not digested:
it follows from the sources, and `marshal` does not promise the same bytes twice.

Files may be hard links into the lab's cache of packages, so none is ever opened for writing: what is copied in is a new file.
"""

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from etabli.environments import models
from etabli.kernel import errors

# As sandboxes are given trees: the group that projects share may write over them, in an overlay. A file that is a hard link is part of
# trees in use, so a build must never take that right away, even for a moment.
PLAIN, EXECUTABLE = 0o664, 0o775
EPOCH = 946_684_800  # 2000-01-01: any date does, as long as it is the same; zip archives know none before 1980.
PYTHON_PLACEHOLDER = "lib/python3/"  # In `files/`: the tree's own `lib/python3.N/`.
BYTECODE = "__pycache__"
CHUNK = 1 << 20


def copy_in(tree: Path, files: Iterable[models.CopiedFile], *, python_folder: str) -> None:
    """Copy the environment's own files over what packages installed. Invalid where a link is in the way."""
    for file in files:
        relative = file.path
        if relative.startswith(PYTHON_PLACEHOLDER):
            relative = f"lib/{python_folder}/{relative.removeprefix(PYTHON_PLACEHOLDER)}"
        target = tree / relative
        for parent in reversed(target.relative_to(tree).parents):
            if (tree / parent).is_symlink():
                raise errors.Invalid(f"`files/{file.path}` would be written through the link `{parent}`")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # Never into a hard link.
        target.write_bytes(file.content)
        target.chmod(EXECUTABLE if file.executable else PLAIN)


def make_uniform(tree: Path) -> None:
    """Give every file and folder its plain mode and the one date. Links are left as they are.

    No process of the build runs any more: nobody swaps a name under our hands.
    """
    _open_folders(tree)
    for folder, _, names in os.walk(tree, topdown=False):
        for name in names:
            path = os.path.join(folder, name)
            kind = os.lstat(path).st_mode
            if stat.S_ISREG(kind):
                os.chmod(path, EXECUTABLE if kind & stat.S_IXUSR else PLAIN)
                os.utime(path, (EPOCH, EPOCH))
            elif not stat.S_ISLNK(kind):
                # A socket or a pipe that `postBuild` left: it means nothing in a tree, and would stop whoever reads it.
                os.unlink(path)
        os.utime(folder, (EPOCH, EPOCH))


def digest(tree: Path) -> str:
    """The digest of a tree's content, bytecode left out."""
    total = hashlib.sha256()
    for path, info in _walk(tree):
        if BYTECODE not in path.parts:
            total.update(_entry(tree, path, info).encode("utf-8", "surrogateescape"))
    return total.hexdigest()


def size(tree: Path) -> int:
    """The bytes that a tree's files hold, bytecode included."""
    return sum(info.st_size for _, info in _walk(tree))


def differences(one: Path, other: Path) -> tuple[str, ...]:
    """The paths, relative and sorted, at which two trees are not the same."""
    left, right = _entries(one), _entries(other)
    return tuple(sorted(path for path in left.keys() | right.keys() if left.get(path) != right.get(path)))


def remove(folder: Path) -> None:
    """Remove a folder of ours whatever modes a build left in it. Absent is success."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except PermissionError:
        _open_folders(folder)
        shutil.rmtree(folder)


def free_bytes(folder: Path) -> int:
    """What the file system of `folder` has left for us."""
    return shutil.disk_usage(folder).free


def _entries(tree: Path) -> dict[str, str]:
    return {path.as_posix(): _entry(tree, path, info) for path, info in _walk(tree) if BYTECODE not in path.parts}


def _entry(tree: Path, path: Path, info: os.stat_result) -> str:
    """One line for one path: its kind and mode, its content's digest or what it links to, its name."""
    if stat.S_ISLNK(info.st_mode):
        return f"link {os.readlink(tree / path)}\0{path.as_posix()}\n"
    content = hashlib.sha256()
    with (tree / path).open("rb") as file:
        while chunk := file.read(CHUNK):
            content.update(chunk)
    return f"{'program' if info.st_mode & stat.S_IXUSR else 'file'} {content.hexdigest()}\0{path.as_posix()}\n"


def _walk(tree: Path) -> Iterator[tuple[Path, os.stat_result]]:
    """Every file and link under `tree`, sorted, relative; folders are known by what they hold."""
    for folder, folders, names in os.walk(tree):
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        folders[:] = sorted(set(folders) - set(links))
        for name in sorted(names + links):
            path = Path(folder, name)
            yield path.relative_to(tree), path.lstat()


def _open_folders(root: Path) -> None:
    """Give every folder under `root` its plain mode: one without rights for its owner can be neither read nor emptied."""
    root.chmod(EXECUTABLE)
    for folder, folders, _ in os.walk(root):
        for name in folders:
            path = os.path.join(folder, name)
            if not os.path.islink(path):
                os.chmod(path, EXECUTABLE)
