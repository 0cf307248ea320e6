"""The portal: one process with every room in it, its background work, and the pages and API on a UNIX socket.

It may be killed at any moment: what it was doing is in the database, and services run on. Whatever needs another part of the lab
waits for it in the background; pages are there at once.
"""

import asyncio
import io
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

if __name__ == "__main__":
    import etabli.assembly.lean  # noqa: F401 - Before whatever would load what it keeps out.

import httpx
import structlog
import uvicorn

from etabli.admin import service as administrations
from etabli.admin.service import Administration
from etabli.assembly import authorities, bindings, departures, migrations, parts
from etabli.assembly import configuration as configurations
from etabli.assembly.configuration import Configuration
from etabli.assembly.machine import LocalMachine
from etabli.audit.service import Audit
from etabli.backup import standing
from etabli.catalog.service import Catalog
from etabli.components import caddy, openbao, seaweedfs, vault_setup
from etabli.door import activity
from etabli.door.service import Door
from etabli.engines.process.engine import ProcessEngine
from etabli.environments.service import Environments
from etabli.identity import service as identities
from etabli.kernel import database, errors, events, settings
from etabli.kernel.clock import Clock, SystemClock
from etabli.leaving.service import Leaving
from etabli.leaving.store import Store as Ends
from etabli.mail.service import Mail
from etabli.secrets.client import Client as VaultClient
from etabli.secrets.service import Vault
from etabli.services.metering import Meter
from etabli.services.oversight import Oversight
from etabli.services.quotas import Quotas
from etabli.services.recent import RecentLaunches
from etabli.services.reconcile import Reconciler
from etabli.services.service import Rooms as ServiceRooms
from etabli.services.service import Services
from etabli.services.store import Store
from etabli.storage.client import Client
from etabli.storage.endpoint import CredentialEndpoint
from etabli.storage.models import Keys
from etabli.storage.own import OwnBucket
from etabli.storage.service import Storage
from etabli.web import app, notices
from etabli.web.branding import Branding
from etabli.web.guides import Guides
from etabli.web.rooms import Rooms as WebRooms

log = structlog.get_logger()

BACKLOG = 2048  # Connections that wait while the loop is busy.
RETRY = timedelta(seconds=1)
TEND = timedelta(days=1)  # The lab's own vault token lives 30 days after each renewal.
SWEEP = timedelta(minutes=1)
MEASURE = timedelta(hours=6)  # Between two looks at what buckets hold.
COPY = timedelta(hours=1)  # Between two looks whether a day of the audit log is complete.
LOOK = timedelta(minutes=1)  # Between two looks at whether a backup is due.
SHUTDOWN_SECONDS = 3  # Streams of pages end with the portal; browsers come back by themselves.


@dataclass(frozen=True)
class Lab:
    """Every room of one lab, bound to the others."""

    layout: settings.Layout
    configuration: Configuration
    database: database.Database
    identity: identities.Identity
    catalog: Catalog
    environments: Environments
    audit: Audit
    storage: Storage
    own_bucket: OwnBucket
    vault: Vault
    door: Door
    engine: ProcessEngine
    services: Services
    reconciler: Reconciler
    admin: Administration
    events: events.Events
    mail: Mail
    clock: Clock


