"""One service kept as it is wanted: load what is recorded, act on what differs, apply what people see.

A controller sleeps until something changes: what is wanted, a pod, its turn to start. Each turn may be repeated: what is there is
found, what is missing is made, what is too much is ended.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta

import structlog

from etabli.engines import contract
from etabli.engines.process import models, network, pod_keeper, store
from etabli.engines.process.admission import Ledger
from etabli.engines.process.grounds import Grounds
from etabli.engines.process.pod_keeper import PodKeeper
from etabli.engines.process.runtime import Runtime
from etabli.kernel import errors
from etabli.sandbox import models as sandbox

LONGEST_RETRY = 60  # Seconds between turns that fail.
log = structlog.get_logger()


@dataclass(frozen=True)
class Shared:
    """What the controllers of one engine share. `changed` tells the service's watchers."""

    runtime: Runtime
    grounds: Grounds
    ledger: Ledger
    changed: Callable[[str], None]


class Controller:
    """Keeps one service. `record` is what is wanted; whoever changes it stores it first."""

    def __init__(self, shared: Shared, record: store.Record) -> None:
        self.record = record
        self._wanted = _generations(record.plan)
        self._shared = shared
        self._pods: dict[str, PodKeeper] = {}
        self._remains: set[str] = set()  # Pods half-made or half-removed by an earlier process.
        self._served: frozenset[str] = frozenset()  # Pods that the network knows as ready.
        self._waiting = False  # For its turn.
        self._problem = ""
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def service_id(self) -> str:
        return self.record.plan.service_id

    @property
    def project_id(self) -> str:
        return self.record.plan.project.id

    @property
    def has_pods(self) -> bool:
        return bool(self._pods)

    def adopt(self) -> None:
        """Know the pods that an earlier process recorded."""
        runtime = self._shared.runtime
        for name in runtime.store.pods(self.service_id):
            record = runtime.store.load_pod(self.service_id, name)
            if record is None:
                self._remains.add(name)
                continue
            self._shared.grounds.restore(self.project_id, pod_keeper.pod_id(self.service_id, name), record.number)
            self._pods[name] = self._keeper(record)
            self._pods[name].adopt()
        self._served = frozenset(name for name, keeper in self._pods.items() if keeper.ready)

    def start(self, gone: Callable[["Controller"], Awaitable[None]]) -> None:
        """Begin; `gone` is called once the service is destroyed."""
        for keeper in self._pods.values():
            if self.record.wanted is store.Wanted.RUNNING:
                keeper.start()
        self._task = asyncio.create_task(self._run(gone), name=f"service {self.service_id}")

    def want(self, record: store.Record) -> None:
        """Something else is wanted now."""
        self.record = record
        self._wanted = _generations(record.plan)
        self.wake()

    def wake(self) -> None:
        self._wake.set()

    async def leave(self) -> None:
        """Let go; what runs goes on."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.gather(*(keeper.leave() for keeper in self._pods.values()))

    def view(self, ground: sandbox.Ground) -> network.View:
        """The service as its project's network, on `ground`, sees it."""
        runtime = self._shared.runtime
        return network.View(
            plan=self.record.plan,
            addresses={name: ground.service_address(number) for name, number in self.record.addresses.items()},
            sockets={route: runtime.layout.upstreams / key for route, key in self.record.keys.items()},
            pods=tuple(keeper.view(ground) for keeper in self._pods.values()),
        )

    def status(self) -> contract.Status:
        """The service now."""
        pods = tuple(keeper.status(served=name in self._served) for name, keeper in sorted(self._pods.items()))
        phase, message = self._standing(pods)
        return contract.Status(
            phase=phase,
            message=message,
            pods=pods,
            routes=tuple(
                contract.Route(route.host, route.path, self.record.keys[network.route_id(route)])
                for route in self.record.plan.routes
            ),
            usage=contract.Usage(
                cpu_seconds=sum(pod.usage.cpu_seconds for pod in pods),
                memory_bytes=sum(pod.usage.memory_bytes for pod in pods),
            ),
        )

    def _standing(self, pods: tuple[contract.PodStatus, ...]) -> tuple[contract.Phase, str]:
        if self.record.wanted is not store.Wanted.RUNNING:
            resting = self.record.wanted is store.Wanted.STOPPED and not self._pods
            return (contract.Phase.STOPPED if resting else contract.Phase.STOPPING), self._problem
        if self._problem:
            return contract.Phase.FAILED, self._problem
        if self._waiting:
            return contract.Phase.WAITING, self._shared.ledger.waiting(self.service_id)
        for pod in pods:
            if pod.phase is contract.Phase.FAILED:
                return contract.Phase.FAILED, pod.message
        if not self._wanted:  # The chart itself says that nothing runs: `global.suspend`.
            return (contract.Phase.STOPPING if self._pods else contract.Phase.STOPPED), ""
        if self._stale() or len(pods) < len(self._wanted):
            return contract.Phase.STARTING, ""
        phases = {pod.phase for pod in pods}
        if phases == {contract.Phase.FINISHED}:
            return contract.Phase.FINISHED, ""
        settled = phases <= {contract.Phase.READY, contract.Phase.FINISHED}
        return (contract.Phase.READY if settled else contract.Phase.STARTING), ""

    async def _run(self, gone: Callable[["Controller"], Awaitable[None]]) -> None:
        failures = 0
        while True:
            self._wake.clear()
            try:
                if await self._turn():
                    await gone(self)
                    return
                failures, self._problem = 0, ""
            except errors.EtabliError as error:
                failures, self._problem = failures + 1, error.message
            except OSError as error:
                failures, self._problem = failures + 1, f"the machine refuses: {error.strerror}"
            except Exception:
                log.exception("service could not be kept", service=self.service_id)
                failures, self._problem = failures + 1, "it could not be kept; the portal's log says why"
            self._shared.changed(self.service_id)
            await self._sleep(failures)

    async def _sleep(self, failures: int) -> None:
        """Until something changes; after a failure, for a while at most."""
        if not failures:
            await self._wake.wait()
            return
        pause = timedelta(seconds=min(2**failures, LONGEST_RETRY))
        waking = asyncio.ensure_future(self._wake.wait())
        pausing = asyncio.ensure_future(self._shared.runtime.clock.sleep(pause))
        try:
            await asyncio.wait((waking, pausing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            waking.cancel()
            pausing.cancel()

    async def _turn(self) -> bool:
        """One step towards what is wanted; whether the service is gone."""
        record = self.record
        if record.wanted is not store.Wanted.RUNNING:
            await self._rest(record)
            if record.wanted is store.Wanted.DESTROYED and self.record is record:
                await self._remove()
                return True
            return False
        plan = record.plan
        self._waiting = not self._shared.ledger.ask(self.service_id, plan.requests, self.wake)
        if self._waiting:
            return False
        await self._clear_remains()
        await self._retire(self._stale(), None)
        for pod in _startable(plan, self._pods):
            await self._begin(pod)
        await self._serve()
        return False

    async def _rest(self, record: store.Record) -> None:
        """End every pod and give everything back but volumes and logs."""
        grounds = self._shared.grounds
        await self._clear_remains()
        await self._retire(list(self._pods), record.grace_seconds)
        self._shared.ledger.release(self.service_id)
        self._served = frozenset()
        await grounds.refresh(self.project_id)
        if record.wanted is store.Wanted.STOPPED:
            await grounds.leave(self.project_id)

    async def _clear_remains(self) -> None:
        runtime, grounds = self._shared.runtime, self._shared.grounds
        for name in tuple(self._remains):
            await pod_keeper.retire(runtime, grounds, self.service_id, self.project_id, name, timedelta())
            self._remains.discard(name)

    async def _retire(self, names: list[str], grace_seconds: float | None) -> None:
        if not names:
            return
        self._served -= set(names)
        self._shared.changed(self.service_id)
        await asyncio.gather(*(self._pods[name].retire(grace_seconds) for name in names))
        for name in names:
            del self._pods[name]

    async def _remove(self) -> None:
        """Volumes, logs and record; then the project's ground, where nothing else runs on it."""
        runtime, grounds = self._shared.runtime, self._shared.grounds
        volumes = runtime.store.service(self.service_id) / "volumes"
        if await asyncio.to_thread(volumes.is_dir):
            await runtime.sandboxes.remove_tree(await grounds.ground(self.project_id), volumes)
        await asyncio.to_thread(runtime.store.forget, self.service_id)
        await grounds.leave(self.project_id)

    async def _begin(self, pod: models.PodPlan) -> None:
        grounds, runtime = self._shared.grounds, self._shared.runtime
        number = grounds.number(self.project_id, pod_keeper.pod_id(self.service_id, pod.name))
        record = store.PodRecord(plan=pod, generation=models.generation(pod), number=number)
        await asyncio.to_thread(runtime.store.save_pod, self.service_id, record)
        self._pods[pod.name] = self._keeper(record)
        self._pods[pod.name].start()

    async def _serve(self) -> None:
        """Show the network who is ready, then people."""
        ready = frozenset(name for name, keeper in self._pods.items() if keeper.ready)
        await self._shared.grounds.refresh(self.project_id)
        self._served = ready

    def _stale(self) -> list[str]:
        """Pods that are not, or no longer, what is wanted."""
        return [name for name, keeper in self._pods.items() if self._wanted.get(name) != keeper.record.generation]

    def _keeper(self, record: store.PodRecord) -> PodKeeper:
        return PodKeeper(self._shared.runtime, self._shared.grounds, self.record.plan, record, changed=self.wake)


def _generations(plan: models.Plan) -> Mapping[str, str]:
    return {pod.name: models.generation(pod) for pod in plan.pods}


def _startable(plan: models.Plan, pods: dict[str, PodKeeper]) -> Iterator[models.PodPlan]:
    """Pods that are missing and whose turn it is."""
    for workload in plan.workloads:
        active = sum(1 for pod in workload.pods if pod.name in pods and not pods[pod.name].finished)
        for pod in workload.pods:
            keeper = pods.get(pod.name)
            if keeper is None and (not workload.parallelism or active < workload.parallelism):
                active += 1
                yield pod
            if workload.ordered and (keeper is None or not keeper.ready):
                break
