"""The use cases of services: what a person, a program or the command line may ask.

Each first finds whether this person may know of the service, in one place. Asking changes what is *desired* and answers at once; the
reconciler makes it so.
"""

import asyncio
import unicodedata
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

import structlog

from etabli.audit.service import Audit
from etabli.engines import contract
from etabli.kernel import clock as clocks
from etabli.kernel import errors, events, ids
from etabli.services import errors as own
from etabli.services import following, grounds, manifests, metering, models, ports, quotas, recent, reconcile, store
from etabli.services.settings import ServicesSettings

log = structlog.get_logger()

NAME_LENGTH = 100
PATIENCE = timedelta(seconds=15)  # A store or vault that was just started, or killed, answers within this.
ASK_AGAIN = timedelta(milliseconds=250)
HEALTH_SECONDS = 2.0  # How old the engine's free resources may be when a form shows them.

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Rooms:
    """What services stand on."""

    store: store.Store
    recent: recent.RecentLaunches
    people: ports.People
    charts: ports.Charts
    environments: ports.Environments
    belongings: ports.Belongings
    door: ports.Door
    engine: contract.Engine
    events: events.Events
    clock: clocks.Clock
    settings: ServicesSettings
    audit: Audit
    quotas: quotas.Quotas
    meter: metering.Meter
    domain: str  # Under which every service has its host.
    deletions_held: Callable[[], bool] = lambda: False  # Whether nothing may be removed for good now.


