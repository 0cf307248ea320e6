"""The holder of a ground: a process that only sleeps, and so keeps user, network and mount namespaces open.

Its mount namespace has a small tmpfs at `<ground>/ns`, where the network namespaces of pods are kept (one bind mount each) with
their /dev/shm: they live as long as the holder, and nobody outside sees them. A holder that died is replaced by one that joins
what its ground's other processes (agent, pasta, sandboxes) still keep open, so that running pods keep their network.
"""

import fcntl
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NoReturn

from etabli.kernel import errors, files, processes
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import background, ids, namespaces, network, syscalls

HOLDER_FILE = "holder.json"
KEPT_FOLDER = "ns"


@dataclass(frozen=True)
class MakeHolder:
    """Make the holder of a ground and, with `router`, its bridge. Answers a `Held`."""

    folder: Path
    identities: ids.Identities | None  # None for an enclave: the lab's ids, the same inside.
    router: network.Router | None
    heirs: Sequence[ProcessRef] = ()  # Processes that may still keep its user and network namespace open.
    cousins: Sequence[ProcessRef] = ()  # Processes that may still keep its user namespace open.
    detached: ClassVar[bool] = False

    def perform(self) -> "Held":
        lock = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
        fcntl.flock(lock, fcntl.LOCK_EX)  # A maker whose lab was killed may still be at work beside us.
        earlier = processes.load(self.folder / HOLDER_FILE)
        if earlier is not None and processes.is_alive(earlier):
            return Held(
                earlier, network_kept=False
            )  # Whether it is whole, nobody knows: what belongs to it is made again.
        (self.folder / HOLDER_FILE).unlink(missing_ok=True)
        return self._make()

    def _make(self) -> "Held":
        network_lives = (descriptor := _first_alive(self.heirs)) is not None
        descriptor = descriptor if network_lives else _first_alive(self.cousins)

        def hold() -> NoReturn:
            self._hold(network_lives=network_lives)

        if descriptor is None:
            uids, gids = namespaces.maps(self.identities)
            namespaces.run_mapped(hold, uids=uids, gids=gids)
        else:
            namespaces.run_joined(hold, descriptor=descriptor, kinds=syscalls.CLONE_NEWUSER | _network(network_lives))
        holder = processes.load(self.folder / HOLDER_FILE)
        if holder is None:
            raise errors.Unavailable(
                "the project's holder did not come up", hint="`etabli doctor` says what is missing"
            )
        return Held(holder, network_kept=network_lives)

    def _hold(self, *, network_lives: bool) -> NoReturn:
        """In the namespaces, as nobody's child: set them up, then sleep for ever."""
        os.setsid()
        background.redirect(Path(os.devnull))  # Who started the lab may wait for the end of a pipe that it gave us.
        namespaces.take_shared_group()
        syscalls.unshare(syscalls.CLONE_NEWNS | (0 if network_lives else syscalls.CLONE_NEWNET))
        # What the machine mounts later is seen here too, and what it unmounts is not kept busy.
        syscalls.mount("none", "/", flags=syscalls.MS_REC | syscalls.MS_SLAVE)
        kept = self.folder / KEPT_FOLDER
        syscalls.mount(
            "tmpfs", str(kept), kind="tmpfs", flags=syscalls.MS_NOSUID | syscalls.MS_NODEV, options="mode=755"
        )
        if not network_lives:
            network.set_up(self.router)
        syscalls.drop_capabilities()
        processes.save(processes.reference(os.getpid()), self.folder / HOLDER_FILE)
        os.chdir("/")
        sleep = shutil.which("sleep", path="/usr/bin:/bin") or "/bin/sleep"
        os.execve(sleep, ["etabli-holder", "infinity"], {})


@dataclass(frozen=True)
class Held:
    """A holder, and whether the network that it holds is the one that was there before."""

    holder: ProcessRef
    network_kept: bool


def _network(lives: bool) -> int:
    return syscalls.CLONE_NEWNET if lives else 0


def _first_alive(refs: Sequence[ProcessRef]) -> int | None:
    """A pidfd of the first process that still runs."""
    return next((descriptor for ref in refs if (descriptor := processes.open_pidfd(ref)) is not None), None)
