"""A lab made anew from a backup, in an empty data folder.

The order: small files; then the store and the vault alone, started as the lab starts them, filled, and stopped; volumes; the database
last. Until then a marker lies in the folder: `etabli up` refuses it, and the next restore begins by emptying what a cut one left.

Refused: a folder with anything of another lab in it; a backup of a newer Etabli; a backup that another hand signed or changed.
"""

import asyncio
import errno
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from etabli.assembly import backups, configuration, parts, processes, revisions
from etabli.assembly.configuration import Configuration
from etabli.backup import giving, models, sealing, standing
from etabli.backup.repository import Reader
from etabli.backup.settings import BackupSettings
from etabli.components import openbao, plan, seaweedfs, status, vault_setup
from etabli.kernel import errors, files, settings
from etabli.kernel.clock import SystemClock

READY_SECONDS = 120.0  # The vault's first election takes 7 s.
POLL_SECONDS = 0.1
STOP_SECONDS = 60.0
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@dataclass(frozen=True)
class Request:
    """What is restored."""

    source: BackupSettings  # `to`, `endpoint`, `region`.
    identity: Path
    backup: str | None = None  # None: the newest.
    signer: str | None = None  # None: whoever signed it is believed, and told.
    services_run: bool = True


@dataclass(frozen=True)
class Restored:
    """What was restored."""

    manifest: models.Manifest
    objects: int
    volumes: int


def restore(layout: settings.Layout, request: Request, *, environ: Mapping[str, str]) -> Restored:
    """Make the lab of a backup in an empty data folder; it does not run yet."""
    place = backups.place(None, request.source, environ=environ)
    reader = Reader(place, sealing.identities(request.identity), signer=request.signer)
    manifest = reader.manifest(request.backup or reader.newest())
    if manifest.revision not in revisions.known():
        raise errors.Refused(
            f"this backup was taken by a newer Etabli, {manifest.etabli} (revision `{manifest.revision}`)",
            hint="restore it with that version, or a newer one",
        )
    _empty(layout)
    try:
        return _restore(layout, request, giving.Giving(reader, manifest), environ)
    except OSError as error:
        if error.errno in FULL:
            raise errors.Unavailable(
                f"the disk of `{layout.data}` is full: the restore was cut",
                hint="make room, then `etabli restore` again: it begins anew",
            ) from error
        raise


def _restore(layout: settings.Layout, request: Request, backup: giving.Giving, environ: Mapping[str, str]) -> Restored:
    layout.make()
    backup.files(layout.data)
    loaded = configuration.load(layout)
    if store := loaded.environments.store:
        _bring_locks(layout.environments / "resolved", store / "resolved")
    snapshot = files.private_folder(standing.folder(layout.data)) / "vault"
    backup.copy("vault", snapshot)
    with _store_and_vault(layout, loaded, environ):
        objects = asyncio.run(_fill(layout, loaded, backup, snapshot))
    snapshot.unlink()
    volumes = asyncio.run(_volumes(layout, loaded, backup, environ))
    database = layout.database.with_suffix(".restored")
    backup.copy("database", database)
    _settle(database, services_run=request.services_run)
    database.rename(layout.database)
    (layout.data / standing.RESTORING).unlink()
    files.sync_folder(layout.data)
    return Restored(manifest=backup.manifest, objects=objects, volumes=volumes)


def _bring_locks(held: Path, store: Path) -> None:
    """Versions that were chosen here once, to where this lab keeps its environments; those that are there already stay."""
    store.mkdir(parents=True, exist_ok=True)
    for lock in held.glob("*"):
        if not (store / lock.name).exists():
            shutil.copyfile(lock, store / lock.name)


def _empty(layout: settings.Layout) -> None:
    """Make room where a restore was cut, and put the marker. Refused where something else is there."""
    if status.supervisor(layout.data) is not None:
        raise errors.Refused("a lab runs on this data folder", hint="a restore goes into an empty one: set ETABLI_DATA")
    if any(map(_answers, map(layout.socket, ("s3", "vault", "portal")))):
        raise errors.Refused(
            f"another lab answers at `{layout.run}`", hint="name another folder for sockets with ETABLI_RUN, or stop it"
        )
    marker = layout.data / standing.RESTORING
    if layout.data.exists() and not marker.exists() and any(path != layout.run for path in layout.data.iterdir()):
        raise errors.Refused(
            f"`{layout.data}` is not empty: a restore overwrites nothing",
            hint="move it aside, or name another with ETABLI_DATA",
        )
    files.private_folder(layout.data)
    marker.touch(mode=files.PRIVATE_FILE)
    for path in layout.data.iterdir():
        if path == marker:
            continue
        if path.is_dir() and not path.is_symlink():
            _remove(path)
        else:
            path.unlink()


