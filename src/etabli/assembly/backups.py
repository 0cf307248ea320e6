"""Backups, bound to the lab of this machine: what is copied, from where, and to which place."""

import asyncio
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from etabli.assembly import dumps, parts, revisions
from etabli.assembly.configuration import Configuration
from etabli.backup import models, places, ports, s3, standing
from etabli.backup.service import Backups
from etabli.backup.settings import BackupSettings
from etabli.components import openbao, seaweedfs, vault_setup
from etabli.engines.process import store as engine_store
from etabli.kernel import errors, files, holds, settings
from etabli.kernel.clock import Clock, SystemClock
from etabli.storage.copying import CopyingClient
from etabli.storage.models import Keys

S3_KEYS = "backup-s3.json"  # In `Layout.keys`: {"access_key", "secret_key"}, 0600.
AMAZON = "https://s3.amazonaws.com"
VAULT_TIMEOUT_S = 300.0
# Besides keys: what lies in the data folder, is small, and cannot be made again.
SMALL = (settings.FILE_NAME, "branding/**/*", "engine/grounds/grounds.json", "environments/resolved/*", "root.crt")
KEEP_OFF = 19  # nice(2): people's work comes first.


def kept(layout: settings.Layout, chosen: BackupSettings, *, clock: Clock) -> Backups:
    """Backups as far as they need no running lab: list, verify, prune."""
    return Backups(
        settings=chosen,
        folder=standing.folder(layout.data),
        keys=layout.keys,
        clock=clock,
        place=partial(place, layout, chosen, environ=os.environ),
    )


def take(layout: settings.Layout, configuration: Configuration, *, environ: Mapping[str, str]) -> models.Manifest:
    """Take a backup of the running lab, behind everybody's work."""
    if not layout.database.exists():
        raise errors.Refused("this lab has never started: there is nothing to back up", hint="`etabli up` starts it")
    os.nice(KEEP_OFF)
    return asyncio.run(_take(layout, configuration, environ))


async def _take(layout: settings.Layout, configuration: Configuration, environ: Mapping[str, str]) -> models.Manifest:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        opened = await stack.enter_async_context(parts.opened(layout, configuration, environ=environ))
        buckets = store_client(layout, configuration)
        stack.push_async_callback(buckets.close)
        chosen = configuration.backup
        backups = Backups(
            settings=chosen,
            folder=standing.folder(layout.data),
            keys=layout.keys,
            clock=clock,
            place=partial(place, layout, chosen, environ=environ),
            lab=RunningLab(layout, configuration, opened, clock),
            buckets=buckets,
        )
        return await backups.take()


def store_client(layout: settings.Layout, configuration: Configuration) -> CopyingClient:
    """The lab's own client of its store."""
    held = seaweedfs.keys(layout)
    return CopyingClient(
        socket=layout.socket("s3"),
        origin=configuration.lab.s3_origin,
        region=configuration.storage.region,
        keys=Keys(access_key=held.access_key, secret_key=held.secret_key),
    )


def place(layout: settings.Layout | None, chosen: BackupSettings, *, environ: Mapping[str, str]) -> places.Place:
    """Where `chosen.to` is. Invalid where it is neither a folder outside of the lab's nor an `s3://` address."""
    if chosen.to.startswith("s3://"):
        bucket, _, prefix = chosen.to.removeprefix("s3://").partition("/")
        access_key, secret_key = _s3_keys(layout, environ)
        return s3.S3Place(
            s3.Target(
                endpoint=(chosen.endpoint or AMAZON).rstrip("/"),
                region=chosen.region,
                bucket=bucket,
                prefix=prefix.strip("/"),
                access_key=access_key,
                secret_key=secret_key,
            )
        )
    root = Path(chosen.to)
    if not root.is_absolute() or (layout is not None and root.resolve().is_relative_to(layout.data.resolve())):
        raise errors.Invalid(
            f"`{chosen.to}` is no place for backups",
            hint="an absolute folder outside of the lab's data, best on another machine's disk, or `s3://bucket/prefix`",
            fields={"backup.to": "an absolute folder outside of the data folder, or `s3://…`"},
        )
    return places.Folder(root)


def _s3_keys(layout: settings.Layout | None, environ: Mapping[str, str]) -> tuple[str, str]:
    try:
        return environ["ETABLI_BACKUP_ACCESS_KEY"], environ["ETABLI_BACKUP_SECRET_KEY"]
    except KeyError:
        path = None if layout is None else layout.keys / S3_KEYS
    try:
        held = json.loads(path.read_text()) if path is not None else {}
        return str(held["access_key"]), str(held["secret_key"])
    except (FileNotFoundError, ValueError, KeyError) as error:
        raise errors.Refused(
            "the keys of the backups' store are not given",
            hint=f'`{{"access_key": …, "secret_key": …}}` in `keys/{S3_KEYS}` of the data folder, 0600, or '
            "`ETABLI_BACKUP_ACCESS_KEY` and `ETABLI_BACKUP_SECRET_KEY`",
        ) from error


