"""The process engine: keeps `contract.Engine` on this machine's sandboxes.

`start` finds again what an earlier process kept; `close` lets go of it, running. Between the two, each service has a controller; calls
store what is wanted, wake it, and return.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import replace
from datetime import timedelta

import structlog

from etabli.engines import changes, contract
from etabli.engines.process import admission, logs, manifests, models, network, ports, reading, store
from etabli.engines.process.controller import Controller, Shared
from etabli.engines.process.grounds import Grounds
from etabli.engines.process.runtime import Runtime
from etabli.engines.process.settings import ProcessSettings
from etabli.kernel import errors, files
from etabli.kernel.clock import Clock
from etabli.kernel.settings import Layout
from etabli.sandbox import models as sandbox
from etabli.sandbox.service import Sandboxes

NAME = "process"
HANDLE_VERSION = 1
SERVICE_NUMBERS = range(1, 255)  # Addresses of Services in a project's /24.
log = structlog.get_logger()


class ProcessEngine:
    """Runs services as sandboxes of this machine."""

    name = NAME

    def __init__(
        self,
        *,
        layout: Layout,
        sandboxes: Sandboxes,
        trees: ports.Trees,
        clock: Clock,
        settings: ProcessSettings,
        door: ports.Door,
    ) -> None:
        self._runtime = Runtime(
            layout=layout,
            sandboxes=sandboxes,
            trees=trees,
            clock=clock,
            store=store.Store(layout.engine),
            settings=settings,
            door=door,
        )
        self._changes = changes.Changes()
        self._ledger = admission.Ledger(settings.total())
        self._grounds = Grounds(self._runtime, self._views)
        self._controllers: dict[str, Controller] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._looking: asyncio.Task[None] | None = None
        self._findings: tuple[sandbox.Finding, ...] = ()  # What holds here, looked at once: it starts a process.

    async def start(self) -> None:
        """Find again what an earlier process kept, and go on keeping it."""
        layout, kept = self._runtime.layout, self._runtime.store
        self._findings = await asyncio.to_thread(self._runtime.sandboxes.doctor)
        for folder in (layout.engine, layout.upstreams, layout.run / "probes"):
            files.private_folder(folder)
        records = [record for service_id in kept.services() if (record := self._load(service_id)) is not None]
        for record in sorted(records, key=lambda one: one.order):
            controller = self._know(record)
            controller.adopt()
            if controller.has_pods and record.wanted is store.Wanted.RUNNING:
                self._ledger.restore(controller.service_id, record.plan.requests)
        for controller in self._controllers.values():
            controller.start(self._gone)
        self._looking = asyncio.create_task(self._look_after(), name="engine: look after grounds and logs")

    async def close(self) -> None:
        """Let go; what runs goes on."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        await asyncio.gather(*(controller.leave() for controller in self._controllers.values()))

    def capabilities(self) -> contract.Capabilities:
        findings = self._findings or self._runtime.sandboxes.doctor()
        limits = {one.subject: contract.Guarantee(one.firmness.value) for one in findings}
        internet = limits.get("internet", contract.Guarantee.NONE) is not contract.Guarantee.NONE
        return contract.Capabilities(limits=limits, internet=internet, hangs_up=True)

    async def check(self, request: contract.ApplyRequest | None = None) -> contract.Health:
        if request is not None:
            self._check(self._check_request(request), self._controllers.get(request.service_id))
        reason = "" if self._looking is not None else "the engine is not started"
        if not self._holds("namespaces"):
            reason = "this machine lets no ordinary user make sandboxes: `etabli doctor` says what to do"
        return contract.Health(
            ready=not reason,
            reason=reason,
            total=self._ledger.total,
            reserved=self._ledger.reserved,
        )

    async def apply(self, request: contract.ApplyRequest) -> contract.Handle:
        async with self._changing(request.project.id):
            plan = self._check_request(request)
            known = self._controllers.get(request.service_id)
            if known is not None and known.record.plan == plan and known.record.wanted is store.Wanted.RUNNING:
                return handle(request.service_id)
            await self._check_trees(plan)
            self._check(plan, known)
            record = self._record(plan, known)
            await self._save(record)
            if known is not None:
                known.want(record)
            else:
                self._know(record).start(self._gone)
            log.info("service applied", service=request.service_id, revision=request.revision)
        return handle(request.service_id)

    async def status(self, handle: contract.Handle) -> contract.Status:
        controller = self._controllers.get(service_of(handle))
        return contract.Status(contract.Phase.GONE) if controller is None else controller.status()

    def watch(self) -> AsyncIterator[contract.Change]:
        return self._changes.listen()

    async def stop(self, handle: contract.Handle, *, grace: timedelta) -> None:
        await self._want(service_of(handle), store.Wanted.STOPPED, grace)

    async def destroy(self, handle: contract.Handle) -> None:
        await self._want(service_of(handle), store.Wanted.DESTROYED, None)

    async def logs(self, handle: contract.Handle, *, follow: bool = False) -> AsyncIterator[contract.LogLine]:
        service_id, kept = service_of(handle), self._runtime.store

        def sources() -> tuple[logs.Source, ...]:
            return tuple(_sources(kept, service_id, self._controllers.get(service_id)))

        if service_id in self._controllers:
            folder = await asyncio.to_thread(files.private_folder, kept.logs(service_id))
            async for line in logs.read(sources, folder, follow=follow):
                yield line

    async def hang_up(self, project_id: str) -> None:
        """End every connection that the front door holds to the project's services."""
        await self._runtime.sandboxes.hang_up(project_id)

    def _check_request(self, request: contract.ApplyRequest) -> models.Plan:
        """The plan of a request. Refused, Invalid or NotFound where it cannot be one here."""
        for text, path in ((request.service_id, "service_id"), (request.project.id, "project.id")):
            reading.check_name(text, path)
        reading.check_name(request.project.namespace, "project.namespace")
        return manifests.plan(request)

    async def _check_trees(self, plan: models.Plan) -> None:
        for digest in {one.digest for pod in plan.pods for one in (*pod.inits, *pod.containers)}:
            await self._runtime.trees.root(digest)

    def _check(self, plan: models.Plan, known: Controller | None) -> None:
        """What can be known before anything is stored."""
        if known is not None and known.record.wanted is store.Wanted.DESTROYED:
            raise errors.Conflict("the service is being removed", hint="launch another")
        for controller in self._controllers.values():
            if controller.project_id == plan.project.id and controller is not known:
                _check_apart(plan, controller.record.plan)
        self._ledger.check(plan.service_id, plan.requests)

    def _record(self, plan: models.Plan, known: Controller | None) -> store.Record:
        """The record of a plan: a Service keeps its address, a route its key, over revisions."""
        before = known.record if known is not None else store.Record(plan, order=self._next_order())
        taken = {
            number
            for controller in self._controllers.values()
            if controller.project_id == plan.project.id and controller is not known
            for number in controller.record.addresses.values()
        }
        keys = {route: before.keys.get(route) or secrets.token_hex(16) for route in map(network.route_id, plan.routes)}
        addresses = _addresses(plan, before.addresses, taken)
        resting = before.wanted is not store.Wanted.RUNNING
        return replace(
            before,
            order=self._next_order() if resting else before.order,
            plan=plan,
            wanted=store.Wanted.RUNNING,
            keys=keys,
            addresses=addresses,
            grace_seconds=None,
        )

    def _next_order(self) -> int:
        return 1 + max((controller.record.order for controller in self._controllers.values()), default=0)

    async def _want(self, service_id: str, wanted: store.Wanted, grace: timedelta | None) -> None:
        if (controller := self._controllers.get(service_id)) is None:
            return
        async with self._changing(controller.project_id):
            if service_id not in self._controllers or controller.record.wanted in (wanted, store.Wanted.DESTROYED):
                return
            seconds = grace.total_seconds() if grace is not None else None
            record = replace(controller.record, wanted=wanted, grace_seconds=seconds)
            await self._save(record)
            controller.want(record)

    async def _save(self, record: store.Record) -> None:
        """Store what is wanted, durably. Unavailable where the disk takes nothing: then nothing has changed."""
        try:
            await asyncio.to_thread(self._runtime.store.save, record)
        except OSError as error:
            raise errors.Unavailable(
                f"the lab cannot write to its disk: {error.strerror}", hint="free some space, then try again"
            ) from error

    def _holds(self, subject: str) -> bool:
        """Whether the machine gives this at all, as far as was seen."""
        return not any(one.subject == subject and one.firmness is sandbox.Firmness.NONE for one in self._findings)

    def _changing(self, project_id: str) -> asyncio.Lock:
        """Held while what is wanted in a project changes: names and addresses are given once."""
        return self._locks.setdefault(project_id, asyncio.Lock())

    def _load(self, service_id: str) -> store.Record | None:
        """A record; what was never whole is removed: nothing of it had started."""
        record = self._runtime.store.load(service_id)
        if record is None:
            self._runtime.store.forget(service_id)
        return record

    def _know(self, record: store.Record) -> Controller:
        shared = Shared(self._runtime, self._grounds, self._ledger, self._changes.publish)
        controller = Controller(shared, record)
        self._controllers[controller.service_id] = controller
        return controller

    async def _gone(self, controller: Controller) -> None:
        del self._controllers[controller.service_id]
        self._changes.publish(controller.service_id)
        log.info("service destroyed", service=controller.service_id)

    def _views(self, project_id: str, ground: sandbox.Ground) -> Iterable[network.View]:
        """What runs in a project. Where the machine gives Services no address, their names lead to a ready pod."""
        addressed = self._holds("services")
        return (view if addressed else replace(view, addresses={}) for view in self._project_views(project_id, ground))

    def _project_views(self, project_id: str, ground: sandbox.Ground) -> Iterable[network.View]:
        return (
            controller.view(ground)
            for controller in self._controllers.values()
            if controller.project_id == project_id and controller.has_pods
        )

    async def _look_after(self) -> None:
        """Bring back what died of a project's ground, and keep logs within bounds. Costs nothing where nothing runs."""
        period = timedelta(seconds=self._runtime.settings.heal_seconds)
        while True:
            await self._runtime.clock.sleep(period)
            try:
                for project_id in self._grounds.active():
                    await self._grounds.heal(project_id)
                await self._grounds.end_idle()
                await asyncio.to_thread(self._trim)
            except errors.EtabliError as error:
                log.warning("a ground could not be looked after", reason=error.message)
            except Exception:
                log.exception("a ground could not be looked after")

    def _trim(self) -> None:
        for service_id, controller in tuple(self._controllers.items()):
            if controller.has_pods:
                for source in _sources(self._runtime.store, service_id, controller):
                    logs.trim(source.path, self._runtime.settings.log_bytes)


