"""The rooms of a lab in a folder, real but for what needs a machine: builds are done at once, secrets are kept in memory."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from etabli.admin import machine
from etabli.admin import service as administrations
from etabli.audit.service import Audit
from etabli.backup.settings import BackupSettings
from etabli.backup.standing import Notebook
from etabli.catalog import context
from etabli.catalog.service import Catalog
from etabli.catalog.settings import BUILTIN, CatalogEntry, CatalogSettings
from etabli.door.service import Door
from etabli.engines.fake import FakeEngine
from etabli.identity import models, service
from etabli.identity.settings import IdentitySettings
from etabli.kernel import errors, ids
from etabli.kernel.clock import SystemClock
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.events import Events
from etabli.kernel.settings import LabSettings, Layout
from etabli.leaving.service import Leaving
from etabli.leaving.store import Store as Ends
from etabli.mail.service import Mail
from etabli.mail.settings import MailSettings
from etabli.services import ports
from etabli.services.metering import Meter
from etabli.services.oversight import Oversight
from etabli.services.quotas import Quotas
from etabli.services.recent import RecentLaunches
from etabli.services.reconcile import Reconciler
from etabli.services.service import Rooms as ServiceRooms
from etabli.services.service import Services
from etabli.services.settings import ServicesSettings
from etabli.services.store import Store
from etabli.storage.settings import StorageSettings
from etabli.web.branding import Branding
from etabli.web.guides import Guides
from etabli.web.rooms import Rooms

CHARTS = Path(__file__).parent / "charts"
DOCS = Path(__file__).parents[2] / "docs"
CATALOGS = CatalogSettings(
    catalogs=[
        CatalogEntry(
            id="ide",
            name={"en": "Interactive services", "fr": "Services interactifs"},
            description={"en": "Notebooks, editors, databases", "fr": "Carnets, éditeurs, bases de données"},
            location=BUILTIN,
            highlighted=["notebook"],
        )
    ]
)
CHEAP = IdentitySettings(requests=True, hash_memory_kib=8192, hash_passes=1, hash_lanes=1)


@dataclass(frozen=True)
class People:
    """Services' port on identity."""

    identity: service.Identity

    async def ground(self, *, user_id: str, project_id: str) -> ports.Ground | None:
        try:
            access = await self.identity.projects.require(user_id=user_id, project_id=project_id)
        except errors.NotFound:
            return None
        return _ground(access.project, may_change=access.may_work)

    async def projects(self, *, user_id: str) -> frozenset[str]:
        return frozenset(access.project.id for access in await self.identity.projects.list(user_id=user_id))

    async def project_ground(self, *, project_id: str) -> ports.Ground:
        return _ground(await self.identity.projects.get(project_id=project_id), may_change=True)

    async def issue_token(self, *, service_id: str, project_id: str) -> str:
        return f"token-of-{service_id}"

    async def end_token(self, *, service_id: str) -> None:
        pass

    async def archive(self, *, by: models.User, project_id: str) -> None:
        await self.identity.projects.archive(by=by, project_id=project_id)

    async def reopen(self, *, by: models.User, project_id: str) -> None:
        await self.identity.projects.reopen(by=by, project_id=project_id)

    async def archived(self) -> frozenset[str]:
        return await self.identity.projects.archived()


@dataclass(frozen=True)
class Charts:
    """Services' port on the catalogue."""

    catalog: Catalog
    lab: LabSettings
    identity: service.Identity

    async def render(
        self,
        *,
        catalog: str,
        chart: str,
        version: str | None,
        values: Mapping[str, object],
        context: Mapping[str, object],
        release: str,
        namespace: str,
    ) -> ports.Rendered:
        found = await self.catalog.render(
            catalog=catalog,
            chart=chart,
            version=version,
            values=values,
            context=context,
            release=release,
            namespace=namespace,
        )
        return ports.Rendered(
            chart_version=found.chart_version, manifests=found.manifests, notes=found.notes, values=found.values
        )

    async def context(self, *, user_id: str, ground: ports.Ground, service_id: str) -> Mapping[str, object]:
        user = await self.identity.people.get(user_id=user_id)
        return context.Context(
            user=context.User(idep=user.slug, name=user.name, email=user.email),
            project=context.Project(id=ground.slug),
            git=context.Git(name=user.name, email=user.email),
            k8s=context.K8s(domain=self.lab.services_domain, random_subdomain=service_id),
        ).tree()


class Environments:
    """One environment, which is built as soon as it is asked for, or when the test says so."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.ready.set()

    def digest(self, image: str) -> str:
        return f"digest-of-{image}"

    async def ensure(self, image: str) -> None:
        await self.ready.wait()

    def progress(self, image: str) -> str:
        return "installing 137 packages"

    def is_built(self, digest: str) -> bool:
        return self.ready.is_set()


@dataclass
class Belongings:
    """Secrets in memory."""

    kept: dict[str, Mapping[str, str]] = field(default_factory=dict)

    async def authorities(self) -> ports.Authorities:
        return ports.Authorities()

    async def prepare(self, *, ground: ports.Ground) -> Mapping[str, str]:
        return {"AWS_DEFAULT_REGION": "local"}

    async def vault_token(self, *, ground: ports.Ground) -> ports.VaultToken:
        return ports.VaultToken(token="vault-token", accessor=ids.new_id())

    async def renew(self, *, accessor: str) -> bool:
        return True

    async def revoke(self, *, accessor: str) -> None:
        pass

    async def keep(self, *, key: str, data: Mapping[str, str]) -> None:
        self.kept[key] = data

    async def fetch(self, *, key: str) -> Mapping[str, str]:
        return self.kept[key]

    async def forget(self, *, key: str) -> None:
        self.kept.pop(key, None)


@dataclass(frozen=True)
class Buckets:
    """What projects' files weigh."""

    async def size(self, *, project: models.Project) -> tuple[int, int]:
        return 3, 5 << 20