class Services:
    """What people do with services."""

    def __init__(self, rooms: Rooms, *, reconciler: reconcile.Reconciler) -> None:
        self._rooms = rooms
        self._reconciler = reconciler
        self._quotas = rooms.quotas
        self._health: tuple[float, contract.Health] | None = None
        self.grounds = grounds.Grounds(rooms.people, reconciler=reconciler)

    @property
    def most_per_project(self) -> int:
        """How many services a project may have."""
        return self._rooms.settings.per_project

    async def launch(self, *, user_id: str, launch: models.Launch) -> models.Service:
        """Validate, render and store; starting goes on in the background.

        Invalid names the fields; NotFound for a project or chart that this person has not; Forbidden for who may only look;
        QuotaExceeded; Unavailable where a part is down. Nothing is left of a launch that was refused.
        """
        ground = await self._changeable(user_id=user_id, project_id=launch.project_id)
        if launch.key is not None and (first := await self._rooms.store.by_key(_key(user_id, launch.key))):
            return first
        # Refused before anything is rendered, where not one more service fits.
        (await self._quotas.admit(project_id=ground.project_id, asked=contract.Resources(), is_new=True)).leave()
        service_id = ids.new_id()
        rendered, variables = await asyncio.gather(
            self._render(user_id=user_id, ground=ground, launch=launch, service_id=service_id),
            self._patiently(lambda: self._rooms.belongings.prepare(ground=ground)),
        )
        draft = _draft(launch, rendered, ground=ground, user_id=user_id, service_id=service_id, rooms=self._rooms)
        key = launch.key and _key(user_id, launch.key)
        place = await self._quotas.admit(project_id=ground.project_id, asked=_weight(draft), is_new=True)
        try:
            service = await self._store(draft, rendered=rendered, ground=ground, variables=variables, key=key)
        finally:
            place.leave()
        if service.id == draft.id:
            await self._rooms.recent.remember(user_id=user_id, launch=launch, name=service.name, at=service.created_at)
            await self._tell(service, models.EventKind.LAUNCHED)
            log.info("service launched", service=service.id, chart=service.chart, project=service.project_id)
        self._reconciler.wake(service.id)
        return service

    async def used_last(self, *, user_id: str, project_id: str) -> tuple[recent.Recent, ...]:
        """What this person launched in a project, last used first; NotFound where they are no member."""
        ground = await self._visible(user_id=user_id, project_id=project_id)
        return await self._rooms.recent.of(user_id=user_id, project_id=ground.project_id)

    async def launch_again(
        self, *, user_id: str, project_id: str, catalog: str, chart: str, key: str | None = None
    ) -> models.Service:
        """Launch a chart as this person last launched it there. NotFound where they never did; Conflict where it had secrets.

        Raises what `launch` raises.
        """
        for one in await self.used_last(user_id=user_id, project_id=project_id):
            if (one.catalog, one.chart) == (catalog, chart):
                if not one.is_whole:
                    raise errors.Conflict(
                        "this launch had secrets, which are not remembered", hint="launch it from its form"
                    )
                launch = models.Launch(
                    project_id=project_id,
                    catalog=catalog,
                    chart=chart,
                    name=one.name,
                    version=one.version,
                    values=one.values,
                    key=key,
                )
                return await self.launch(user_id=user_id, launch=launch)
        raise errors.NotFound("you have not launched this here", hint="choose it in the catalogue")

    async def list(self, *, user_id: str, project_id: str) -> tuple[models.Service, ...]:
        """Services of a project, newest first; NotFound where the person is no member."""
        ground = await self._visible(user_id=user_id, project_id=project_id)
        return await self._rooms.store.of_project(ground.project_id)

    async def of_lab(self, *, service_id: str) -> models.Service | None:
        """One service, asked by the lab itself for people whom it knows to be in its project; None where it is deleted."""
        return await self._rooms.store.get(service_id)

    async def recent(self, *, user_id: str) -> tuple[models.Service, ...]:
        """Services of all projects of a person, what changed last first; at most store.MOST_RECENT, for searching."""
        return await self._rooms.store.recent(await self._rooms.people.projects(user_id=user_id))

    async def get(self, *, user_id: str, service_id: str) -> models.Service:
        """One service; ServiceNotFound alike for none and for another's."""
        service = await self._rooms.store.get(service_id)
        if service is None or await self._rooms.people.ground(user_id=user_id, project_id=service.project_id) is None:
            raise own.ServiceNotFound(service_id)
        return service

    async def events(self, *, user_id: str, service_id: str) -> tuple[models.ServiceEvent, ...]:
        """What happened to it, newest first."""
        await self.get(user_id=user_id, service_id=service_id)
        return await self._rooms.store.events(service_id)

    async def address(self, *, user_id: str, session_id: str, service_id: str, to: str = "/") -> str:
        """The URL that opens it, one-time code included. NotOpenable where it has none or does not answer yet."""
        service = await self._changeable_service(user_id=user_id, service_id=service_id)
        revision = await self._rooms.store.revision(service.id, service.revision)
        if not revision.hosts:
            raise own.NotOpenable(f"`{service.name}` has no page to open", hint="reach it from another service")
        return await self._enter(service, user_id=user_id, session_id=session_id, host=revision.hosts[0], to=to)

    async def address_of_host(self, *, user_id: str, session_id: str, host: str, to: str = "/") -> str:
        """The same for who came by the service's own address; ServiceNotFound alike for none and for another's."""
        service_id = await self._rooms.door.service_of(host=host)
        if service_id is None:
            raise own.ServiceNotFound(host)
        service = await self._changeable_service(user_id=user_id, service_id=service_id)
        return await self._enter(service, user_id=user_id, session_id=session_id, host=host, to=to)

    async def stop(self, *, user_id: str, service_id: str) -> models.Service:
        """Pause it: volumes stay, what was installed in its environment goes."""
        service = await self._changeable_service(user_id=user_id, service_id=service_id)
        if service.desired is models.Desired.STOPPED:
            return service
        kept_until = self._rooms.clock.now() + timedelta(days=self._rooms.settings.kept_days)
        return await self._desire(service, models.Desired.STOPPED, expires_at=kept_until, warned_at=None)

    async def resume(self, *, user_id: str, service_id: str) -> models.Service:
        """Start it again, from the same revision; one that failed is tried again."""
        service = await self._changeable_service(user_id=user_id, service_id=service_id)
        self._reconciler.forgive(service.id)
        if service.desired is models.Desired.RUNNING and service.state is not models.State.FAILED:
            return service
        was_counted = service.desired is models.Desired.RUNNING  # One that failed holds its place still.
        asked = contract.Resources() if was_counted else _weight(service)
        place = await self._quotas.admit(project_id=service.project_id, asked=asked, is_new=False)
        try:
            await self._rooms.store.move(service.id, state=models.State.WAITING, message="", at=self._rooms.clock.now())
            resumed = await self._desire(
                service,
                models.Desired.RUNNING,
                expires_at=_end(self._rooms),
                warned_at=None,
                applied_revision=None,
            )
        finally:
            place.leave()
        await self._tell(resumed, models.EventKind.RESUMED)
        return resumed

    async def rename(self, *, user_id: str, service_id: str, name: str) -> models.Service:
        """Change what people read."""
        service = await self._changeable_service(user_id=user_id, service_id=service_id)
        renamed = await self._change(service, name=clean_name(name))
        await self._tell(renamed, models.EventKind.RENAMED, detail=renamed.name)
        return renamed

    async def extend(self, *, user_id: str, service_id: str, until: datetime | None = None) -> models.Service:
        """Move its end: to `until`, or by the lab's default from now. Invalid where `until` is past."""
        service = await self._changeable_service(user_id=user_id, service_id=service_id)
        if until is not None and until <= self._rooms.clock.now():
            raise errors.Invalid("a service cannot end in the past", fields={"until": "must be a moment to come"})
        extended = await self._change(service, expires_at=until or _end(self._rooms), warned_at=None)
        detail = "" if extended.expires_at is None else extended.expires_at.isoformat()
        await self._tell(extended, models.EventKind.EXTENDED, detail=detail)
        return extended

    async def delete(self, *, user_id: str, service_id: str) -> None:
        """Delete it and all that the engine made; accepted at once, done in the background."""
        service = await self._changeable_service(user_id=user_id, service_id=service_id)
        await self._rooms.store.move(service.id, state=models.State.DELETING, message="", at=self._rooms.clock.now())
        await self._desire(service, models.Desired.DELETED)

    async def logs(self, *, user_id: str, service_id: str, follow: bool = False) -> AsyncIterator[contract.LogLine]:
        """What it wrote, oldest first; none before it was first started. Following ends when the person may see it no more."""
        service = await self.get(user_id=user_id, service_id=service_id)
        if service.handle is None:
            return

        async def allowed() -> bool:
            return await self._rooms.people.ground(user_id=user_id, project_id=service.project_id) is not None

        lines = self._rooms.engine.logs(service.handle, follow=follow)
        async for line in following.while_allowed(lines, events=self._rooms.events, allowed=allowed):
            yield line

    async def status(self, *, user_id: str, service_id: str) -> contract.Status | None:
        """The last status seen of its pods, from memory: never waits on the engine. None where none was seen."""
        await self.get(user_id=user_id, service_id=service_id)
        return self._reconciler.last_status(service_id)

    async def ending(self) -> tuple[models.Service, ...]:
        """Running services whose people were told that they end soon; asked by the lab itself."""
        warned = [record for record in await self._rooms.store.all() if record.warned_at is not None]
        return tuple(one.service for one in warned if one.service.desired is models.Desired.RUNNING)

    def use(self, *, service_id: str) -> models.Use | None:
        """Cores and memory last seen, from memory; None where not known."""
        return self._reconciler.last_use(service_id)

    async def project_of(self, *, service_id: str) -> str | None:
        """The id of the project that a service is of, for the lab's own records; None where there is no such service."""
        service = await self._rooms.store.get(service_id)
        return None if service is None else service.project_id

    async def quota(self, *, user_id: str, project_id: str) -> quotas.Quota:
        """What the project may have, and has. NotFound where the person is no member."""
        ground = await self._visible(user_id=user_id, project_id=project_id)
        return await self._quotas.of(project_id=ground.project_id)

    async def free(self) -> contract.Health:
        """What the engine holds and may still grant, for forms; at most some seconds old."""
        now = self._rooms.clock.monotonic()
        if self._health is None or now - self._health[0] > HEALTH_SECONDS:
            self._health = (now, await self._rooms.engine.check())
        return self._health[1]

    async def context(self, *, user_id: str, project_id: str) -> Mapping[str, object]:
        """The chart context that a form for this person and project is computed with."""
        ground = await self._changeable(user_id=user_id, project_id=project_id)
        return await self._rooms.charts.context(user_id=user_id, ground=ground, service_id=ids.new_id())

    async def _visible(self, *, user_id: str, project_id: str) -> ports.Ground:
        ground = await self._rooms.people.ground(user_id=user_id, project_id=project_id)
        if ground is None:
            raise errors.NotFound(f"there is no project `{project_id[:40]}`", hint="see the list of your projects")
        return ground

    async def _changeable(self, *, user_id: str, project_id: str) -> ports.Ground:
        ground = await self._visible(user_id=user_id, project_id=project_id)
        if ground.archived:
            raise errors.Forbidden("this project is archived", hint="one of its owners can open it again")
        if not ground.may_change:
            raise errors.Forbidden(
                "you may look at this project, not change it", hint="ask one of its owners to make you a member"
            )
        return ground

    async def _changeable_service(self, *, user_id: str, service_id: str) -> models.Service:
        service = await self.get(user_id=user_id, service_id=service_id)
        await self._changeable(user_id=user_id, project_id=service.project_id)
        if service.desired is models.Desired.DELETED:
            raise own.ServiceNotFound(service_id)
        return service

    async def _render(
        self, *, user_id: str, ground: ports.Ground, launch: models.Launch, service_id: str
    ) -> ports.Rendered:
        context = await self._rooms.charts.context(user_id=user_id, ground=ground, service_id=service_id)
        rendered = await self._rooms.charts.render(
            catalog=launch.catalog,
            chart=launch.chart,
            version=launch.version,
            values=launch.values,
            context=context,
            release=reconcile.release(launch.chart, service_id),
            namespace=ground.namespace,
        )
        # An unknown image, a foreign address or what the engine does not do is refused before anything is stored.
        await self._rooms.engine.check(
            contract.ApplyRequest(
                service_id=service_id,
                project=contract.Project(id=ground.project_id, namespace=ground.namespace),
                release=reconcile.release(launch.chart, service_id),
                manifests=rendered.manifests,
                images={
                    image: self._rooms.environments.digest(image) for image in manifests.images(rendered.manifests)
                },
                hosts=manifests.hosts(rendered.manifests, service_id=service_id, domain=self._rooms.domain),
            )
        )
        return rendered

    async def _store(
        self,
        draft: models.Service,
        *,
        rendered: ports.Rendered,
        ground: ports.Ground,
        variables: Mapping[str, str],
        key: str | None,
    ) -> models.Service:
        """Keep the service, its secrets and its identity; undone where any of it fails or the key was used."""
        belongings = self._rooms.belongings
        vault = await self._patiently(lambda: belongings.vault_token(ground=ground))
        stored = False
        try:
            token = await self._rooms.people.issue_token(service_id=draft.id, project_id=ground.project_id)
            identified = manifests.identify(
                rendered.manifests,
                service_id=draft.id,
                token=token,
                variables=variables,
                # rclone 1.60 reads the token from this variable alone, not from the file that other tools read.
                secret_variables={"VAULT_TOKEN": vault.token, "AWS_CONTAINER_AUTHORIZATION_TOKEN": token},
            )
            sealed, data = manifests.seal(identified)
            kept = reconcile.secret_key(draft.id, draft.revision)
            await self._patiently(lambda: belongings.keep(key=kept, data=data))
            revision = models.Revision(
                service_id=draft.id,
                number=draft.revision,
                manifests=sealed,
                images=manifests.images(rendered.manifests),
                hosts=manifests.hosts(rendered.manifests, service_id=draft.id, domain=self._rooms.domain),
                notes=rendered.notes,
            )
            stored = await self._rooms.store.add(draft, revision=revision, accessor=vault.accessor, key=key)
        finally:
            if not stored:
                await self._undo(draft, accessor=vault.accessor)
        if stored:
            return draft
        first = await self._rooms.store.by_key(key or "")
        if first is None:
            raise own.ServiceNotFound(draft.id)
        return first

    async def _patiently(self, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        """Nobody is refused a launch because a part of the lab is coming back this very moment. Unavailable after PATIENCE."""
        clock = self._rooms.clock
        last = clock.monotonic() + PATIENCE.total_seconds()
        while True:
            try:
                return await ask()
            except errors.Unavailable:
                if clock.monotonic() >= last:
                    raise
            await clock.sleep(ASK_AGAIN)

    async def _undo(self, draft: models.Service, *, accessor: str) -> None:
        await self._rooms.people.end_token(service_id=draft.id)
        await self._rooms.belongings.revoke(accessor=accessor)
        await self._rooms.belongings.forget(key=reconcile.secret_key(draft.id, draft.revision))

    async def _enter(self, service: models.Service, *, user_id: str, session_id: str, host: str, to: str) -> str:
        if service.state is not models.State.READY:
            raise own.NotOpenable(f"`{service.name}` does not answer yet", hint="follow its start on its page")
        address = await self._rooms.door.enter(user_id=user_id, session_id=session_id, host=host, to=to)
        await self._rooms.recent.opened(user_id=user_id, service=service, at=self._rooms.clock.now())
        return address

    async def _desire(self, service: models.Service, desired: models.Desired, **also: object) -> models.Service:
        changed = await self._change(service, desired=desired.value, **also)
        self._reconciler.wake(service.id)
        return changed

    async def _change(self, service: models.Service, **values: object) -> models.Service:
        changed = await self._rooms.store.change(service.id, **values)
        if changed is None:
            raise own.ServiceNotFound(service.id)
        self._publish(changed)
        return changed

    async def _tell(self, service: models.Service, kind: models.EventKind, *, detail: str = "") -> None:
        await self._rooms.store.tell(
            models.ServiceEvent(service_id=service.id, at=self._rooms.clock.now(), kind=kind, detail=detail)
        )
        self._publish(service, detail=kind.value)

    def _publish(self, service: models.Service, *, detail: str = "") -> None:
        self._rooms.events.publish(
            events.Event(topic="service", subject=service.id, project=service.project_id, detail=detail)
        )


def clean_name(text: str) -> str:
    """A name as it may be stored: 1 to 100 characters, none of control, spaces at its ends gone. Invalid otherwise."""
    name = unicodedata.normalize("NFC", text).strip()
    if not name or len(name) > NAME_LENGTH or any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        raise errors.Invalid(
            "this name cannot be used",
            hint=f"use 1 to {NAME_LENGTH} characters",
            fields={"name": f"1 to {NAME_LENGTH} characters, on one line"},
        )
    return name


def _weight(service: models.Service) -> contract.Resources:
    return quotas.weight(limits=service.limits, requests=service.requests)


def _key(user_id: str, key: str) -> str:
    """Launch keys are each person's own: nobody finds another's service by guessing one."""
    return f"{user_id}:{key[:64]}"


def _end(rooms: Rooms) -> datetime | None:
    days = rooms.settings.lifetime_days
    return rooms.clock.now() + timedelta(days=days) if days else None


def _draft(
    launch: models.Launch,
    rendered: ports.Rendered,
    *,
    ground: ports.Ground,
    user_id: str,
    service_id: str,
    rooms: Rooms,
) -> models.Service:
    now = rooms.clock.now()
    hosts = manifests.hosts(rendered.manifests, service_id=service_id, domain=rooms.domain)
    return models.Service(
        id=service_id,
        project_id=ground.project_id,
        owner_id=user_id,
        name=clean_name(launch.name or launch.chart),
        catalog=launch.catalog,
        chart=launch.chart,
        chart_version=rendered.chart_version,
        desired=models.Desired.RUNNING,
        state=models.State.WAITING,
        message="",
        revision=1,
        created_at=now,
        state_since=now,
        expires_at=_end(rooms),
        requests=manifests.resources(rendered.manifests, "requests"),
        limits=manifests.resources(rendered.manifests, "limits"),
        openable=bool(hosts),
        values=rendered.values,
        notes=rendered.notes,
    )
