"""A lab small enough for a test: real identity, door and database, the shipped fake engine, and a chart that needs no Helm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from etabli.assembly import bindings
from etabli.audit.service import Audit
from etabli.door.service import Door
from etabli.engines import contract, fake
from etabli.identity import accounts
from etabli.identity import service as identities
from etabli.identity.models import User
from etabli.identity.settings import IdentitySettings
from etabli.kernel import database, errors, settings
from etabli.kernel.clock import ManualClock
from etabli.kernel.events import Events
from etabli.services import ports
from etabli.services.metering import Meter
from etabli.services.models import Launch, Service, State
from etabli.services.quotas import Quotas
from etabli.services.recent import RecentLaunches
from etabli.services.reconcile import Reconciler
from etabli.services.service import Rooms, Services
from etabli.services.settings import ServicesSettings
from etabli.services.store import Store

IMAGE = "etabli/python"
DAEMON_SET = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "everywhere"}}
PASSWORD = "a long and quiet password"


class Charts:
    """One chart, `notebook`: a StatefulSet with an address, a Secret drawn at random, a refusal when asked."""

    def __init__(self) -> None:
        self.drawn = 0

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
        if chart != "notebook":
            raise errors.NotFound(f"there is no chart `{chart}`")
        if "bad" in values:
            raise errors.Invalid("a value is wrong", fields={"bad": "unknown"})
        self.drawn += 1
        host = str(values.get("host") or f"alice-{context['service']}-0.{context['domain']}")
        return ports.Rendered(
            chart_version=version or "1.0.0",
            manifests=(
                *notebook(release, host=host, image=str(values.get("image") or IMAGE), drawn=self.drawn),
                *([DAEMON_SET] if "cluster" in values else []),
            ),
            notes="Open it.",
            values=values,
        )

    async def context(self, *, user_id: str, ground: ports.Ground, service_id: str) -> Mapping[str, object]:
        return {"service": service_id, "domain": "svc.etabli.localhost"}


class Environments:
    """Two environments; the second must be built, and may fail."""

    def __init__(self) -> None:
        self.built = {"sha-python"}
        self.building = asyncio.Event()
        self.failure: errors.EtabliError | None = None
        self.words = ""

    def digest(self, image: str) -> str:
        if image not in {IMAGE, "etabli/slow"}:
            raise errors.NotFound(f"there is no environment `{image}`")
        return f"sha-{image.partition('/')[2]}"

    def is_built(self, digest: str) -> bool:
        return digest in self.built

    def progress(self, image: str) -> str:
        return self.words

    async def ensure(self, image: str) -> None:
        await self.building.wait()
        if self.failure is not None:
            raise self.failure
        self.built.add(self.digest(image))


@dataclass
class Belongings:
    """Secrets in memory, vault tokens that can die, and a storage that can be away."""

    kept: dict[str, Mapping[str, str]] = field(default_factory=dict)
    alive: set[str] = field(default_factory=set)
    count: int = 0
    away: bool = False
    asked: int = 0  # How often while it was away.

    async def authorities(self) -> ports.Authorities:
        return ports.Authorities()

    async def prepare(self, *, ground: ports.Ground) -> Mapping[str, str]:
        if self.away:
            self.asked += 1
            raise errors.Unavailable("the store does not answer")
        return {"ETABLI_BUCKET": ground.slug}

    async def vault_token(self, *, ground: ports.Ground) -> ports.VaultToken:
        self.count += 1
        self.alive.add(f"accessor-{self.count}")
        return ports.VaultToken(token=f"vault-secret-{self.count}", accessor=f"accessor-{self.count}")

    async def renew(self, *, accessor: str) -> bool:
        return accessor in self.alive

    async def revoke(self, *, accessor: str) -> None:
        self.alive.discard(accessor)

    async def keep(self, *, key: str, data: Mapping[str, str]) -> None:
        self.kept[key] = data

    async def fetch(self, *, key: str) -> Mapping[str, str]:
        return self.kept[key]

    async def forget(self, *, key: str) -> None:
        self.kept.pop(key, None)


@dataclass
class Lab:
    """Everything, and a way to start the portal's part again."""

    database: database.Database
    identity: identities.Identity
    world: fake.World
    charts: Charts
    environments: Environments
    belongings: Belongings
    clock: ManualClock
    events: Events
    settings: ServicesSettings
    alice: User
    bob: User
    alices: str  # The id of alice's project.
    automatic: bool = True

    def portal(self) -> Portal:
        """The services' part of a portal that starts now."""
        engine = fake.FakeEngine(self.world, automatic=self.automatic)
        lab = settings.LabSettings()
        rooms = Rooms(
            store=Store(database=self.database),
            recent=RecentLaunches(database=self.database),
            people=bindings.People(self.identity),
            charts=self.charts,
            environments=self.environments,
            belongings=self.belongings,
            door=Door(database=self.database, clock=self.clock, lab=lab),
            engine=engine,
            events=self.events,
            clock=self.clock,
            settings=self.settings,
            audit=Audit(database=self.database, clock=self.clock),
            meter=Meter(database=self.database, clock=self.clock),
            quotas=Quotas(database=self.database, clock=self.clock, settings=self.settings),
            domain=lab.services_domain,
        )
        reconciler = Reconciler(rooms)
        return Portal(self, rooms, engine, reconciler, Services(rooms, reconciler=reconciler))

    def launch(self, **also: object) -> Launch:
        """Alice's launch of the notebook."""
        return Launch(project_id=self.alices, catalog="ide", chart="notebook", **also)  # type: ignore[arg-type]


