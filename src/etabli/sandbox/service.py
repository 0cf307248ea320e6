"""Everything that is done with sandboxes, in one class.

A ground, a pod's network and a sandbox are found again by what their folders record, so every call may be repeated, and by another
process than the one that made them. Calls that enter namespaces are done by a helper process (spawner.py), because only a process
of one thread may change its user namespace.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from etabli.kernel.clock import Clock
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import models
from etabli.sandbox.settings import SandboxSettings


class Sandboxes:
    """The sandboxes of one lab. `state` lasts; `run` may vanish with a reboot. Both are for the lab's uid alone."""

    def __init__(self, *, state: Path, run: Path, settings: SandboxSettings, clock: Clock) -> None:
        self._state, self._run, self._settings, self._clock = state, run, settings, clock

    async def ensure_project(self, project_id: str) -> models.Ground:
        """The ground of a project, made, found running, or healed. Unavailable where this machine cannot make one."""
        raise NotImplementedError

    async def ensure_enclave(self, name: str) -> models.Ground:
        """A ground whose only network is its own loopback, for components of the lab."""
        raise NotImplementedError

    async def remove_ground(self, ground_id: str) -> None:
        """End everything on a ground. Its uid stays its own for ever: files may still belong to it."""
        raise NotImplementedError

    async def ensure_pod(self, ground: models.Ground, pod_id: str, *, address: str) -> models.PodNetwork:
        """A pod's network at `address` (`ground.pod_address(n)`)."""
        raise NotImplementedError

    async def remove_pod(self, ground: models.Ground, pod_id: str) -> None:
        """Forget a pod's network, once its sandboxes ended."""
        raise NotImplementedError

    async def start(
        self, spec: models.SandboxSpec, *, on: models.PodNetwork | models.Ground, folder: Path, log: Path
    ) -> ProcessRef:
        """Start a sandbox that outlives us; its record is in `folder`, its output is appended to `log`.

        On a ground without a pod it shares the project's router network: for builds. Invalid where the specification cannot be
        run, Unavailable where the machine refuses.
        """
        raise NotImplementedError

    async def run(
        self, spec: models.SandboxSpec, *, on: models.PodNetwork | models.Ground, folder: Path, log: Path
    ) -> models.Inspection:
        """Start and wait; cancelled, it ends what it started."""
        raise NotImplementedError

    async def wait(self, folder: Path) -> models.Inspection:
        """Wait until the sandbox of `folder` ended."""
        raise NotImplementedError

    def inspect(self, folder: Path) -> models.Inspection:
        """The sandbox of `folder`, now. Quick: a few small files are read."""
        raise NotImplementedError

    async def stop(self, folder: Path, *, grace: timedelta) -> models.Inspection:
        """SIGTERM, and SIGKILL after `grace`. Already gone is success. The limits' records are removed."""
        raise NotImplementedError

    async def exec(self, folder: Path, argv: Sequence[str], *, timeout: timedelta) -> models.ExecResult:
        """Run a command inside a running sandbox, behind the same walls. NotFound where it does not run."""
        raise NotImplementedError

    async def start_component(
        self, argv: Sequence[str], *, on: models.Ground, env: Mapping[str, str], cwd: Path, log: Path
    ) -> ProcessRef:
        """Start a process of the lab itself in an enclave: detached, the lab's uid, no capability, the machine's files."""
        raise NotImplementedError

    async def set_services(self, ground: models.Ground, services: Sequence[models.VirtualService]) -> None:
        """Replace the Services of a ground, all at once."""
        raise NotImplementedError

    async def set_relays(
        self, ground: models.Ground, relays: Sequence[models.InwardRelay | models.OutwardRelay]
    ) -> None:
        """Replace the relays of a ground; connections of relays that stay are not touched."""
        raise NotImplementedError

    async def give(self, ground: models.Ground, path: Path) -> None:
        """Make `path`, and all under it, the ground's uid's own: a folder or file that sandboxes of it write or may read."""
        raise NotImplementedError

    async def take(self, ground: models.Ground, path: Path) -> None:
        """Make `path`, and all under it, the lab's own again: readable, and removable like any other folder."""
        raise NotImplementedError

    async def remove_tree(self, ground: models.Ground, path: Path) -> None:
        """Remove a folder whoever of the ground owns what is in it. Absent is success."""
        raise NotImplementedError

    def write_hosts(self, folder: Path, names: Mapping[str, str]) -> None:
        """Write host name → address to `folder`, which a pod's sandboxes mount at HOSTS_FOLDER; they see changes at once."""
        raise NotImplementedError

    def doctor(self) -> tuple[models.Finding, ...]:
        """What holds on this machine, per resource."""
        raise NotImplementedError

    async def close(self) -> None:
        """Let go; nothing that runs is ended."""
        raise NotImplementedError