@dataclass(frozen=True)
class RunningLab:
    """Keeps `backup.ports.Lab`."""

    layout: settings.Layout
    configuration: Configuration
    opened: parts.Parts
    clock: Clock

    @property
    def origin(self) -> str:
        return self.configuration.lab.origin

    def revision(self) -> str:
        return revisions.current(self.layout.database) or ""

    def deletions_held(self) -> AbstractContextManager[None]:
        return holds.holding(
            standing.folder(self.layout.data) / standing.HOLD, otherwise="a backup is being taken already"
        )

    def copy_database(self, target: Path) -> None:
        copy_database(self.layout.database, target)

    async def copy_vault(self, target: Path) -> None:
        """The token that may take a snapshot, and nothing else, is made by the set-up; it lives 30 days after each use."""
        await vault_setup.ensure_vault_ready(self.layout, self.configuration.lab, clock=self.clock)
        token = (self.layout.keys / openbao.BACKUP_TOKEN).read_text()
        async with vault_client(self.layout, token) as client:
            try:
                (await client.post("auth/token/renew-self", json={})).raise_for_status()
                async with client.stream("GET", vault_setup.SNAPSHOT) as answer:
                    answer.raise_for_status()
                    with target.open("wb") as file:
                        async for block in answer.aiter_bytes():
                            file.write(block)
            except httpx.HTTPError as error:
                raise errors.Unavailable(
                    "the vault gave no snapshot of itself", hint="`etabli status` shows whether it runs"
                ) from error

    def small_files(self) -> Mapping[str, Path]:
        found = {f"keys/{path.name}": path for path in self.layout.keys.iterdir() if not path.name.startswith(".")}
        for pattern in SMALL:
            for path in self.layout.data.glob(pattern):
                if path.is_file():
                    found[path.relative_to(self.layout.data).as_posix()] = path
        if store := self.configuration.environments.store:
            found |= {f"environments/resolved/{path.name}": path for path in (store / "resolved").glob("*.txt")}
        return found

    async def volumes(self) -> Sequence[ports.Volume]:
        kept = engine_store.Store(self.layout.engine)
        found = []
        for record in await self.opened.services.all():
            folder = kept.service(record.service.id) / "volumes"
            claims = sorted(folder.iterdir()) if folder.is_dir() else []
            found += [
                ports.Volume(record.service.id, record.service.project_id, claim.name)
                for claim in claims
                if not claim.name.startswith(".")  # Not whole yet.
            ]
        return found

    async def dump(self) -> tuple[int, int]:
        return await dumps.dump(self.opened)

    @contextmanager
    def carry(self, volume: ports.Volume) -> Iterator["Carried"]:
        path = engine_store.Store(self.layout.engine).volume(volume.service_id, volume.claim)
        argv = self.opened.sandboxes.carrying(volume.project_id, path)
        with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            try:
                yield Carried(process)
                assert process.stdin is not None
                process.stdin.close()
                if process.wait() != 0:
                    raise errors.Unavailable("a service's volume could not be read", hint="`etabli doctor`: *uids*")
            finally:
                process.kill()


class Carried:
    """Keeps `backup.ports.Carrier` over the streams of `sandbox.carrying`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._ask, self._out = process.stdin, process.stdout
        self._left: int | None = None  # Of a file whose content was not asked for yet.

    def entries(self) -> Iterator[models.Entry]:
        while line := self._out.readline():
            entry = models.Entry(**json.loads(line))
            self._left = entry.size if entry.kind == "file" else None
            yield entry
            if self._left is not None:
                self._answer(b"n")

    def content(self) -> Iterator[bytes]:
        left = self._left or 0
        self._answer(b"y")
        while left:
            piece = self._out.read(min(models.PIECE, left))
            if not piece:
                raise errors.Unavailable("a service's volume could not be read to its end", hint="try again")
            left -= len(piece)
            yield piece

    def _answer(self, word: bytes) -> None:
        self._left = None
        self._ask.write(word)
        self._ask.flush()


def copy_database(database: Path, target: Path) -> None:
    """A whole copy by SQLite itself (sqlite.org/backup.html), 0600, while others read and write."""
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(target)) as copy:
        source.backup(copy)
    target.chmod(files.PRIVATE_FILE)


def vault_client(layout: settings.Layout, token: str) -> httpx.AsyncClient:
    """The vault as the bearer of a token sees it, for calls that take long."""
    return httpx.AsyncClient(
        transport=httpx.AsyncHTTPTransport(uds=str(layout.socket(openbao.SOCKET))),
        base_url="http://vault/v1/",
        headers={"X-Vault-Token": token},
        timeout=VAULT_TIMEOUT_S,
    )
