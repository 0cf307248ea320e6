"""The rooms that the command line uses by itself, whether the lab runs or not: sandboxes, environments, the engine, what is stored."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from etabli.assembly.configuration import Configuration
from etabli.engines.process import store
from etabli.engines.process.engine import ProcessEngine
from etabli.engines.process.ports import Door
from etabli.environments.service import Environments
from etabli.environments.walls import SandboxBuilder
from etabli.kernel import database, errors, events, settings
from etabli.kernel.clock import Clock, SystemClock
from etabli.sandbox.service import Sandboxes
from etabli.services.store import Store

BUILTIN = Path(__file__).resolve().parent.parent / "builtin"  # Charts and environments, where the package carries them.


@dataclass(frozen=True)
class Parts:
    """What was opened."""

    layout: settings.Layout
    sandboxes: Sandboxes
    environments: Environments
    engine: ProcessEngine
    services: Store

    async def has_database(self) -> bool:
        """Whether the lab has ever started."""
        return self.layout.database.exists()

    async def digests_in_use(self) -> frozenset[str]:
        """The environments that services stand on: what they were started with, and what they would start with now."""
        if not await self.has_database():
            return frozenset()
        found = set(await asyncio.to_thread(store.digests, self.layout.engine))
        for record in await self.services.all():
            revision = await self.services.revision(record.service.id, record.service.revision)
            for image in revision.images:
                try:
                    found.add(self.environments.digest(image))
                except errors.EtabliError:
                    continue  # An environment whose folder is gone or wrong means no tree.
        return frozenset(found)


@asynccontextmanager
async def opened(
    layout: settings.Layout, configuration: Configuration, *, environ: Mapping[str, str]
) -> AsyncIterator[Parts]:
    """The parts over the lab's folders, closed in the end; nothing that runs is ended by that."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        db = database.Database(database.sqlite_url(layout.database))
        stack.push_async_callback(db.close)
        sandboxes = make_sandboxes(layout, configuration, clock=clock)
        stack.push_async_callback(sandboxes.close)
        environments = make_environments(
            layout, configuration, sandboxes=sandboxes, clock=clock, bus=events.Events(), environ=environ
        )
        stack.push_async_callback(environments.close)
        engine = make_engine(layout, configuration, sandboxes=sandboxes, environments=environments, clock=clock)
        stack.push_async_callback(engine.close)
        yield Parts(layout, sandboxes, environments, engine, Store(database=db))


def builtin(kind: str) -> Path:
    """The charts or environments that come with Etabli: in the package where it is installed, beside it in a checkout."""
    inside = BUILTIN / kind
    return inside if inside.is_dir() else Path(__file__).resolve().parents[3] / kind


def make_sandboxes(layout: settings.Layout, configuration: Configuration, *, clock: Clock) -> Sandboxes:
    """The walls of this machine."""
    lab = configuration.lab
    return Sandboxes(
        state=layout.engine / "grounds",
        run=layout.run,
        settings=configuration.sandbox,
        clock=clock,
        loopback_port=lab.port if lab.domain.endswith(".localhost") else None,
    )


def make_environments(
    layout: settings.Layout,
    configuration: Configuration,
    *,
    sandboxes: Sandboxes,
    clock: Clock,
    bus: events.Events,
    environ: Mapping[str, str],
) -> Environments:
    """The built-in environments and the administrator's, built in sandboxes."""
    return Environments(
        folders=[builtin("environments")],
        root=configuration.environments.store or layout.environments,
        builder=SandboxBuilder(sandboxes, configuration.environments),
        events=bus,
        clock=clock,
        environ=environ,
        settings=configuration.environments,
    )


def make_engine(
    layout: settings.Layout,
    configuration: Configuration,
    *,
    sandboxes: Sandboxes,
    environments: Environments,
    clock: Clock,
) -> ProcessEngine:
    """The process engine, with the lab's own addresses inside every pod."""
    lab = configuration.lab
    return ProcessEngine(
        layout=layout,
        sandboxes=sandboxes,
        trees=environments,
        clock=clock,
        settings=configuration.engine,
        door=Door(
            names=(lab.domain, f"s3.{lab.domain}", f"vault.{lab.domain}"),
            port=lab.port,
            front=layout.socket("front"),
            credentials=layout.socket("credentials"),
        ),
    )