@asynccontextmanager
async def assembled(layout: settings.Layout, configuration: Configuration) -> AsyncIterator[Lab]:
    """The rooms over the lab's folders, closed in the end. The database is migrated first."""
    clock, bus, lab = SystemClock(), events.Events(), configuration.lab
    await asyncio.to_thread(migrations.migrate, layout.database, now=clock.now())
    async with AsyncExitStack() as stack:
        db = database.Database(database.sqlite_url(layout.database))
        stack.push_async_callback(db.close)
        http = await stack.enter_async_context(httpx.AsyncClient(follow_redirects=True))
        identity = identities.build(
            database=db,
            clock=clock,
            layout=layout,
            origin=lab.origin,
            settings=configuration.identity,
            lab=lab.name,
            environ=os.environ,
        )
        stack.push_async_callback(identity.close)
        await identity.open()
        identity.standings.watch(bus)
        sandboxes = parts.make_sandboxes(layout, configuration, clock=clock)
        stack.push_async_callback(sandboxes.close)
        environments = parts.make_environments(
            layout, configuration, sandboxes=sandboxes, clock=clock, bus=bus, environ=os.environ
        )
        stack.push_async_callback(environments.close)
        engine = parts.make_engine(layout, configuration, sandboxes=sandboxes, environments=environments, clock=clock)
        stack.push_async_callback(engine.close)
        store_client = _store_client(layout, configuration, stack=stack)
        storage = Storage(
            client=store_client, issuer=identity.issuer, clock=clock, lab=lab, settings=configuration.storage
        )
        audit = Audit(database=db, clock=clock)
        vault_client = VaultClient(socket=layout.socket("vault"))
        stack.push_async_callback(vault_client.close)
        vault = Vault(
            client=vault_client, issuer=identity.issuer, lab=lab, lab_token=partial(openbao.lab_token, layout)
        )
        catalog = Catalog(
            configuration.catalog,
            builtin=parts.builtin("charts"),
            cache=layout.data / "catalog",
            http=http,
            clock=clock,
        )
        stack.push_async_callback(catalog.close)
        await catalog.load()
        door = Door(database=db, clock=clock, lab=lab)
        rooms = ServiceRooms(
            store=Store(database=db),
            recent=RecentLaunches(database=db),
            people=bindings.People(identity),
            charts=bindings.Charts(catalog, identity, storage, vault, engine, lab),
            environments=environments,
            belongings=bindings.Belongings(
                identity,
                storage,
                vault,
                environments,
                authorities.Trust(layout, lab, configuration.front_door, environments.authorities()),
            ),
            door=door,
            engine=engine,
            events=bus,
            clock=clock,
            settings=configuration.services,
            audit=audit,
            meter=Meter(database=db, clock=clock),
            quotas=Quotas(database=db, clock=clock, settings=configuration.services),
            domain=lab.services_domain,
            deletions_held=partial(standing.deletions_held, layout.data),
        )
        reconciler = Reconciler(rooms)
        yield Lab(
            layout=layout,
            configuration=configuration,
            database=db,
            identity=identity,
            catalog=catalog,
            environments=environments,
            audit=audit,
            storage=storage,
            own_bucket=OwnBucket(client=store_client),
            vault=vault,
            door=door,
            engine=engine,
            services=Services(rooms, reconciler=reconciler),
            reconciler=reconciler,
            admin=administrations.build(
                database=db,
                clock=clock,
                events=bus,
                identity=identity,
                door=door,
                oversight=Oversight(rooms, reconciler=reconciler),
                catalog=catalog,
                buckets=storage,
                supervised=LocalMachine(layout, configuration, os.environ),
            ),
            events=bus,
            mail=Mail(database=db, clock=clock, settings=configuration.mail, domain=lab.domain),
            clock=clock,
        )


async def serve(layout: settings.Layout, configuration: Configuration) -> None:
    """Run the portal until SIGTERM."""
    async with assembled(layout, configuration) as lab:
        await lab.identity.invitations.first_link()
        rooms = web_rooms(lab)
        web = app.create(rooms)
        stopped = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopped.set)
        async with AsyncExitStack() as stack:
            keys_for_services = CredentialEndpoint(storage=lab.storage, tokens=lab.identity.service_tokens)
            await stack.enter_async_context(keys_for_services.serving(layout.socket("credentials")))
            in_use = activity.listening(layout.socket(activity.NAME), lab.identity.sessions.used)
            await stack.enter_async_context(in_use)
            await lab.engine.start()
            await lab.reconciler.begin()
            await stack.enter_async_context(
                _background(lab, partial(notices.look, rooms, web.state.renderer), rooms.leaving.tend)
            )
            await stack.enter_async_context(_answering(web, layout.socket("portal")))
            log.info("portal ready")
            await stopped.wait()


def web_rooms(lab: Lab) -> WebRooms:
    """What pages and the API need of a lab."""
    return WebRooms(
        identity=lab.identity,
        catalog=lab.catalog,
        services=lab.services,
        door=lab.door,
        events=lab.events,
        mail=lab.mail,
        clock=lab.clock,
        lab=lab.configuration.lab,
        branding=Branding(folder=lab.layout.data, clock=lab.clock),
        guides=Guides(parts.builtin("docs")),
        leaving=Leaving(
            identity=lab.identity,
            services=lab.services,
            belongings=bindings.Remains(lab.storage, lab.vault),
            store=Ends(database=lab.database),
            clock=lab.clock,
        ),
        audit=lab.audit,
        admin=lab.admin,
        s3_region=lab.storage.region,
        shelf=lab.own_bucket,
        backups=_notebook(lab),
    )