def _answers(path: Path) -> bool:
    """Whether somebody listens at a socket: what is restored must not be written into a lab that runs."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            return False
    return True


def _remove(folder: Path) -> None:
    """A folder of a cut restore. Refused where volumes in it are their project's already: only a user namespace removes those."""
    try:
        shutil.rmtree(folder)
    except PermissionError as error:
        raise errors.Refused(
            f"`{folder}` holds files of projects, which this user may not remove",
            hint=f"`unshare --user --map-auto --map-root-user rm -rf {folder}`, then restore again",
        ) from error


@contextmanager
def _store_and_vault(layout: settings.Layout, loaded: Configuration, environ: Mapping[str, str]) -> Iterator[None]:
    """The store and the vault, without the rest of the lab: nobody comes in meanwhile."""
    whole = processes.make(layout, loaded, environ=environ)
    kept = tuple(one for one in whole.components if one.name in {seaweedfs.NAME, openbao.NAME})
    alone = replace(whole, components=tuple(replace(one, needs=()) for one in kept))
    path = layout.components / "restore-plan.json"
    plan.save(alone, path)
    with (layout.components / "supervisor.log").open("ab") as output:
        argv = [sys.executable, "-m", "etabli.components.supervisor", str(path)]
        started = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/")
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not (snapshot := status.read(alone)).ready:
            if started.poll() is not None or time.monotonic() > deadline:
                words = "; ".join(f"`{one.name}`: {one.words or one.state.value}" for one in snapshot.components)
                raise errors.Unavailable(f"the store and the vault do not start: {words}", hint="`etabli doctor`")
            time.sleep(POLL_SECONDS)
        yield
    finally:
        started.send_signal(signal.SIGTERM)
        try:
            started.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            started.kill()
            started.wait()
        path.unlink()


async def _fill(layout: settings.Layout, loaded: Configuration, backup: giving.Giving, snapshot: Path) -> int:
    await _fill_vault(layout, snapshot)
    await seaweedfs.make_durable(layout)
    client = backups.store_client(layout, loaded)
    try:
        return await backup.objects(client)
    finally:
        await client.close()


async def _fill_vault(layout: settings.Layout, snapshot: Path) -> None:
    """A fresh vault with the unseal key of the old one takes its snapshot, tokens and all; the fresh one's root token goes with it."""
    clock = SystemClock()
    async with backups.vault_client(layout, "") as client:
        try:
            made = await client.put("sys/init", json={"recovery_shares": 1, "recovery_threshold": 1})
            made.raise_for_status()
            await vault_setup.wait_until_active(client, clock)
            root = {"X-Vault-Token": made.json()["root_token"]}
            content = await asyncio.to_thread(snapshot.read_bytes)
            (await client.post(vault_setup.SNAPSHOT, headers=root, content=content)).raise_for_status()
            await vault_setup.wait_until_active(client, clock)
        except httpx.HTTPError as error:
            raise errors.Unavailable(
                "the vault did not take its snapshot", hint="`components/openbao/log` in the data folder says why"
            ) from error


async def _volumes(
    layout: settings.Layout, loaded: Configuration, backup: giving.Giving, environ: Mapping[str, str]
) -> int:
    count = 0
    async with parts.opened(layout, loaded, environ=environ) as opened:
        given = backup.volumes(layout.engine / "services")
        while (one := await asyncio.to_thread(next, given, None)) is not None:
            volume, path = one
            await opened.sandboxes.hand_to_project(volume.project_id, path)
            count += 1
    return count


def _settle(database: Path, *, services_run: bool) -> None:
    """Services ran on another machine, or before: the engine is given them anew, or they stay stopped until somebody resumes them."""
    with closing(sqlite3.connect(database)) as opened, opened:
        opened.execute("UPDATE services SET applied_revision = NULL, handle = NULL WHERE deleted_at IS NULL")
        if not services_run:
            opened.execute(
                "UPDATE services SET desired = 'stopped', state = 'stopped', message = '' "
                "WHERE deleted_at IS NULL AND desired = 'running'"
            )
        else:
            opened.execute("UPDATE services SET state = 'waiting' WHERE deleted_at IS NULL AND desired = 'running'")
    os.chmod(database, files.PRIVATE_FILE)
