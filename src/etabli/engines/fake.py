"""An engine in memory: it reads manifests as `process` does and refuses what `process` refuses, and what runs is what a test says.

Applied services are ready at once, or wait for `drive` where `automatic` is off. A second `FakeEngine` on the same `World` is the
first one after a restart of the portal. It keeps the contract, and the contract's tests prove it.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from etabli.engines import changes, contract
from etabli.engines.process import admission, manifests, models, network

NAME = "fake"
HANDLE_VERSION = 1
PLENTY = contract.Resources(cpu=64, memory_bytes=1 << 40)
STARTED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_RESTING = (contract.Phase.STOPPED, contract.Phase.STOPPING)


@dataclass
class Ghost:
    """A service that does not run."""

    plan: models.Plan
    phase: contract.Phase
    message: str = ""
    pods: tuple[contract.PodStatus, ...] = ()
    keys: dict[str, str] = field(default_factory=dict)
    lines: list[contract.LogLine] = field(default_factory=list)
    requests: list[contract.ApplyRequest] = field(default_factory=list)


@dataclass
class World:
    """What outlives a portal. `wrote` wakes who follows a log."""

    ghosts: dict[str, Ghost] = field(default_factory=dict)
    hung_up: list[str] = field(default_factory=list)  # Projects, each time that their connections were to end.
    wrote: asyncio.Condition = field(default_factory=asyncio.Condition)


class FakeEngine:
    """Keeps `contract.Engine` without running anything."""

    name = NAME

    def __init__(
        self, world: World | None = None, *, automatic: bool = True, total: contract.Resources = PLENTY
    ) -> None:
        self.world = world or World()
        self.automatic = automatic
        self._ledger = admission.Ledger(total)
        self._changes = changes.Changes()
        for service_id, ghost in self.world.ghosts.items():
            if ghost.phase not in (*_RESTING, contract.Phase.WAITING):
                self._ledger.restore(service_id, ghost.plan.requests)

    def capabilities(self) -> contract.Capabilities:
        return contract.Capabilities(
            limits=dict.fromkeys(("memory", "cpu", "processes", "disk"), contract.Guarantee.NONE),
            internet=False,
            hangs_up=True,
        )

    async def check(self, request: contract.ApplyRequest | None = None) -> contract.Health:
        if request is not None:
            self._ledger.check(request.service_id, manifests.plan(request).requests)
        return contract.Health(ready=True, total=self._ledger.total, reserved=self._ledger.reserved)

    async def apply(self, request: contract.ApplyRequest) -> contract.Handle:
        plan = manifests.plan(request)
        ghost = self.world.ghosts.get(request.service_id)
        if ghost is not None and ghost.plan == plan and ghost.phase not in _RESTING:
            return handle(request.service_id)
        self._ledger.check(request.service_id, plan.requests)
        ghost = ghost or Ghost(plan, contract.Phase.WAITING)
        self.world.ghosts[request.service_id] = ghost
        ghost.plan = plan
        ghost.requests.append(request)
        for route in plan.routes:
            ghost.keys.setdefault(network.route_id(route), secrets.token_hex(16))
        if self._ledger.ask(request.service_id, plan.requests, lambda: self._start(request.service_id)):
            self._start(request.service_id)
        else:
            self.drive(
                request.service_id, contract.Phase.WAITING, message=self._ledger.waiting(request.service_id), pods=()
            )
        return handle(request.service_id)

    async def status(self, handle: contract.Handle) -> contract.Status:
        ghost = self.world.ghosts.get(handle.data["service"])
        if ghost is None:
            return contract.Status(contract.Phase.GONE)
        return contract.Status(
            phase=ghost.phase,
            message=ghost.message,
            pods=ghost.pods,
            routes=tuple(
                contract.Route(route.host, route.path, ghost.keys[network.route_id(route)])
                for route in ghost.plan.routes
            ),
        )

    def watch(self) -> AsyncIterator[contract.Change]:
        return self._changes.listen()

    async def stop(self, handle: contract.Handle, *, grace: timedelta) -> None:
        service_id = handle.data["service"]
        if service_id in self.world.ghosts:
            self._ledger.release(service_id)
            self.drive(service_id, contract.Phase.STOPPED, pods=())

    async def destroy(self, handle: contract.Handle) -> None:
        service_id = handle.data["service"]
        if self.world.ghosts.pop(service_id, None) is not None:
            self._ledger.release(service_id)
            self._changes.publish(service_id)
            await self._wake()

    async def logs(self, handle: contract.Handle, *, follow: bool = False) -> AsyncIterator[contract.LogLine]:
        told = 0
        while (ghost := self.world.ghosts.get(handle.data["service"])) is not None:
            for line in ghost.lines[told:]:
                told += 1
                yield line
            if not follow:
                return
            async with self.world.wrote:
                if told == len(ghost.lines) and handle.data["service"] in self.world.ghosts:
                    await self.world.wrote.wait()

    def drive(
        self,
        service_id: str,
        phase: contract.Phase,
        *,
        message: str = "",
        pods: tuple[contract.PodStatus, ...] | None = None,
    ) -> None:
        """Say where a service is now. Its pods follow unless they are given. For tests."""
        ghost = self.world.ghosts[service_id]
        ghost.phase, ghost.message = phase, message
        ghost.pods = _pods(ghost.plan, phase) if pods is None else pods
        self._changes.publish(service_id)

    async def write(self, service_id: str, text: str) -> None:
        """Write one line as the first container of the first pod would. For tests."""
        ghost = self.world.ghosts[service_id]
        pod = ghost.plan.pods[0]
        ghost.lines.append(contract.LogLine(pod.name, pod.containers[0].name, text))
        await self._wake()

    def _start(self, service_id: str) -> None:
        ghost = self.world.ghosts[service_id]
        ended = all(workload.kind is models.Workload.JOB for workload in ghost.plan.workloads)
        done = contract.Phase.FINISHED if ended else contract.Phase.READY
        if not ghost.plan.pods:
            done = contract.Phase.STOPPED
        self.drive(service_id, done if self.automatic else contract.Phase.STARTING)

    async def hang_up(self, project_id: str) -> None:
        """No connection is open to what does not run; tests read which project's would have ended."""
        self.world.hung_up.append(project_id)

    async def _wake(self) -> None:
        async with self.world.wrote:
            self.world.wrote.notify_all()


def handle(service_id: str) -> contract.Handle:
    """The handle of a service."""
    return contract.Handle(engine=NAME, version=HANDLE_VERSION, data={"service": service_id})


def _pods(plan: models.Plan, phase: contract.Phase) -> tuple[contract.PodStatus, ...]:
    one = contract.PodStatus(
        name="",
        phase=phase,
        ready=phase is contract.Phase.READY,
        exit_code=0 if phase is contract.Phase.FINISHED else None,
        started_at=STARTED_AT,
    )
    return tuple(replace(one, name=pod.name) for pod in plan.pods)
