"""Whose files are whose: handing folders from the lab's uid to a project's and back, in a user namespace that has both.

Links are never followed, and each file is opened before it is changed, so that a service that renames at the same time gains nothing.
"""

import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from etabli.sandbox import ids, namespaces

_ROOT_INSIDE, _LAB_GROUP_INSIDE, _PROJECT_INSIDE, _SHARED_INSIDE = 0, 0, 1, 2


@dataclass(frozen=True)
class HandOver:
    """Give a tree to a project, take it back, take it as a shared tree, or remove it."""

    path: Path
    identities: ids.Identities
    to: str  # `project`, `lab`, `shared` or `nobody`, which removes it.
    detached: ClassVar[bool] = False

    def perform(self) -> bool:
        if self.identities.shared_gid is None:
            self._act()  # The lab's own ids are the project's: only modes may have to change.
            return True
        uids = ((_ROOT_INSIDE, os.getuid()), (_PROJECT_INSIDE, self.identities.uid))
        gids = (
            (_LAB_GROUP_INSIDE, os.getgid()),
            (_PROJECT_INSIDE, self.identities.gid),
            (_SHARED_INSIDE, self.identities.shared_gid),
        )
        namespaces.run_mapped(self._act_inside, uids=uids, gids=gids)
        return True

    def _act_inside(self) -> NoReturn:
        os.setresgid(_LAB_GROUP_INSIDE, _LAB_GROUP_INSIDE, _LAB_GROUP_INSIDE)
        os.setresuid(_ROOT_INSIDE, _ROOT_INSIDE, _ROOT_INSIDE)
        self._act()
        os._exit(0)

    def _act(self) -> None:
        if self.to == "nobody":
            _remove(self.path)
            return
        uid, gid, opened = self._target()
        for _folder, folders, names, descriptor in os.fwalk(self.path, follow_symlinks=False):
            for name in (*names, *(one for one in folders if _is_link(one, descriptor))):
                _hand_over(name, uid, gid, opened=opened, within=descriptor)
            _hand_over(".", uid, gid, opened=opened, within=descriptor)
        if not self.path.is_dir() or self.path.is_symlink():
            _hand_over(str(self.path), uid, gid, opened=opened, within=None)

    def _target(self) -> tuple[int, int, bool]:
        if self.identities.shared_gid is None:
            return os.getuid(), os.getgid(), self.to == "shared"
        targets = {
            "project": (_PROJECT_INSIDE, _PROJECT_INSIDE, False),
            "lab": (_ROOT_INSIDE, _LAB_GROUP_INSIDE, False),
            "shared": (_ROOT_INSIDE, _SHARED_INSIDE, True),
        }
        return targets[self.to]


def _hand_over(name: str, uid: int, gid: int, *, opened: bool, within: int | None) -> None:
    """Change owner and, for a shared tree, let the group do what the owner may and others read what it may read."""
    descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISLNK(mode):
            os.chown(name, uid, gid, dir_fd=within, follow_symlinks=False)
            return
        same = f"/proc/self/fd/{descriptor}"  # The very file, whatever bears its name by now.
        os.chown(same, uid, gid)
        owner = (mode >> 6) & 7
        granted = (owner << 3) | (owner & 5) if opened else 0
        os.chmod(same, (mode & 0o1777) | granted)  # Never set-uid: nothing here needs it.
    finally:
        os.close(descriptor)


def _is_link(name: str, within: int) -> bool:
    return stat.S_ISLNK(os.stat(name, dir_fd=within, follow_symlinks=False).st_mode)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        _open_folders(path)
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _open_folders(path: Path) -> None:
    """Let the owner into every folder: without a user namespace, a folder of mode 0 hides what is in it from its own owner."""
    path.chmod(0o700)
    for entry in os.scandir(path):
        if entry.is_dir(follow_symlinks=False):
            _open_folders(Path(entry.path))
