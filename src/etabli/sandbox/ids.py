"""Host uids for projects: one subordinate id each, out of /etc/subuid and /etc/subgid, given once and never again.

The first id of the range is no project's: it is the group that shared trees belong to (`SubordinateIds.shared_gid`), so that a
service can write into its overlay of a tree that the lab owns. Where the machine has no range or no `newuidmap`, everything runs
with the lab's own uid: walls hold, but a hole in one of them opens all projects. `doctor` says so.
"""

import fcntl
import json
import os
import pwd
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from etabli.kernel import errors, files

SUBUID, SUBGID = Path("/etc/subuid"), Path("/etc/subgid")
INDEX_FILE = "grounds.json"
LAB_INSIDE = 999  # The lab's own uid in a project's user namespace: no root there, so that exec drops every capability.
SHARED_INSIDE = 998  # The shared trees' group in a project's user namespace.


@dataclass(frozen=True)
class SubordinateIds:
    """The ranges that this user was given: the first id of each, and how many both have."""

    uid: int
    gid: int
    count: int

    @property
    def shared_gid(self) -> int:
        return self.gid


@dataclass(frozen=True)
class Identities:
    """Who is who on one ground: what is written into its user namespace's maps."""

    uid: int  # The host uid of its sandboxes.
    gid: int
    shared_gid: int | None  # None where sandboxes have the lab's own ids.


def find_subordinate_ids() -> SubordinateIds | None:
    """The ranges of the user that we are; None where there is none, or no `newuidmap` to use it."""
    if not (shutil.which("newuidmap") and shutil.which("newgidmap")):
        return None
    uids, gids = _range(SUBUID), _range(SUBGID)
    if uids is None or gids is None:
        return None
    return SubordinateIds(uid=uids[0], gid=gids[0], count=min(uids[1], gids[1]))


def identities(index: int, subordinate: SubordinateIds | None) -> Identities:
    """Who the sandboxes of ground `index` (from 1) are. Refused where the range has no more."""
    if subordinate is None:
        return Identities(uid=os.getuid(), gid=os.getgid(), shared_gid=None)
    if index >= subordinate.count:
        raise errors.Refused(
            "this machine has no subordinate id left for another project",
            hint=f"add a range for `{_user_name()}` to /etc/subuid and /etc/subgid",
        )
    return Identities(uid=subordinate.uid + index, gid=subordinate.gid + index, shared_gid=subordinate.shared_gid)


def ground_index(state: Path, ground_id: str) -> int:
    """The number of a ground, from 1: given at its first use, its own for ever."""
    with _locked(state):
        path = state / INDEX_FILE
        known: dict[str, int] = json.loads(path.read_text()) if path.exists() else {}
        if ground_id not in known:
            known[ground_id] = max(known.values(), default=0) + 1
            files.write_atomically(path, json.dumps(known, indent=1))
        return known[ground_id]


def _range(path: Path) -> tuple[int, int] | None:
    """The first range of ours in a file of `name-or-uid:first:count` lines (subuid(5)), the largest where there are several."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return None
    ours = {_user_name(), str(os.getuid())}
    found = [line.split(":") for line in lines if line.split(":")[0] in ours]
    ranges = [(int(parts[1]), int(parts[2])) for parts in found if len(parts) == 3 and parts[2].strip().isdigit()]
    return max(ranges, key=lambda one: one[1], default=None)


def _user_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
