"""The ground of each project: made when its first pod starts, told what runs on it, looked after, given back after the last pod.

Whoever changes something that the network shows calls `refresh`; the tables are computed anew from what runs and handed over only
where they differ. The agent or the holder of a project may be killed at any moment: `heal` brings them back and tells them all again.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import structlog

from etabli.engines.process import network
from etabli.engines.process.runtime import Runtime
from etabli.kernel import errors
from etabli.sandbox import models as sandbox

POD_NUMBERS = range(2, 255)  # Of a /24; 1 is the gateway.
log = structlog.get_logger()

Views = Callable[[str, sandbox.Ground], Iterable[network.View]]


@dataclass
class _Project:
    ground: sandbox.Ground | None = None
    told: network.Tables | None = None
    numbers: dict[str, int] = field(default_factory=dict)  # Pod → its address's.
    networks: dict[str, str] = field(default_factory=dict)  # Pod network → address: those that exist.
    idle_since: float | None = None  # When its last pod went, on the clock that cannot jump.
    asked: int = 0  # Refreshes, counted.
    answered: int = 0  # The last refresh that was asked before the last telling began.
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)  # Of the ground's being there: making, healing, ending it.
    telling: asyncio.Lock = field(default_factory=asyncio.Lock)  # Taken after `lock` where both are.


class Grounds:
    """Every project's. `views` answers what runs in a project now."""

    def __init__(self, runtime: Runtime, views: Views) -> None:
        self._runtime, self._views = runtime, views
        self._projects: dict[str, _Project] = {}

    async def ground(self, project_id: str) -> sandbox.Ground:
        """The project's ground, made where it is not there. Unavailable where this machine cannot."""
        project = self._project(project_id)
        async with project.lock:
            if project.ground is None:
                project.ground = await self._runtime.sandboxes.ensure_project(project_id)
            return project.ground

    def number(self, project_id: str, pod_id: str) -> int:
        """A number for a pod's address, free in its project. Unavailable where there is none."""
        numbers = self._project(project_id).numbers
        self._project(project_id).idle_since = None
        if pod_id not in numbers:
            taken = set(numbers.values())
            free = next((number for number in POD_NUMBERS if number not in taken), None)
            if free is None:
                raise errors.Unavailable("the project has no address left for another pod", hint="stop a service first")
            numbers[pod_id] = free
        return numbers[pod_id]

    def restore(self, project_id: str, pod_id: str, number: int) -> None:
        """Know the number of a pod that was there before this process."""
        self._project(project_id).numbers[pod_id] = number

    async def pod(self, project_id: str, pod_id: str) -> sandbox.PodNetwork:
        """The pod's network, made where it is not there."""
        ground = await self.ground(project_id)
        address = ground.pod_address(self.number(project_id, pod_id))
        made = await self._runtime.sandboxes.ensure_pod(ground, pod_id, address=address)
        self._project(project_id).networks[pod_id] = address
        return made

    async def remove_pod(self, project_id: str, pod_id: str) -> None:
        """Remove a pod's network; its number stays its own until it is forgotten."""
        await self._runtime.sandboxes.remove_pod(await self.ground(project_id), pod_id)
        self._project(project_id).networks.pop(pod_id, None)

    def forget_pod(self, project_id: str, pod_id: str) -> None:
        """Give a pod's number back."""
        self._project(project_id).numbers.pop(pod_id, None)

    async def refresh(self, project_id: str) -> None:
        """Tell the ground what runs now, where that differs from what it was told. Many at once share one telling."""
        project = self._project(project_id)
        project.asked += 1
        asked = project.asked
        async with project.telling:
            if project.ground is None or project.answered >= asked:
                return  # A telling that began after this was asked has told it.
            answered = project.asked
            views = tuple(self._views(project_id, project.ground))
            tables = network.tables(project_id, project.ground.gateway, views, self._runtime.door)
            await self._tell(project_id, project, project.ground, tables)
            project.answered = answered

    async def heal(self, project_id: str) -> None:
        """Bring back what died of a project's ground while its pods run."""
        project = self._project(project_id)
        async with project.lock:
            if project.ground is None:
                return
            ground = await self._runtime.sandboxes.ensure_project(project_id)
            if ground != project.ground:
                log.warning("a project's ground was brought back", project=project_id)
                async with project.telling:
                    project.ground, project.told = ground, None
                for pod_id, address in project.networks.items():
                    await self._runtime.sandboxes.ensure_pod(ground, pod_id, address=address)
        await self.refresh(project_id)

    async def leave(self, project_id: str) -> None:
        """A project's last pod may have gone: its ground ends now, or after it lingered."""
        project = self._project(project_id)
        if project.ground is not None and not project.numbers:
            project.idle_since = self._runtime.clock.monotonic()
        if self._runtime.settings.linger_seconds == 0:
            await self._end(project_id)

    async def end_idle(self) -> None:
        """End the grounds that lingered long enough, and those that an earlier process left without a pod."""
        now, linger = self._runtime.clock.monotonic(), self._runtime.settings.linger_seconds
        for project_id in await asyncio.to_thread(self._runtime.store.projects):
            project = self._project(project_id)
            if project.ground is None and not project.numbers and self._runtime.sandboxes.stands(project_id):
                project.ground = await self._runtime.sandboxes.ensure_project(project_id)
                project.idle_since = now
            elif project.idle_since is not None and now - project.idle_since >= linger:
                await self._end(project_id)

    async def _end(self, project_id: str) -> None:
        """End a ground on which no pod is left."""
        project = self._project(project_id)
        async with project.lock, project.telling:
            if project.ground is None or project.numbers:
                return
            await self._runtime.sandboxes.remove_ground(project.ground)
            project.ground = project.told = project.idle_since = None
            await asyncio.to_thread(shutil.rmtree, self._runtime.store.hosts(project_id).parent, ignore_errors=True)

    def active(self) -> tuple[str, ...]:
        """Projects that have a ground."""
        return tuple(name for name, project in self._projects.items() if project.ground is not None)

    async def _tell(self, project_id: str, project: _Project, ground: sandbox.Ground, tables: network.Tables) -> None:
        told, sandboxes = project.told, self._runtime.sandboxes
        tellings: list[Awaitable[None]] = []
        if told is None or told.hosts != tables.hosts:
            folder = self._runtime.store.hosts(project_id)
            tellings.append(asyncio.to_thread(sandboxes.write_hosts, folder, tables.hosts))
        if (told.services if told else ()) != tables.services:
            tellings.append(sandboxes.set_services(ground, tables.services))
        if told is None or told.relays != tables.relays:
            tellings.append(sandboxes.set_relays(ground, tables.relays))
        await asyncio.gather(*tellings)  # One does not need the other, and somebody waits for all.
        project.told = tables

    def _project(self, project_id: str) -> _Project:
        return self._projects.setdefault(project_id, _Project())
