"""The use cases of environments: which there are, what they are called, building them once, showing how far that is, removing them.

One build of a digest runs at a time on this machine, whatever the number of processes that ask: the others wait for it and tell what
it tells. A lab that is killed in the middle leaves a folder without a lock: the next build of that digest ends what still runs
of it, removes it, and finds in the cache what was downloaded. Events have the topic `build` and the environment's name.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from errno import EDQUOT, ENOSPC
from pathlib import Path
from typing import TypeVar

import structlog

from etabli.environments import bases, build, debian, indexes, models, ports, spec, tree
from etabli.environments.errors import BuildFailed, DiskFull, NotLocked
from etabli.environments.models import BuildPhase, BuildState
from etabli.environments.settings import EnvironmentSettings
from etabli.environments.store import CACHE_LOCK, ROOT, TREE, Store
from etabli.kernel import errors, files
from etabli.kernel.clock import Clock
from etabli.kernel.events import Event, Events
from etabli.sandbox.models import ENVIRONMENT_PATH, Root

log = structlog.get_logger()

Made = TypeVar("Made", models.Tree, models.BaseRoot)

TOPIC = "build"
LOOK_EVERY = timedelta(milliseconds=250)  # At a build that another process runs.
BASE_LOCK = "base"
LOG_BYTES = 256 << 10  # Of a log, shown.
TAG = re.compile(r"latest|[0-9a-f]{12,64}")  # A tag is the start of a digest, or says `latest`.


class Environments:
    """The environments of one lab. `folders` are searched in order for a folder of the name; `root` is the lab's own for trees."""

    def __init__(
        self,
        *,
        folders: Sequence[Path],
        root: Path,
        builder: ports.Builder,
        events: Events,
        clock: Clock,
        environ: Mapping[str, str],
        settings: EnvironmentSettings,
    ) -> None:
        self._folders = (*folders, *settings.folders)
        self._store = Store(root)
        self._builder, self._events, self._clock, self._settings = builder, events, clock, settings
        self._indexes = indexes.read(environ)
        self._plans: dict[str, tuple[object, models.Plan]] = {}
        self._bases = bases.Bases(self._store, environ=environ, indexes=self._indexes, clock=clock, settings=settings)
        self._running: dict[str, asyncio.Task[models.Tree]] = {}
        self._states: dict[str, BuildState] = {}
        self._background: set[asyncio.Task[None]] = set()

    # Names and trees

    def digest(self, image: str) -> str:
        """The digest that `etabli/<name>[:tag]` means here, built or not; no network.

        NotFound where there is no such environment, Invalid where its folder is wrong, NotLocked where versions must be chosen first.
        """
        name, tag = _parse(image)
        if tag is not None:
            return self._by_tag(name, tag)
        return self._current(name).digest

    def is_built(self, digest: str) -> bool:
        """Whether services can start in it now."""
        return self._store.find(digest) is not None

    async def root(self, digest: str) -> Root:
        """What a sandbox of this tree sees, variables included. NotFound where it is not built."""
        found = await asyncio.to_thread(self._store.find, digest)
        if found is None:
            raise errors.NotFound(
                f"the environment `{digest[:12]}` is not built", hint="`etabli environments build` builds it"
            )
        below = self._store.find_base(found.base_digest) if found.base_digest else None
        system = () if below is None else (below.path,)
        return Root(system=system, environment=found.path, env=await asyncio.to_thread(_variables, found.path))

    def service_reach(self) -> models.Reach:
        """How pip, uv and git inside services reach the indexes, proxies and authorities of this machine."""
        return indexes.for_services(self._indexes, share_credentials=self._settings.share_index_credentials)

    def authorities(self) -> Path | None:
        """The certificate authorities that the administrator named, if any, for whoever makes one list of all of them."""
        return self._indexes.ca

    async def list(self) -> tuple[models.Environment, ...]:
        """Every environment that the lab offers, sorted by name; one whose folder is wrong says so in `problem`."""
        return await asyncio.to_thread(lambda: tuple(map(self._describe, self._names())))

    # Building

    async def ensure(self, image: str) -> models.Tree:
        """The tree of an image, built if it is not there. Joins a build that runs; cancelling the caller does not end it.

        BuildFailed, DiskFull, or what `digest` raises.
        """
        name, tag = _parse(image)
        if tag is not None:
            return self._built(self._by_tag(name, tag))
        running = self._running.get(name)
        if running is None:
            running = self._running[name] = asyncio.create_task(self._ensure(name))
            running.add_done_callback(lambda task: self._forget(name, task))
        return await asyncio.shield(running)

    def build_state(self, image: str) -> BuildState:
        """Where the build of an image is, for pages: whichever process runs it. Errors as `digest`, but not NotLocked."""
        name, _ = _parse(image)
        try:
            found = self._store.find(self.digest(image))
        except NotLocked:
            found = None
        if found is not None:
            return BuildState(BuildPhase.READY, "ready", fraction=1.0, packages=found.packages)
        if name in self._running:
            return self._states.get(name, BuildState(BuildPhase.WAITING))
        told = self._store.told(name)
        if told is None or told.phase is BuildPhase.READY:
            return BuildState(BuildPhase.WAITING, "not built yet")
        with self._store.locked(f"name-{name}") as idle:
            abandoned = idle and told.phase is not BuildPhase.FAILED
        return BuildState(BuildPhase.WAITING, "its build was interrupted; it will go on") if abandoned else told

    def progress(self, image: str) -> str:
        """How far the build of an image is, in words."""
        return self.build_state(image).message

    def log(self, image: str) -> str:
        """What the last build of an image wrote, its end where that is long; credentials masked."""
        name, _ = _parse(image)
        try:
            content = self._store.log(name).read_bytes()
        except FileNotFoundError:
            return ""
        return indexes.masked(content[-LOG_BYTES:].decode(errors="replace"))

    async def warm(self) -> None:
        """Build the environments that the lab is to have ready; what goes wrong is logged, and the next is tried."""
        for name in self._settings.warm:
            try:
                await self.ensure(f"{models.IMAGE_PREFIX}{name}")
            except errors.EtabliError as error:
                log.warning("environment not built", environment=name, reason=error.message)

    async def lock(self, name: str) -> Path:
        """Choose the versions of an environment again, newest first, and write them beside its specification."""
        found = await asyncio.to_thread(self._spec, spec.check_name(name))
        async with self._alone(f"name-{name}", name):
            lock = await self._resolve(found)
        target = found.folder / spec.LOCK_NAME
        await asyncio.to_thread(files.write_atomically, target, lock, mode=0o644)
        return target

    async def bases(self) -> tuple[models.BaseRoot, ...]:
        """The whole roots that are here, the one that is built on now first."""
        return await asyncio.to_thread(self._bases.all)

    async def renew_base(self) -> models.BaseRoot:
        """Make the whole root again, with the mirror's versions of today; what is built from now on stands on it."""
        async with self._alone(BASE_LOCK, debian.NAME):
            await self._sweep()
            return await self._make_base(debian.NAME)

    async def prune(self, *, in_use: Collection[str], downloads: bool = False) -> models.Pruned:
        """Remove trees that no service uses (`in_use` are their digests) and that no environment means any more.

        With `downloads` the cache of packages too, unless something is being built: the next build downloads again.
        """
        return await asyncio.to_thread(self._prune, frozenset(in_use), downloads)

    async def close(self) -> None:
        """End the builds that run here; what they downloaded is kept."""
        tasks = [*self._running.values(), *self._background]
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # How an environment is found

    def _names(self) -> tuple[str, ...]:
        entries = [entry for folder in self._folders if folder.is_dir() for entry in folder.iterdir()]
        return tuple(sorted({entry.name for entry in entries if entry.is_dir() and spec.NAME.fullmatch(entry.name)}))

    def _spec(self, name: str) -> models.Spec:
        return spec.read(self._folder(name))

    def _current(self, name: str) -> models.Plan:
        """The plan of an environment as it is now; read again only where a file changed, since this is asked at every turn."""
        signature = (spec.signature(self._folder(name)), self._store.current_base())
        known = self._plans.get(name)
        if known is not None and known[0] == signature:
            return known[1]
        plan = self._plan(self._spec(name))
        self._plans[name] = (signature, plan)
        return plan

    def _folder(self, name: str) -> Path:
        for folder in self._folders:
            if (folder / name).is_dir():
                return folder / name
        raise errors.NotFound(f"no environment `{name}`", hint="`etabli environments list` names those there are")

    def _by_tag(self, name: str, tag: str) -> str:
        """A tree that is still there, named by the start of its digest."""
        for digest in self._store.digests():
            found = self._store.find(digest) if digest.startswith(tag) else None
            if found is not None and found.environment == name:
                return digest
        raise errors.NotFound(
            f"no tree `{tag}` of the environment `{name}` is here",
            hint=f"leave the tag out for the current one: `etabli/{name}`",
        )

    def _plan(self, found: models.Spec) -> models.Plan:
        lock = found.lock or self._store.resolved(found.inputs)
        if lock is None:
            raise NotLocked(
                f"the versions of `{found.name}` are not chosen yet",
                hint=f"`etabli environments build {found.name}` chooses them",
            )
        stands_on = self._bases.of(found)
        spec.check_lock(lock)
        return models.Plan(spec=found, base=stands_on, lock=lock, digest=build.digest(found, stands_on, lock))

    def _describe(self, name: str) -> models.Environment:
        described = models.Environment(name=name, image=f"{models.IMAGE_PREFIX}{name}")
        try:
            described = replace(described, base=self._bases.name(self._spec(name)))
            digest = self.digest(described.image)
        except NotLocked:
            return described
        except errors.EtabliError as error:
            return replace(described, problem=error.message)
        return replace(described, digest=digest, tree=self._store.find(digest))

    def _built(self, digest: str) -> models.Tree:
        found = self._store.find(digest)
        if found is None:
            raise errors.NotFound(f"the environment `{digest[:12]}` is not here any more")
        return found

    # How it is built

    async def _ensure(self, name: str) -> models.Tree:
        found = await asyncio.to_thread(self._spec, name)
        try:
            plan = await asyncio.to_thread(self._plan, found)
            if (built := self._store.find(plan.digest)) is not None:
                return built
        except NotLocked:
            plan = None
        async with self._alone(f"name-{name}", name):
            try:
                built = await self._lock_and_build(found, plan)
            except errors.EtabliError as error:
                self._tell(name, BuildState(BuildPhase.FAILED, error.message, hint=error.hint or ""))
                log.warning("environment not built", environment=name, reason=error.message)
                raise
        self._tell(name, BuildState(BuildPhase.READY, "ready", fraction=1.0, packages=built.packages))
        return built

    async def _lock_and_build(self, found: models.Spec, plan: models.Plan | None) -> models.Tree:
        try:
            async with asyncio.timeout(self._settings.build_minutes * 60):
                if plan is None:
                    await self._ensure_base(found)
                    plan = await self._locked_plan(found)
                async with self._alone(plan.digest, found.name):
                    built = self._store.find(plan.digest)
                    if built is not None:  # Another process, or another name of the same digest, was first.
                        return built
                    await self._sweep()
                    return await self._build(plan)
        except TimeoutError as error:
            raise BuildFailed(
                f"the build took longer than {self._settings.build_minutes} minutes",
                hint="`build_minutes` in `[environments]` allows more",
            ) from error
        except OSError as error:
            if error.errno not in (ENOSPC, EDQUOT):
                raise
            raise DiskFull(
                "the disk is full: the environment was not built, and nothing of it was kept", hint=build.MAKE_ROOM
            ) from error

    async def _locked_plan(self, found: models.Spec) -> models.Plan:
        try:
            return await asyncio.to_thread(self._plan, found)
        except NotLocked:
            self._store.keep_resolved(found.inputs, await self._resolve(found))
            return await asyncio.to_thread(self._plan, found)

    async def _resolve(self, found: models.Spec) -> str:
        await self._ensure_base(found)
        stands_on = await asyncio.to_thread(self._bases.of, found)
        async with self._workshop(found.name, f"lock-{found.inputs}", stands_on) as (workshop, _):
            text = await build.resolve(found, stands_on, workshop, cache=self._store.cache)
        return spec.mark(spec.check_lock(text), found.inputs)

    async def _build(self, plan: models.Plan) -> models.Tree:
        name = plan.spec.name
        log.info("environment build started", environment=name, digest=plan.digest[:12])
        async with self._workshop(name, plan.digest, plan.base) as (workshop, folder):
            made = await build.build(plan, workshop, folder=folder, pool=self._store.pool, clock=self._clock)
            published = await _whole(self._store.publish, folder, made)
        log.info(
            "environment built",
            environment=name,
            digest=plan.digest[:12],
            seconds=made.build_seconds,
            size=made.size_bytes,
        )
        self._in_background(self._store.make_durable, plan.digest)
        return published

    async def _ensure_base(self, found: models.Spec) -> None:
        """See that the base of an environment is there: for all environments it is made once, by whoever is first."""
        if self._bases.name(found) == bases.HOST or self._bases.current() is not None:
            return
        async with self._alone(BASE_LOCK, found.name):
            if self._bases.current() is None:
                await self._sweep()
                await self._make_base(found.name)

    async def _make_base(self, name: str) -> models.BaseRoot:
        log.info("base started", base=debian.NAME)
        async with self._workplace(name, debian.NAME, kind=ROOT) as (folder, log_file):
            made = await self._bases.make(folder, log=log_file, tell=lambda state: self._tell(name, state))
            await self._builder.seal(made.path, environment=name)
            published = await _whole(self._store.publish_base, folder, made)
        log.info("base made", base=made.digest[:12], seconds=made.make_seconds, size=made.size_bytes)
        self._in_background(self._store.make_base_durable, made.digest)
        return published

    def _in_background(self, sync: Callable[[str], None], digest: str) -> None:
        syncing = asyncio.create_task(asyncio.to_thread(sync, digest))
        self._background.add(syncing)
        syncing.add_done_callback(self._background.discard)

    @asynccontextmanager
    async def _workshop(
        self, name: str, key: str, stands_on: models.Base
    ) -> AsyncIterator[tuple[build.Workshop, Path]]:
        """Where the steps of a build run, and its folder."""
        async with self._workplace(name, key, kind=TREE) as (folder, log_file):
            seen = indexes.SEEN_INSIDE if stands_on.root is None else ()
            share = self._settings.share_index_credentials
            yield (
                build.Workshop(
                    environment=name,
                    builder=self._builder,
                    folder=folder,
                    log=log_file,
                    reach=indexes.for_builds(self._indexes, seen_inside=seen),
                    script_reach=indexes.for_services(self._indexes, share_credentials=share, seen_inside=seen),
                    clock=self._clock,
                    tell=lambda state: self._tell(name, state),
                    base=stands_on,
                ),
                folder,
            )

    @asynccontextmanager
    async def _workplace(self, name: str, key: str, *, kind: str) -> AsyncIterator[tuple[Path, Path]]:
        """A folder to build in and an empty log, the cache held; whatever happens, the folder is gone after."""
        async with self._alone(CACHE_LOCK, name, shared=True):
            await asyncio.to_thread(self._store.prepare_cache)
            log_file = self._store.log(name)
            files.write_atomically(log_file, "")
            with self._store.building_folder(key, kind=kind) as folder:
                try:
                    yield folder, log_file
                finally:
                    # Cancelled meanwhile, this goes on.
                    await asyncio.shield(asyncio.create_task(self._clear(name, folder)))

    async def _clear(self, name: str, folder: Path) -> None:
        await self._builder.leave(name)
        await asyncio.to_thread(tree.remove, folder)

    @asynccontextmanager
    async def _alone(self, key: str, name: str, *, shared: bool = False) -> AsyncIterator[None]:
        """Hold a lock, waiting for whoever has it, and telling here what it tells there."""
        while True:
            with self._store.locked(key, shared=shared) as held:
                if held:
                    yield
                    return
            told = self._store.told(name)
            if told is not None and told != self._states.get(name):
                self._publish(name, told)
            await self._clock.sleep(LOOK_EVERY)

    async def _sweep(self) -> None:
        """End and remove what killed labs left."""
        while True:
            with self._store.leftover() as folder:
                if folder is None:
                    return
                for step in folder.glob(build.STEP_FOLDERS):
                    await self._builder.end(step)
                await self._bases.maker.end(folder)
                await asyncio.to_thread(tree.remove, folder)

    def _prune(self, in_use: frozenset[str], downloads: bool) -> models.Pruned:
        before = tree.free_bytes(self._store.trees)
        offered = tuple(map(self._describe, self._names()))
        wanted = {found.digest for found in offered}
        unwanted = [digest for digest in self._store.digests() if digest not in wanted | in_use]
        removed = tuple(digest for digest in unwanted if self._store.remove(digest))
        self._prune_bases(is_wanted=any(found.base == debian.NAME for found in offered))
        if downloads:
            self._store.empty_cache()
        return models.Pruned(digests=removed, freed_bytes=max(0, tree.free_bytes(self._store.trees) - before))

    def _prune_bases(self, *, is_wanted: bool) -> None:
        """Remove whole roots that no tree stands on, but for the one that environments would be built on."""
        trees = [found for digest in self._store.digests() if (found := self._store.find(digest)) is not None]
        kept = {found.base_digest for found in trees} | ({self._store.current_base()} if is_wanted else set())
        for digest in self._store.base_digests():
            if digest not in kept:
                self._store.remove_base(digest)

    # What is told

    def _tell(self, name: str, state: BuildState) -> None:
        try:
            self._store.tell(name, state)
        except OSError as error:  # A full disk must still be told to whoever listens here.
            log.warning("build state not written", environment=name, reason=error.strerror)
        self._publish(name, state)

    def _publish(self, name: str, state: BuildState) -> None:
        self._states[name] = state
        self._events.publish(Event(topic=TOPIC, subject=name, detail=f"{state.phase}: {state.message}"))

    def _forget(self, name: str, task: asyncio.Task[models.Tree]) -> None:
        self._running.pop(name, None)
        if not task.cancelled():
            task.exception()  # Told already; who asked got it too, unless they left.


