"""One container kept as its plan says: started or found, probed, and started again when it ends and shall.

Everything that must survive us is in its record, which is written before what it speaks of: the sandbox of an attempt is named by the
attempt, so a keeper that begins anew finds it running, finds it ended, or starts it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import structlog

from etabli.engines.process import launch, logs, models, probes, restarts
from etabli.engines.process.runtime import Runtime, whole
from etabli.engines.process.store import ContainerRecord
from etabli.kernel import errors
from etabli.sandbox import models as sandbox

log = structlog.get_logger()


@dataclass(frozen=True)
class Place:
    """Where a container runs: what its pod has prepared."""

    service_id: str
    pod: models.PodPlan
    network: sandbox.PodNetwork
    folders: Mapping[str, Path]  # Of volumes.
    hosts: Path
    sockets: Mapping[int, Path]  # Port → the socket that a probe asks.


class ContainerKeeper:
    """Keeps one container. `save` stores its record durably and tells whoever shows it."""

    def __init__(
        self,
        runtime: Runtime,
        plan: models.ContainerPlan,
        record: ContainerRecord,
        *,
        init: bool,
        save: Callable[[str, ContainerRecord], Awaitable[None]],
    ) -> None:
        self.plan, self.record, self.init = plan, record, init
        self.running = False  # Its sandbox is there and was not seen to end.
        self.waiting_seconds = 0.0  # Until the next attempt, while it waits for one.
        self._runtime, self._save = runtime, save

    async def keep(self, place: Place) -> bool:
        """Keep it until it shall not start again; whether it ended well."""
        policy = place.pod.restart
        if self.init and policy is models.Restart.ALWAYS:
            policy = models.Restart.ON_FAILURE  # An init container is done once it ended well.
        while not self.record.done:
            await self._wait_turn()
            end, cause = await self._attempt(place)
            before = self._folder(place)
            await self._runtime.sandboxes.stop(
                before, grace=timedelta()
            )  # What is left of its limits and its writings goes.
            record = restarts.ended(
                self.record, end, policy=policy, tries=place.pod.tries, now=self._runtime.clock.now(), cause=cause
            )
            log.info("container ended", service=place.service_id, container=self.plan.name, exit_code=record.exit_code)
            await self._update(record)
            await self._runtime.sandboxes.remove_tree(place.network.ground, before)
        return self.record.exit_code == 0

    def consumption(self, folder: Path) -> sandbox.Consumption:
        """What its sandbox, of `folder`, consumed, earlier attempts included."""
        now = self._runtime.sandboxes.inspect(folder).consumption if self.running else sandbox.Consumption()
        return replace(now, cpu_seconds=now.cpu_seconds + self.record.spent)

    async def _wait_turn(self) -> None:
        clock = self._runtime.clock
        wait = restarts.delay(self.record, clock.now())
        if wait:
            self.waiting_seconds = wait.total_seconds()
            await self._save(self.plan.name, self.record)
            await clock.sleep(wait)
            self.waiting_seconds = 0.0

    async def _attempt(self, place: Place) -> tuple[sandbox.Inspection, str]:
        """How the attempt ended, and why we ended it where we did."""
        folder = self._folder(place)
        found = self._runtime.sandboxes.inspect(folder)
        if found.phase not in (sandbox.Phase.RUNNING, sandbox.Phase.ABSENT):
            return found, ""
        if found.phase is sandbox.Phase.ABSENT:
            try:
                await whole(self._start(place, folder))
            except (errors.Refused, errors.Unavailable) as error:
                return sandbox.Inspection(sandbox.Phase.FAILED, message=error.message), ""
        self.running = True
        try:
            return await self._watch(place, folder)
        finally:
            self.running = False

    async def _start(self, place: Place, folder: Path) -> None:
        runtime, store = self._runtime, self._runtime.store
        root = await runtime.trees.root(self.plan.digest)
        env = self._environment(place, root)
        specification = launch.specification(
            self.plan,
            place.pod,
            id=f"{place.service_id}.{place.pod.name}.{self.plan.name}.{self.record.attempt}",
            root=root,
            env=env,
            folders=place.folders,
            hosts=place.hosts,
            memory_bytes=runtime.settings.default_memory_bytes,
        )
        written = logs.prepare(store.log(place.service_id, place.pod.name, self.plan.name))
        await runtime.sandboxes.start(specification, on=place.network, folder=folder, log=written)
        self.running = True
        await self._update(replace(self.record, started_at=runtime.clock.now()))

    async def _watch(self, place: Place, folder: Path) -> tuple[sandbox.Inspection, str]:
        """Wait for its end while its probes are asked."""
        ending = asyncio.ensure_future(self._runtime.sandboxes.wait(folder))
        probing = asyncio.ensure_future(self._probe(place, folder))
        try:
            await asyncio.wait((ending, probing), return_when=asyncio.FIRST_COMPLETED)
            if ending.done():
                return ending.result(), ""
            cause = probing.result()
            grace = timedelta(seconds=place.pod.grace_seconds)
            return await self._runtime.sandboxes.stop(folder, grace=grace), cause
        finally:
            for task in (ending, probing):
                task.cancel()
            await asyncio.gather(ending, probing, return_exceptions=True)

    async def _probe(self, place: Place, folder: Path) -> str:
        async def execute(argv: tuple[str, ...], patience: timedelta) -> bool | None:
            try:
                env = self._environment(place, await self._runtime.trees.root(self.plan.digest))
                cwd = self.plan.cwd or env["HOME"]
                answer = await self._runtime.sandboxes.exec(folder, argv, env=env, timeout=patience, cwd=cwd)
            except (errors.Refused, errors.Unavailable):
                return None
            return answer.exit_code == 0

        if self.init:
            await asyncio.Event().wait()  # Init containers have no probes: they end.
        asker = probes.Asker(place.sockets, execute, place.network.address)
        wanted = probes.of(self.plan)
        if self.record.ready:
            wanted = replace(wanted, startup=None)  # It was adopted, and had started long ago.
        return await probes.watch(wanted, asker, self._runtime.clock, self._ready)

    async def _ready(self, ready: bool) -> None:
        if ready != self.record.ready:
            await self._update(replace(self.record, ready=ready))

    async def _update(self, record: ContainerRecord) -> None:
        self.record = record
        await self._save(self.plan.name, record)

    def _environment(self, place: Place, root: sandbox.Root) -> Mapping[str, str]:
        gateway = place.network.ground.gateway
        return launch.environment(self.plan, place.pod, root=root, address=place.network.address, gateway=gateway)

    def _folder(self, place: Place) -> Path:
        return self._runtime.store.sandbox(place.service_id, place.pod.name, self.plan.name, self.record.attempt)