@dataclass
class Portal:
    """One life of the portal."""

    lab: Lab
    rooms: Rooms
    engine: fake.FakeEngine
    reconciler: Reconciler
    services: Services

    async def launch(self, **also: object) -> Service:
        return await self.services.launch(user_id=self.lab.alice.id, launch=self.lab.launch(**also))

    async def get(self, service_id: str) -> Service:
        return await self.services.get(user_id=self.lab.alice.id, service_id=service_id)

    async def until(self, service_id: str, *states: State) -> Service:
        """The service once it is in one of these states."""
        async with asyncio.timeout(10):
            while (service := await self.get(service_id)).state not in states:
                assert service.state is not State.FAILED, service.message
                await self.settle()
        return service

    async def settle(self) -> None:
        """Let background work take its turn."""
        await asyncio.sleep(0.002)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """With the background work on; leaving it is what a kill leaves behind."""
        task = asyncio.ensure_future(self.reconciler.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def lab(folder: Path, **also: object) -> AsyncIterator[Lab]:
    """A lab with two people in `folder`."""
    layout = settings.Layout(data=folder / "data", run=folder / "run")
    layout.make()
    clock, db = ManualClock(), database.Database(database.sqlite_url(layout.database))
    await db.create_tables()
    cheap = IdentitySettings(hash_memory_kib=8192, hash_passes=1)
    identity = identities.build(
        database=db, clock=clock, layout=layout, origin="http://etabli.localhost:8000", settings=cheap
    )
    await identity.open()
    token = await identity.invitations.first_link()
    assert token is not None
    alice = await identity.invitations.join(token=token, form=accounts.Form(name="Alice", password=PASSWORD))
    bob = await _another(identity, by=alice, name="Bob")
    try:
        yield Lab(
            database=db,
            identity=identity,
            world=fake.World(),
            charts=Charts(),
            environments=Environments(),
            belongings=Belongings(),
            clock=clock,
            events=Events(),
            settings=ServicesSettings(),
            alice=alice,
            bob=bob,
            alices=(await identity.projects.personal(user_id=alice.id)).id,
            **also,  # type: ignore[arg-type]
        )
    finally:
        await db.close()


async def _another(identity: identities.Identity, *, by: User, name: str) -> User:
    invited = await identity.invitations.invite(by=by, lifetime=timedelta(days=1))
    return await identity.invitations.join(token=invited.token, form=accounts.Form(name=name, password=PASSWORD))


def notebook(release: str, *, host: str, image: str, drawn: int) -> list[contract.Manifest]:
    """What the chart renders."""
    labels = {"app": release}
    container = {
        "name": "main",
        "image": image,
        "command": ["jupyter", "lab"],
        "ports": [{"containerPort": 8888, "name": "http"}],
        "env": [{"name": "ETABLI_BUCKET", "value": "chosen-by-the-chart"}],
        "envFrom": [{"secretRef": {"name": release}}],
        "resources": {"requests": {"cpu": "500m"}, "limits": {"memory": "1Gi", "cpu": 2}},
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": release},
            "stringData": {"PASSWORD": f"drawn-{drawn}"},
        },
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": release},
            "spec": {
                "serviceName": release,
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
            },
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": release},
            "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": "http"}]},
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": release},
            "spec": {
                "rules": [
                    {
                        "host": host,
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": release, "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ]
            },
        },
    ]
