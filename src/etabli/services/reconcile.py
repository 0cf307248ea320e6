"""Makes what is desired of services so: load, act, apply, again and again.

One service is handled by one task at a time; each turn reads what is stored, asks the engine what is, and does the next step. Every
step may be repeated, so a kill at any moment costs a turn. A service ends only after its people were told, and never sooner than
MIN_NOTICE after that by a clock that cannot jump.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Protocol

import structlog

from etabli.audit import models as audit_models
from etabli.audit.service import Audit
from etabli.engines import contract
from etabli.kernel import clock as clocks
from etabli.kernel import errors, events
from etabli.services import archived, manifests, metering, models, ports, store
from etabli.services.settings import ServicesSettings

log = structlog.get_logger()

SAMPLE = timedelta(seconds=10)  # Between two looks at what services use.
METER = timedelta(seconds=60)  # Between two additions of what they consumed.
CONSUMING = frozenset({models.State.STARTING, models.State.READY})
TICK = timedelta(seconds=60)  # Between two looks at what expires.
RENEWAL = timedelta(hours=6)  # Of a vault token that lives 24 h: three renewals may fail.
MIN_NOTICE = timedelta(hours=1)  # A machine whose clock jumps a year ahead ends nobody's service at once.
RELEASE_LENGTH = 53
BEING_APPLIED = 0  # The applied revision of a service that the engine may have been given: revisions count from 1.
NOWHERE = "nowhere"  # The upstream of a host whose service does not run: never a socket's name, and never ready.
FIRST_RETRY = timedelta(seconds=1)
LAST_RETRY = timedelta(seconds=60)


class Rooms(Protocol):
    """What reconciling stands on: `service.Rooms` without what only use cases need."""

    @property
    def store(self) -> store.Store: ...
    @property
    def people(self) -> ports.People: ...
    @property
    def environments(self) -> ports.Environments: ...
    @property
    def belongings(self) -> ports.Belongings: ...
    @property
    def door(self) -> ports.Door: ...
    @property
    def engine(self) -> contract.Engine: ...
    @property
    def events(self) -> events.Events: ...
    @property
    def clock(self) -> clocks.Clock: ...
    @property
    def audit(self) -> Audit: ...
    @property
    def meter(self) -> metering.Meter: ...
    @property
    def settings(self) -> ServicesSettings: ...
    @property
    def deletions_held(self) -> Callable[[], bool]: ...


class Reconciler:
    """Background work of services, in the portal's process."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._tasks: set[asyncio.Task[None]] = set()
        self._turning: set[str] = set()  # Services that a task handles now.
        self._again: set[str] = set()  # Woken while they were handled.
        self._given_up: set[str] = set()  # Refused, or their build failed: only their people can help.
        self._building: dict[str, str] = {}  # Services whose environment is being made → its image.
        self._statuses: dict[str, contract.Status] = {}
        self._uses: dict[str, models.Use] = {}
        self._sampled: dict[str, tuple[float, float]] = {}  # Moment and CPU-seconds of the last sample.
        self._published: dict[str, tuple[tuple[contract.Route, ...], bool]] = {}
        self._notices: dict[str, float] = {}  # When a service's people were told, on the clock that cannot jump.
        self._started = rooms.clock.monotonic()
        self.archived = archived.Archived(rooms, wake=self.wake)
        self._metered = (
            self._started - METER.total_seconds()
        )  # What went on while no portal was there is counted at once.

    async def begin(self) -> None:
        """Before anybody asks: what did not outlive the lab's stop is not said to be ready, as it was stored."""
        for record in await self._rooms.store.all():
            service = record.service
            if service.state is not models.State.READY or service.handle is None:
                continue
            with suppress(errors.EtabliError):  # Its own turn says what is wrong.
                status = await self._rooms.engine.status(service.handle)
                if status.phase is not contract.Phase.READY:
                    await self._move(service, models.STATE_OF_PHASE[status.phase])

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._follow_builds())
                group.create_task(self._every(TICK, self._tick))
                group.create_task(self._every(SAMPLE, self._sample))
                group.create_task(self._every(RENEWAL, self._renew))
                group.create_task(self._every(RENEWAL, self._rooms.meter.prune))
                for record in await self._rooms.store.all():
                    self.wake(record.service.id)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def wake(self, service_id: str) -> None:
        """Look at a service now, or right after the look that is under way."""
        if service_id in self._turning:
            self._again.add(service_id)
            return
        self._turning.add(service_id)
        self._spawn(self._settle(service_id))

    def forgive(self, service_id: str) -> None:
        """Try again what was given up."""
        self._given_up.discard(service_id)

    def last_status(self, service_id: str) -> contract.Status | None:
        """What the engine said last."""
        return self._statuses.get(service_id)

    def last_use(self, service_id: str) -> models.Use | None:
        """What it used when last looked at."""
        return self._uses.get(service_id)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, service_id: str) -> None:
        """Turn until nobody woke the service meanwhile; where a turn fails, wait and turn again."""
        retry = FIRST_RETRY
        try:
            while True:
                self._again.discard(service_id)
                try:
                    await self._turn(service_id)
                except errors.Unavailable as error:
                    log.warning("service waits", service=service_id, reason=error.message)
                    await self._rooms.clock.sleep(max(retry, min(error.retry_after, LAST_RETRY)))
                    retry = min(retry * 2, LAST_RETRY)
                    continue
                except errors.EtabliError as error:
                    await self._give_up(service_id, error.message)
                except Exception:
                    log.exception("a turn failed", service=service_id)
                    await self._say_trouble(service_id)
                    await self._rooms.clock.sleep(retry)
                    retry = min(retry * 2, LAST_RETRY)
                    continue
                if service_id not in self._again:
                    return
        finally:
            self._turning.discard(service_id)

    async def _say_trouble(self, service_id: str) -> None:
        """What nobody foresaw is tried again, and said meanwhile: a page that waits without a word teaches nothing."""
        service = await self._rooms.store.get(service_id)
        if service is not None:
            await self._move(service, service.state, message="the lab met an error of its own, and tries again")

    async def _turn(self, service_id: str) -> None:
        record = await self._rooms.store.record(service_id)
        if record is None:
            return
        match record.service.desired:
            case models.Desired.RUNNING:
                await self._bring_up(record)
            case models.Desired.STOPPED:
                await self._bring_down(record)
            case models.Desired.DELETED:
                await self._remove(record)

    async def _bring_up(self, record: store.Record) -> None:
        service = record.service
        if service.id in self._given_up:
            return
        if record.applied_revision != service.revision or service.handle is None:
            handle = await self._apply(record)
            if handle is None:
                return  # A build runs; its end wakes the service.
        else:
            handle = service.handle
        status = await self._rooms.engine.status(handle)
        if status.phase in {contract.Phase.GONE, contract.Phase.STOPPED}:
            await self._rooms.store.change(service.id, applied_revision=None)
            raise errors.Unavailable("the engine lost it; it is started again", retry_after=FIRST_RETRY)
        await self._observe(service, status)

    async def _apply(self, record: store.Record) -> contract.Handle | None:
        """Give the engine the service's revision; None while an environment is being built."""
        service = record.service
        revision = await self._rooms.store.revision(service.id, service.revision)
        digests = {image: self._rooms.environments.digest(image) for image in revision.images}
        missing = [image for image, digest in digests.items() if not self._rooms.environments.is_built(digest)]
        if missing:
            await self._build(service, missing[0])
            return None
        await self._close_door(service)
        data = await self._secrets(record)
        # Not stored with the revision: a lab that changes its certificates is trusted at the next start.
        trusted = await self._rooms.belongings.authorities()
        ground = await self._rooms.people.project_ground(project_id=service.project_id)
        await self._rooms.store.change(service.id, applied_revision=BEING_APPLIED)
        handle = await self._rooms.engine.apply(
            contract.ApplyRequest(
                service_id=service.id,
                project=contract.Project(id=ground.project_id, namespace=ground.namespace),
                release=release(service.chart, service.id),
                manifests=manifests.trust(
                    manifests.unseal(revision.manifests, data),
                    service_id=service.id,
                    authorities=trusted,
                ),
                images=digests,
                hosts=revision.hosts,
                revision=service.revision,
            )
        )
        await self._rooms.store.change(
            service.id, applied_revision=service.revision, handle=store.encode_handle(handle)
        )
        return handle

    async def _secrets(self, record: store.Record) -> dict[str, str]:
        """The Secret data of a revision; its vault token replaced where it died meanwhile (a lab that slept for days)."""
        service, belongings = record.service, self._rooms.belongings
        key = secret_key(service.id, service.revision)
        data = dict(await belongings.fetch(key=key))
        age = self._rooms.clock.now() - service.created_at
        is_fresh = service.handle is None and timedelta() <= age < RENEWAL  # The launch has just drawn it.
        if record.vault_accessor is not None and (is_fresh or await belongings.renew(accessor=record.vault_accessor)):
            return data
        ground = await self._rooms.people.project_ground(project_id=service.project_id)
        fresh = await belongings.vault_token(ground=ground)
        data[manifests.token_entry(service.id)] = manifests.encode(fresh.token)
        await belongings.keep(key=key, data=data)
        await self._rooms.store.change(service.id, vault_accessor=fresh.accessor)
        return data

    async def _build(self, service: models.Service, image: str) -> None:
        if await self._move(service, models.State.BUILDING):
            await self._tell(service, models.EventKind.BUILDING, detail=image)
        if service.id not in self._building:
            self._building[service.id] = image
            self._spawn(self._await_build(service, image))

    async def _await_build(self, service: models.Service, image: str) -> None:
        """Outside the service's turns, so that it can be stopped or deleted meanwhile."""
        try:
            await self._rooms.environments.ensure(image)
        except errors.EtabliError as error:
            await self._give_up(service.id, error.message, kind=models.EventKind.BUILD_FAILED)
        except Exception:
            log.exception("a build failed", service=service.id, image=image)
            await self._give_up(service.id, f"the environment `{image}` could not be built")
        finally:
            self._building.pop(service.id, None)
        self.wake(service.id)

    async def _observe(self, service: models.Service, status: contract.Status) -> None:
        before = self._statuses.get(service.id)
        self._statuses[service.id] = status
        state = models.STATE_OF_PHASE[status.phase]
        if status.routes:
            await self._publish_routes(service, status.routes, ready=state is models.State.READY)
        moved = await self._move(service, state, message=status.message)
        kind = {
            models.State.STARTING: models.EventKind.STARTING,
            models.State.READY: models.EventKind.READY,
            models.State.FAILED: models.EventKind.FAILED,
        }.get(state)
        if moved and kind is not None and state is not service.state:
            await self._tell(service, kind, detail=status.message)
        for pod in _restarted(before, status):
            why = pod.message or pod.reason
            await self._tell(service, models.EventKind.RESTARTED, detail=f"{pod.name}: {why}".rstrip(": "))

    async def _publish_routes(
        self, service: models.Service, routes: tuple[contract.Route, ...], *, ready: bool
    ) -> None:
        """Tell the door, where it was not told the same before."""
        if self._published.get(service.id) == (routes, ready):
            return
        await self._rooms.door.publish(service_id=service.id, project_id=service.project_id, routes=routes, ready=ready)
        self._published[service.id] = (routes, ready)

    async def _close_door(self, service: models.Service) -> None:
        """Its hosts stay its own, and answer that it is not ready."""
        revision = await self._rooms.store.revision(service.id, service.revision)
        routes = tuple(contract.Route(host=host, path="/", upstream=NOWHERE) for host in revision.hosts)
        await self._publish_routes(service, routes, ready=False)

    async def _bring_down(self, record: store.Record) -> None:
        service = record.service
        if service.state is models.State.STOPPED and record.applied_revision is None:
            return
        await self._close_door(service)
        await self._move(service, models.State.STOPPING)
        if service.handle is not None:
            await self._rooms.engine.stop(service.handle, grace=timedelta(seconds=self._rooms.settings.grace_seconds))
            status = await self._rooms.engine.status(service.handle)
            if status.phase not in {contract.Phase.STOPPED, contract.Phase.GONE}:
                return  # The engine's next change wakes the service.
        self._forget_what_was_seen(service.id)
        await self._rooms.store.change(service.id, applied_revision=None)
        if await self._move(service, models.State.STOPPED):
            await self._tell(service, models.EventKind.STOPPED)

    async def _remove(self, record: store.Record) -> None:
        service = record.service
        await self._move(service, models.State.DELETING)
        if self._rooms.deletions_held():
            raise errors.Unavailable("a backup begins: nothing is removed meanwhile", retry_after=FIRST_RETRY)
        await self._rooms.door.withdraw(service_id=service.id)
        await self._rooms.people.end_token(service_id=service.id)
        if (handle := await self._known_handle(record)) is not None:
            await self._rooms.engine.destroy(handle)
        if record.vault_accessor is not None:
            await self._rooms.belongings.revoke(accessor=record.vault_accessor)
        for number in range(1, service.revision + 1):
            await self._rooms.belongings.forget(key=secret_key(service.id, number))
        await self._tell(service, models.EventKind.DELETED)
        await self._rooms.store.forget(service.id, at=self._rooms.clock.now())
        self._forget_what_was_seen(service.id)
        self._publish(service, detail=models.EventKind.DELETED.value)

    async def _known_handle(self, record: store.Record) -> contract.Handle | None:
        """The handle, also of a service that was given to the engine right before a kill: giving it again finds the first."""
        if record.service.handle is None and record.applied_revision == BEING_APPLIED:
            return await self._apply(record)
        return record.service.handle

    async def _give_up(self, service_id: str, reason: str, *, kind: models.EventKind = models.EventKind.FAILED) -> None:
        self._given_up.add(service_id)
        service = await self._rooms.store.get(service_id)
        if service is None:
            return
        if await self._move(service, models.State.FAILED, message=reason):
            await self._tell(service, kind, detail=reason)

    async def _move(self, service: models.Service, state: models.State, *, message: str = "") -> bool:
        moved = await self._rooms.store.move(service.id, state=state, message=message, at=self._rooms.clock.now())
        if moved:
            self._publish(service, detail=state.value)
        return moved

    async def _tell(self, service: models.Service, kind: models.EventKind, *, detail: str = "") -> None:
        await self._rooms.store.tell(
            models.ServiceEvent(service_id=service.id, at=self._rooms.clock.now(), kind=kind, detail=detail)
        )
        self._publish(service, detail=kind.value)

    def _publish(self, service: models.Service, *, detail: str) -> None:
        self._rooms.events.publish(
            events.Event(topic="service", subject=service.id, project=service.project_id, detail=detail)
        )

    def _forget_what_was_seen(self, service_id: str) -> None:
        for seen in (self._statuses, self._uses, self._sampled, self._published, self._notices):
            seen.pop(service_id, None)

    async def _watch(self) -> None:
        async for change in self._rooms.engine.watch():
            self.wake(change.service_id)

    async def _follow_builds(self) -> None:
        """Say on each waiting service how far its environment is; a page that opens later reads it where it is stored."""
        async for event in self._rooms.events.listen():
            if event.topic != "build":
                continue
            for service_id, image in tuple(self._building.items()):
                service = await self._rooms.store.get(service_id)
                if service is not None and service.state is models.State.BUILDING:
                    await self._move(service, models.State.BUILDING, message=self._rooms.environments.progress(image))

    async def _every(self, period: timedelta, work: "Work") -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("background work failed", work=work.__name__)
            await self._rooms.clock.sleep(period)

    async def _sample(self) -> None:
        """See what running services use; the engine is not asked where nothing runs."""
        seen: list[tuple[models.Service, contract.Status]] = []
        for service_id in tuple(self._statuses):
            service = await self._rooms.store.get(service_id)
            if service is None or service.handle is None or service.state not in CONSUMING:
                continue
            status = await self._rooms.engine.status(service.handle)
            seen.append((service, status))
            usage = status.usage
            now = self._rooms.clock.monotonic()
            before = self._sampled.get(service_id)
            self._sampled[service_id] = (now, usage.cpu_seconds)
            spent, took = (usage.cpu_seconds - before[1], now - before[0]) if before else (0.0, 0.0)
            use = models.Use(cores=max(spent / took, 0.0) if took else 0.0, memory_bytes=usage.memory_bytes)
            self._uses[service_id] = use
            self._publish(service, detail="use")
        if seen and self._rooms.clock.monotonic() - self._metered >= METER.total_seconds():
            self._metered = self._rooms.clock.monotonic()
            await self._rooms.meter.add(seen)

    async def _tick(self) -> None:
        """Warn of what ends soon; stop what ended, delete what was stopped and kept long enough; stop what was archived."""
        await self.archived.close()
        for record in await self._rooms.store.all():
            service, now = record.service, self._rooms.clock.now()
            if service.expires_at is None or service.desired is models.Desired.DELETED:
                continue
            if service.expires_at - now > timedelta(hours=self._rooms.settings.warning_hours):
                continue
            if record.warned_at is None:
                await self._warn(service)
            elif service.expires_at <= now and self._notice_given(service.id):
                await self._expire(service)

    async def _warn(self, service: models.Service) -> None:
        assert service.expires_at is not None
        self._notices[service.id] = self._rooms.clock.monotonic()
        await self._rooms.store.change(service.id, warned_at=self._rooms.clock.now())
        await self._tell(service, models.EventKind.EXPIRES_SOON, detail=service.expires_at.isoformat())

    def _notice_given(self, service_id: str) -> bool:
        told = self._notices.get(service_id, self._started)
        return self._rooms.clock.monotonic() - told >= MIN_NOTICE.total_seconds()

    async def _expire(self, service: models.Service) -> None:
        await self._tell(service, models.EventKind.EXPIRED)
        if service.desired is models.Desired.RUNNING:
            kept_until = self._rooms.clock.now() + timedelta(days=self._rooms.settings.kept_days)
            change = {"desired": models.Desired.STOPPED.value, "expires_at": kept_until, "warned_at": None}
        else:
            change = {"desired": models.Desired.DELETED.value}
        await self._rooms.store.change(service.id, **change)
        await self._record_expiry(service, deleted=service.desired is not models.Desired.RUNNING)
        self.wake(service.id)

    async def _record_expiry(self, service: models.Service, *, deleted: bool) -> None:
        ground = await self._rooms.people.project_ground(project_id=service.project_id)
        await self._rooms.audit.record(
            audit_models.Entry(
                actor=audit_models.LAB,
                action="services.delete" if deleted else "services.stop",
                target_kind="service",
                target=service.id,
                project=ground.slug,
                detail={"why": "its time was over"},
            )
        )

    async def _renew(self) -> None:
        for record in await self._rooms.store.all():
            if record.service.desired is not models.Desired.RUNNING or record.vault_accessor is None:
                continue
            if not await self._rooms.belongings.renew(accessor=record.vault_accessor):
                log.warning("a vault token is no more", service=record.service.id)


class Work(Protocol):
    """One turn of background work."""

    __name__: str

    def __call__(self) -> Coroutine[object, object, None]: ...


def release(chart: str, service_id: str) -> str:
    """Helm's name of a service's release, at most 53 characters (helm.sh, "Naming"): the id is always whole."""
    return f"{chart[: RELEASE_LENGTH - len(service_id) - 1]}-{service_id}"


def secret_key(service_id: str, revision: int) -> str:
    """Where the Secret data of a revision lies among the lab's own secrets."""
    return f"services/{service_id}/{revision}"


def _restarted(before: contract.Status | None, now: contract.Status) -> list[contract.PodStatus]:
    """Pods that were restarted between two looks."""
    if before is None:
        return []
    counts = {pod.name: pod.restarts for pod in before.pods}
    return [pod for pod in now.pods if pod.restarts > counts.get(pod.name, pod.restarts)]