@asynccontextmanager
async def _background(
    lab: Lab, notices_due: Callable[[], Awaitable[None]], ends_due: Callable[[], Awaitable[None]]
) -> AsyncIterator[None]:
    """Everything that goes on by itself; `notices_due` tells people what they are to be told, `ends_due` ends accounts.

    A task that ends with an error is logged; the portal ends, and is started again.
    """
    tasks = [
        asyncio.create_task(work, name=name)
        for name, work in {
            "services": lab.reconciler.run(),
            "catalogue": lab.catalog.run(),
            "identity": _every(lab.clock, SWEEP, lab.identity.sweep),
            "door": _every(lab.clock, SWEEP, lab.door.prune),
            "usage": _every(lab.clock, MEASURE, lab.admin.usage.measure),
            "audit": _every(lab.clock, COPY, partial(_tend_audit, lab)),
            "notices": _every(lab.clock, SWEEP, notices_due),
            "accounts' ends": _every(lab.clock, SWEEP, ends_due),
            "mail": _every(lab.clock, TEND, lab.mail.sweep),
            "store": _until_done(lab.clock, lambda: seaweedfs.make_durable(lab.layout)),
            "vault's token": _tend(lab),
            "vault": _until_done(
                lab.clock, lambda: vault_setup.ensure_vault_ready(lab.layout, lab.configuration.lab, clock=lab.clock)
            ),
            "departures": departures.Departures(lab.identity, lab.storage, lab.engine, lab.clock).follow(lab.events),
            "environments": lab.environments.warm(),
            "backups": _every(lab.clock, LOOK, partial(_back_up, lab), at_once=False),
            "authority": _until_done(lab.clock, lambda: _export_root(lab)),
        }.items()
    ]
    for task in tasks:
        task.add_done_callback(_end_with)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _end_with(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("background work ended", work=task.get_name(), exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)


async def _every(clock: Clock, period: timedelta, work: Callable[[], Awaitable[None]], *, at_once: bool = True) -> None:
    if not at_once:
        await clock.sleep(period)
    while True:
        try:
            await work()
        except Exception:
            log.exception("background work failed")
        await clock.sleep(period)


async def _until_done(clock: Clock, work: Callable[[], Awaitable[object]]) -> None:
    """Again and again while a part of the lab is not there yet."""
    while True:
        try:
            await work()
        except errors.Unavailable as error:
            log.debug("waiting", reason=error.message)
            await clock.sleep(RETRY)
        else:
            return


async def _tend(lab: Lab) -> None:
    """Renew the lab's own vault token every day, from when the vault is there."""
    await _until_done(lab.clock, lab.vault.tend)
    await _every(lab.clock, TEND, lab.vault.tend, at_once=False)


async def _tend_audit(lab: Lab) -> None:
    """Copy what is complete of the audit log; next time where the store is away."""
    try:
        await lab.audit.tend(lab.own_bucket, lab.configuration.audit)
    except errors.Unavailable as error:
        log.info("audit log not copied yet", reason=error.message)


def _notebook(lab: Lab) -> standing.Notebook:
    folder = standing.folder(lab.layout.data)
    return standing.Notebook(settings=lab.configuration.backup, folder=folder, clock=lab.clock)


async def _back_up(lab: Lab) -> None:
    """Take a backup when its turn has come, then forget those that are not kept: in processes that outlive this one and give way."""
    if not _notebook(lab).is_due():
        return
    for words in (("backup", "now"), ("backup", "prune")):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "etabli.main", *words, stdin=asyncio.subprocess.DEVNULL, start_new_session=True
        )
        if await process.wait() != 0:
            return  # It said why on standard error, which is the portal's log, and in what `doctor` reads.


async def _export_root(lab: Lab) -> None:
    """Hand out the lab's own root certificate, where Caddy makes one."""
    if not lab.configuration.lab.https or not lab.configuration.front_door.own_authority:
        return
    if not await asyncio.to_thread(caddy.export_root, lab.layout, lab.layout.root_certificate):
        raise errors.Unavailable("the front door has made no authority yet")


@asynccontextmanager
async def _answering(web: object, path: Path) -> AsyncIterator[None]:
    """The application on a 0600 UNIX socket."""
    listener = _listen(path)
    config = uvicorn.Config(
        web,  # type: ignore[arg-type] # An ASGI application; uvicorn's own alias is private.
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        lifespan="off",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined, method-assign, unused-ignore]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def _listen(path: Path) -> socket.socket:
    """A listening socket that was born 0600, in the place of the one that a killed portal left."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    return listener


def _store_client(layout: settings.Layout, configuration: Configuration, *, stack: AsyncExitStack) -> Client:
    held = seaweedfs.keys(layout)
    client = Client(
        socket=layout.socket("s3"),
        origin=configuration.lab.s3_origin,
        region=configuration.storage.region,
        keys=Keys(access_key=held.access_key, secret_key=held.secret_key),
    )
    stack.push_async_callback(client.close)
    return client


def main() -> int:
    """`python -m etabli.assembly.portal`: the lab whose folders ETABLI_DATA and ETABLI_RUN name; 1 with a sentence when refused."""
    _log_to_standard_error()
    layout = settings.default_layout(os.environ)
    try:
        asyncio.run(serve(layout, configurations.load(layout)))
    except errors.EtabliError as error:
        print(f"etabli: {error.message}", *([f"hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return 1
    return 0


class _Unfailing(io.TextIOBase):
    """Standard error, where what a full disk does not take is dropped: telling of something must not make it fail."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stderr.flush()


def _log_to_standard_error() -> None:
    """One line an event, key=value, to what the supervisor keeps as the component's log."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.WriteLoggerFactory(file=_Unfailing()),  # type: ignore[arg-type] # It writes and flushes, which is all that is used.
        cache_logger_on_first_use=True,
    )


if __name__ == "__main__":
    sys.exit(main())
