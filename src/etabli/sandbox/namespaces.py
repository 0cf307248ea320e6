"""Entering and leaving namespaces, in a child of the spawner: the one way in for everything that is done on a ground."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

from etabli.kernel import errors, processes
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import ids, syscalls
from etabli.sandbox.models import INSIDE_UID

IdMap: TypeAlias = tuple[tuple[int, int], ...]  # (inside, outside), one id each.


def enter(ref: ProcessRef, kinds: int) -> None:
    """Enter namespaces of a process. Unavailable where it is gone."""
    descriptor = processes.open_pidfd(ref)
    if descriptor is None:
        raise errors.Unavailable("the project's ground is gone", hint="it is made again at the next try")
    try:
        syscalls.setns(descriptor, kinds)
    finally:
        os.close(descriptor)


def maps(identities: ids.Identities | None) -> tuple[IdMap, IdMap]:
    """The user and group maps of a ground's user namespace."""
    if identities is None:
        return ((os.getuid(), os.getuid()),), ((os.getgid(), os.getgid()),)
    if identities.shared_gid is None:
        return ((INSIDE_UID, os.getuid()),), ((INSIDE_UID, os.getgid()),)
    uids = ((ids.LAB_INSIDE, os.getuid()), (INSIDE_UID, identities.uid))
    # The lab's own group is left out: mapping it would forbid setgroups, and the lab's other groups would stay with every pod.
    gids = ((ids.SHARED_INSIDE, identities.shared_gid), (INSIDE_UID, identities.gid))
    return uids, gids


def take_shared_group() -> None:
    """Give up the lab's groups for the group of shared trees, where this user namespace has it."""
    try:
        os.setgroups([ids.SHARED_INSIDE])
        os.setresgid(ids.SHARED_INSIDE, ids.SHARED_INSIDE, ids.SHARED_INSIDE)
    except OSError:
        return  # The lab's own ids alone are mapped: the kernel forbids setgroups.


def run_mapped(body: Callable[[], NoReturn], *, uids: IdMap, gids: IdMap) -> None:
    """Run `body` in a child in a user namespace with these maps, until it executes something or ends."""
    _run(body, lambda: syscalls.unshare(syscalls.CLONE_NEWUSER), lambda pid: _write_maps(pid, uids, gids))


def run_joined(body: Callable[[], NoReturn], *, descriptor: int, kinds: int) -> None:
    """Run `body` in a child in the namespaces of the process of a pidfd, until it executes something or ends."""
    _run(body, lambda: syscalls.setns(descriptor, kinds), lambda _pid: None)


def _run(body: Callable[[], NoReturn], leave: Callable[[], None], prepare: Callable[[int], None]) -> None:
    """Fork; the child leaves its namespaces, the parent prepares it, the child runs `body`, whose error is raised here."""
    left, prepared, failed = os.pipe(), os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        _run_child(body, leave, left=left, prepared=prepared, failed=failed)
    for descriptor in (left[1], prepared[0], failed[1]):
        os.close(descriptor)
    if os.read(left[0], 1):
        prepare(pid)
        os.write(prepared[1], b"p")
    os.close(prepared[1])
    with os.fdopen(failed[0], "rb") as stream:
        message = stream.read().decode()
    if message:
        raise errors.Unavailable(message, hint="`etabli doctor` says what is missing on this machine")


def _run_child(
    body: Callable[[], NoReturn],
    leave: Callable[[], None],
    *,
    left: tuple[int, int],
    prepared: tuple[int, int],
    failed: tuple[int, int],
) -> NoReturn:
    for descriptor in (left[0], prepared[1], failed[0]):
        os.close(descriptor)
    try:
        leave()
        os.write(left[1], b"l")
        if not os.read(prepared[0], 1):
            os._exit(1)
        syscalls.close_all_but((failed[1],))
        body()
    except BaseException as error:  # noqa: BLE001 - The outermost frame of a child: its parent raises what happened.
        os.write(failed[1], f"namespaces cannot be made: {error}".encode())
    os._exit(1)


def _write_maps(pid: int, uids: IdMap, gids: IdMap) -> None:
    """Write a child's maps: itself where only our own ids are in them, else by newuidmap(1)."""
    if len(uids) == 1 and uids[0][1] == os.getuid():
        process = Path(f"/proc/{pid}")
        (process / "setgroups").write_text("deny")
        (process / "gid_map").write_text("".join(f"{inside} {outside} 1\n" for inside, outside in gids))
        (process / "uid_map").write_text("".join(f"{inside} {outside} 1\n" for inside, outside in uids))
        return
    for tool, mapping in (("newuidmap", uids), ("newgidmap", gids)):
        triples = [str(number) for inside, outside in mapping for number in (inside, outside, 1)]
        done = subprocess.run([tool, str(pid), *triples], capture_output=True, check=False)
        if done.returncode:
            raise errors.Unavailable(f"`{tool}` failed: {done.stderr.decode(errors='replace')[:1000].strip()}")