@dataclass(frozen=True)
class Supervised:
    """One component that runs, one that does not; two settings."""

    def components(self) -> tuple[machine.Component, ...]:
        since = "2026-11-24T10:00:00+00:00"
        return (
            machine.Component("caddy", "running", True, since, "2.11.7", 1, 60 << 20, 3, 0, ""),
            machine.Component("openbao", "fatal", False, "", "2.7.2", None, None, 5, 5, "exit code 1: it is sealed"),
        )

    def settings(self) -> tuple[machine.Setting, ...]:
        return (
            machine.Setting("lab", "name", '"Etabli"', '"Etabli"', "default", None, "What people read."),
            machine.Setting("services", "per_project", "9", "50", "file", 4, "How many."),
            machine.Setting("environment", "ETABLI_RUN", '"/run/x"', "", "environment", None, "Sockets."),
        )


@dataclass
class Shelf:
    """The lab's own bucket, in memory."""

    objects: dict[str, bytes] = field(default_factory=dict)

    async def put(self, *, key: str, content: bytes, content_type: str) -> None:
        self.objects[key] = content


class Remains:
    """Buckets and vault folders of projects: which were erased."""

    def __init__(self) -> None:
        self.erased: list[str] = []
        self.away = False

    async def erase(self, *, project: models.Project) -> None:
        if self.away:
            raise errors.Unavailable("the object store does not answer", hint="wait")
        self.erased.append(project.slug)


@asynccontextmanager
async def rooms(
    folder: Path,
    *,
    lab: LabSettings,
    engine: FakeEngine,
    people: IdentitySettings = CHEAP,
    mail: MailSettings = MailSettings(),  # noqa: B008 - It is frozen.
) -> AsyncIterator[Rooms]:
    """Every room, its background work running."""
    layout = Layout(data=folder / "data", run=folder / "run")
    layout.make()
    database, clock, events = Database(sqlite_url(layout.database)), SystemClock(), Events()
    await database.create_tables()
    identity = service.build(database=database, clock=clock, layout=layout, origin=lab.origin, settings=people)
    await identity.open()
    identity.standings.watch(events)
    door = Door(database=database, clock=clock, lab=lab)
    http = httpx.AsyncClient()
    catalog = Catalog(CATALOGS, builtin=CHARTS, cache=folder / "charts", http=http, clock=clock)
    await catalog.load()
    audit = Audit(database=database, clock=clock)
    beneath = ServiceRooms(
        store=Store(database=database),
        recent=RecentLaunches(database=database),
        people=People(identity),
        charts=Charts(catalog, lab, identity),
        environments=Environments(),
        belongings=Belongings(),
        door=door,
        engine=engine,
        events=events,
        clock=clock,
        settings=ServicesSettings(),
        audit=audit,
        meter=Meter(database=database, clock=clock),
        quotas=Quotas(database=database, clock=clock, settings=ServicesSettings()),
        domain=lab.services_domain,
    )
    reconciler = Reconciler(beneath)
    services = Services(beneath, reconciler=reconciler)
    working = asyncio.create_task(reconciler.run())
    try:
        yield Rooms(
            identity=identity,
            catalog=catalog,
            services=services,
            door=door,
            mail=Mail(database=database, clock=clock, settings=mail, domain=lab.domain),
            events=events,
            clock=clock,
            lab=lab,
            branding=Branding(folder=layout.data, clock=clock),
            guides=Guides(DOCS),
            leaving=Leaving(
                identity=identity, services=services, belongings=Remains(), store=Ends(database=database), clock=clock
            ),
            audit=audit,
            admin=administrations.build(
                database=database,
                clock=clock,
                events=events,
                identity=identity,
                door=door,
                oversight=Oversight(beneath, reconciler=reconciler),
                catalog=catalog,
                buckets=Buckets(),
                supervised=Supervised(),
            ),
            s3_region=StorageSettings().region,
            shelf=Shelf(),
            backups=Notebook(settings=BackupSettings(), folder=layout.data / "backup", clock=clock),
        )
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await identity.close()
        await catalog.close()
        await http.aclose()
        await database.close()


def _ground(project: models.Project, *, may_change: bool) -> ports.Ground:
    personal = project.kind is models.ProjectKind.PERSONAL
    return ports.Ground(
        project_id=project.id,
        slug=project.slug,
        namespace=f"{'user' if personal else 'project'}-{project.slug}",
        personal=personal,
        may_change=may_change,
        archived=project.archived_at is not None,
    )