def handle(service_id: str) -> contract.Handle:
    """The handle of a service."""
    return contract.Handle(engine=NAME, version=HANDLE_VERSION, data={"service": service_id})


def service_of(handle: contract.Handle) -> str:
    """The service of a handle. Refused where another engine, or a newer version, made it."""
    if handle.engine != NAME or handle.version != HANDLE_VERSION:
        raise errors.Refused(f"this service belongs to another engine: `{handle.engine}`, version {handle.version}")
    return handle.data["service"]


def _sources(kept: store.Store, service_id: str, controller: Controller | None) -> Iterable[logs.Source]:
    if controller is None:
        return
    for pod in controller.record.plan.pods:
        for container in (*pod.inits, *pod.containers):
            yield logs.Source(pod.name, container.name, kept.log(service_id, pod.name, container.name))


def _addresses(plan: models.Plan, before: Mapping[str, int], taken: Iterable[int]) -> Mapping[str, int]:
    """A number for each Service that has an address, free in the project. Unavailable where there is none."""
    used, found = {*taken, *before.values()}, dict[str, int]()
    for service in plan.services:
        if service.headless:
            continue
        number = before.get(service.name) or next((one for one in SERVICE_NUMBERS if one not in used), None)
        if number is None:
            raise errors.Unavailable("the project has no address left for a Service", hint="remove a service first")
        used.add(number)
        found[service.name] = number
    return found


def _check_apart(plan: models.Plan, other: models.Plan) -> None:
    """Services and pods of one project share one namespace of names, as in a cluster. Conflict where two collide."""
    for what, own, theirs in (
        ("Service", {one.name for one in plan.services}, {one.name for one in other.services}),
        ("pod", {pod.name for pod in plan.pods}, {pod.name for pod in other.pods}),
    ):
        if shared := own & theirs:
            raise errors.Conflict(
                f"another service of this project has a {what} `{min(shared)}`", hint="give this one another name"
            )
