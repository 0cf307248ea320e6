"""One pod kept: its network and volumes, its init containers one after the other, then its containers together.

`pod.json` is there before anything of the pod is, and goes last: what a killed portal left half-made is found by it and ended.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog

from etabli.engines import contract
from etabli.engines.process import container_keeper, logs, materials, models, network, probes, store
from etabli.engines.process.container_keeper import ContainerKeeper
from etabli.engines.process.grounds import Grounds
from etabli.engines.process.restarts import WAITING
from etabli.engines.process.runtime import Runtime, whole
from etabli.kernel import errors
from etabli.sandbox import models as sandbox

LONGEST_RETRY = 60  # Seconds between tries to prepare a pod.
MKDIR = ("/bin/mkdir", "-p", "--")
log = structlog.get_logger()


class PodKeeper:
    """Keeps one pod. `changed` is called at each change that people or the network may see."""

    def __init__(
        self,
        runtime: Runtime,
        grounds: Grounds,
        plan: models.Plan,
        record: store.PodRecord,
        *,
        changed: Callable[[], None],
    ) -> None:
        self.record = record
        self._runtime, self._grounds, self._changed = runtime, grounds, changed
        self._service_id, self._project_id = plan.service_id, plan.project.id
        self._containers = {
            one.name: ContainerKeeper(
                runtime,
                one,
                record.containers.get(one.name, store.ContainerRecord()),
                init=one in record.plan.inits,
                save=self._save_container,
            )
            for one in (*record.plan.inits, *record.plan.containers)
        }
        self._problem = ""  # Why it cannot be prepared.
        self._saving = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    @property
    def ready(self) -> bool:
        """Whether all its containers are."""
        return all(one.running and one.record.ready for one in self._mains)

    @property
    def finished(self) -> bool:
        """Whether nothing of it is started again."""
        return all(one.record.done for one in self._mains) or self._init_failed

    def adopt(self) -> None:
        """Know at once what runs of it already: its network goes on without a gap."""
        for one in self._mains:
            if one.record.started_at is not None:
                found = self._runtime.sandboxes.inspect(self._folder(one))
                one.running = found.phase is sandbox.Phase.RUNNING

    def start(self) -> None:
        """Begin to keep it, in the background."""
        self._task = asyncio.create_task(self._run(), name=f"pod {self.record.plan.name}")

    async def leave(self) -> None:
        """Let go of it; what runs goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def retire(self, grace_seconds: float | None) -> None:
        """End it and remove all of it but its logs. `grace_seconds` None is its own."""
        await self.leave()
        grace = timedelta(seconds=self.record.plan.grace_seconds if grace_seconds is None else grace_seconds)
        await retire(self._runtime, self._grounds, self._service_id, self._project_id, self.record.plan.name, grace)

    def view(self, ground: sandbox.Ground) -> network.Running:
        """The pod as its network sees it."""
        address = ground.pod_address(self.record.number)
        return network.Running(self.record.plan, address, ready=self.ready, probes=self._sockets())

    def status(self, *, served: bool) -> contract.PodStatus:
        """The pod now. `served` tells whether its network knows that it is ready."""
        phase, reason, message = self._standing(served=served)
        codes = [one.record.exit_code for one in self._containers.values() if one.record.exit_code is not None]
        used = [one.consumption(self._folder(one)) for one in self._containers.values()]
        return contract.PodStatus(
            name=self.record.plan.name,
            phase=phase,
            ready=phase is contract.Phase.READY,
            restarts=sum(one.record.restarts for one in self._containers.values()),
            reason=reason,
            message=message,
            exit_code=next((code for code in codes if code), codes[0] if codes else None),
            started_at=min((one.record.started_at for one in self._mains if one.record.started_at), default=None),
            usage=contract.Usage(
                cpu_seconds=sum(one.cpu_seconds for one in used), memory_bytes=sum(one.memory_bytes for one in used)
            ),
        )

    @property
    def _mains(self) -> list[ContainerKeeper]:
        return [one for one in self._containers.values() if not one.init]

    @property
    def _init_failed(self) -> bool:
        return any(one.init and one.record.done and one.record.exit_code for one in self._containers.values())

    def _standing(self, *, served: bool) -> tuple[contract.Phase, str, str]:
        """Phase, reason and message: the worst of its containers' first."""
        if self._problem:
            return contract.Phase.FAILED, "", self._problem
        for one in self._containers.values():
            if one.waiting_seconds:
                words = f"{self._told(one)}; it starts again in {one.waiting_seconds:.0f} s"
                return contract.Phase.FAILED, WAITING, words
            if one.record.done and one.record.exit_code:
                return contract.Phase.FAILED, one.record.reason, self._told(one)
        if self.finished:
            return contract.Phase.FINISHED, "Completed", ""
        again = next((one for one in self._mains if one.record.restarts), None)
        reason, message = (again.record.reason, self._told(again)) if again else ("", "")
        return contract.Phase.READY if self.ready and served else contract.Phase.STARTING, reason, message

    def _told(self, one: ContainerKeeper) -> str:
        """What became of a container, with its own last words."""
        last = logs.last_line(self._runtime.store.log(self._service_id, self.record.plan.name, one.plan.name))
        words = f": {last}" if last and one.record.exit_code else ""
        return f"`{one.plan.name}`: {one.record.message}{words}"

    async def _run(self) -> None:
        tries = 0
        while True:
            try:
                await self._keep(await whole(self._prepare()))
                return
            except errors.EtabliError as error:
                self._problem = error.message
            except OSError as error:
                self._problem = f"the machine refuses: {error.strerror}"
            except Exception:
                log.exception("pod could not be kept", service=self._service_id, pod=self.record.plan.name)
                self._problem = "it could not be prepared; the portal's log says why"
            self._changed()
            tries += 1
            await self._runtime.clock.sleep(timedelta(seconds=min(2**tries, LONGEST_RETRY)))

    async def _keep(self, place: container_keeper.Place) -> None:
        self._problem = ""
        inits = [one for one in self._containers.values() if one.init]
        for one in inits:
            if not await one.keep(place):
                self._changed()
                return
        keeping = [asyncio.ensure_future(one.keep(place)) for one in self._mains]
        try:
            await asyncio.gather(*keeping)
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
        self._changed()

    async def _prepare(self) -> container_keeper.Place:
        """Network, volumes and logs: each found where it is there already."""
        ground = await self._grounds.ground(self._project_id)
        preparing = materials.prepare(self._runtime, ground, self._service_id, self.record.plan)
        pod_network, folders, _ = await asyncio.gather(
            self._grounds.pod(self._project_id, pod_id(self._service_id, self.record.plan.name)),
            preparing,
            self._grounds.refresh(self._project_id),  # Its names and the sockets of its probes are there before it is.
        )
        place = container_keeper.Place(
            service_id=self._service_id,
            pod=self.record.plan,
            network=pod_network,
            folders=folders,
            hosts=self._runtime.store.hosts(self._project_id),
            sockets=self._sockets(),
        )
        await self._make_sub_paths(place)
        return place

    async def _make_sub_paths(self, place: container_keeper.Place) -> None:
        """Inside a sandbox: what a service wrote in its volume may lead anywhere, and there it leads nowhere."""
        missing = materials.missing_sub_paths(place.folders, place.pod)
        if not missing or any(one.record.started_at for one in self._containers.values()):
            return
        own = self._runtime.store.pod(self._service_id, place.pod.name)
        folder = own / "run" / ".sub-paths"
        mounts = tuple(
            sandbox.Mount(target=f"/mnt/{name}", source=place.folders[name]) for name in {name for name, _ in missing}
        )
        await self._runtime.sandboxes.run(
            sandbox.SandboxSpec(
                id=f"{self._service_id}.{place.pod.name}.sub-paths",
                argv=(*MKDIR, *(f"/mnt/{name}/{sub_path}" for name, sub_path in missing)),
                mounts=mounts,
            ),
            on=place.network,
            folder=folder,
            log=own / "sub-paths.log",
        )
        await self._runtime.sandboxes.remove_tree(place.network.ground, folder)

    def _sockets(self) -> dict[int, Path]:
        """One for each port that a probe asks; the name tells nothing and is short, as sockets' paths must be."""
        ports = {port for one in self._mains for port in probes.of(one.plan).ports()}
        folder = self._runtime.layout.run / "probes"
        return {port: folder / _digest(self._service_id, self.record.plan.name, str(port)) for port in ports}

    def _folder(self, one: ContainerKeeper) -> Path:
        return self._runtime.store.sandbox(self._service_id, self.record.plan.name, one.plan.name, one.record.attempt)

    async def _save_container(self, name: str, record: store.ContainerRecord) -> None:
        self.record = replace(self.record, containers={**self.record.containers, name: record})
        async with self._saving:  # The later of two is written last.
            await asyncio.to_thread(self._runtime.store.save_pod, self._service_id, self.record)
        self._changed()


async def retire(
    runtime: Runtime, grounds: Grounds, service_id: str, project_id: str, pod: str, grace: timedelta
) -> None:
    """End and remove a pod, whole or half-made, whose keeper is gone. Repeating it is safe."""
    run = runtime.store.pod(service_id, pod) / "run"
    folders = await asyncio.to_thread(_folders, run)
    await asyncio.gather(*(runtime.sandboxes.stop(folder, grace=grace) for folder in folders))
    ground = await grounds.ground(project_id)
    await grounds.remove_pod(project_id, pod_id(service_id, pod))
    await runtime.sandboxes.remove_tree(ground, runtime.store.pod(service_id, pod))
    grounds.forget_pod(project_id, pod_id(service_id, pod))


def pod_id(service_id: str, pod: str) -> str:
    """What a pod's network is called."""
    return f"{service_id}-{_digest(pod)[:10]}"


def _folders(run: Path) -> list[Path]:
    return sorted(path for path in run.iterdir() if path.is_dir()) if run.is_dir() else []


def _digest(*words: str) -> str:
    return hashlib.sha256("/".join(words).encode()).hexdigest()[:20]