async def _whole(publish: Callable[[Path, Made], Made], folder: Path, made: Made) -> Made:
    """Give what was made its name. Cancelled, it waits first: the folder is removed next, and half of it must not be named."""
    publishing = asyncio.create_task(asyncio.to_thread(publish, folder, made))
    try:
        return await asyncio.shield(publishing)
    finally:
        await asyncio.wait([publishing])


def _parse(image: str) -> tuple[str, str | None]:
    """`etabli/<name>[:tag]` → name and the start of a digest; None for the current one. NotFound for all else."""
    name, colon, tag = image.removeprefix(models.IMAGE_PREFIX).partition(":")
    if not image.startswith(models.IMAGE_PREFIX) or (colon and not TAG.fullmatch(tag)):
        raise errors.NotFound(
            f"`{image[:100]}` is not an environment of this lab",
            hint="write `etabli/<name>`; `etabli environments list` names them",
        )
    return spec.check_name(name), None if tag in ("", "latest") else tag


def _variables(tree_path: Path) -> dict[str, str]:
    """What makes the tree the service's Python, and its configuration the tools'."""
    git = "etc/gitconfig"
    own = {"GIT_CONFIG_SYSTEM": f"{ENVIRONMENT_PATH}/{git}"} if (tree_path / git).exists() else {}
    return own | {
        "PATH": f"{ENVIRONMENT_PATH}/bin:/usr/local/bin:/usr/bin:/bin",
        "VIRTUAL_ENV": ENVIRONMENT_PATH,
        "LANG": "C.UTF-8",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        # Configuration and extensions of the tree before those of the person's home: a home outlives environments.
        "JUPYTER_PREFER_ENV_PATH": "1",
        "UV_PYTHON_DOWNLOADS": "never",
    }
