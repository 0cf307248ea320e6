"""The use cases of backups on the lab's own machine: take one, list, verify, prune.

Promises: one run at a time; a run that ends badly leaves the earlier backups whole and says why; pruning never removes the last
backup.
"""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from etabli.backup import models, ports, repository, sealing, taking
from etabli.backup.index import Index
from etabli.backup.places import Place
from etabli.backup.settings import BackupSettings
from etabli.backup.standing import LOCK, Notebook
from etabli.kernel import errors, files, holds
from etabli.kernel.clock import Clock

INDEX, SCRATCH = "index.db", "scratch"
MIB = 1 << 20


@dataclass(frozen=True)
class Verified:
    """What was looked at, and what is wrong: piece → `missing` or `damaged`."""

    backups: int
    pieces: int
    wrong: tuple[tuple[str, str], ...]


class Backups:
    """Backups of one lab. `folder` is the lab's own for them, `keys` where its keys lie."""

    def __init__(
        self,
        *,
        settings: BackupSettings,
        folder: Path,
        keys: Path,
        clock: Clock,
        place: Callable[[], Place],
        lab: ports.Lab | None = None,
        buckets: ports.Buckets | None = None,
    ) -> None:
        self._settings, self._folder, self._keys, self._clock = settings, folder, keys, clock
        self._place, self._lab, self._buckets = place, lab, buckets
        self._notebook = Notebook(settings=settings, folder=folder, clock=clock)

    async def take(self) -> models.Manifest:
        """Take a backup now. Refused where none is set up, Conflict where one runs, Unavailable where a part or the place is away."""
        recipients = sealing.recipients(self._check().recipients)
        files.private_folder(self._folder)
        with holds.holding(self._folder / LOCK, otherwise="a backup is being taken already"):
            try:
                manifest = await self._take(recipients)
            except errors.EtabliError as error:
                self._notebook.failed(error.message)
                raise
            except OSError as error:
                self._notebook.failed(str(error.strerror))
                raise errors.Unavailable(
                    f"the backup was cut: {error.strerror}", hint="the earlier backups are whole; try again"
                ) from error
            self._notebook.succeeded(manifest)
            return manifest

    def list(self) -> Sequence[models.Summary]:
        """Every whole backup, oldest first."""
        return self._repository().summaries()

    def verify(self) -> Verified:
        """Look whether every piece of every backup is there and is what the lab wrote; no identity is needed."""
        kept = self._repository()
        summaries = kept.summaries()
        needed = sorted(frozenset().union(*(kept.needed(one.id) for one in summaries)))
        wrong = [(name, why) for name in needed if (why := kept.check(name)) is not None]
        self._forget([name for name, _ in wrong])
        return Verified(backups=len(summaries), pieces=len(needed), wrong=tuple(wrong))

    def prune(self) -> tuple[Sequence[str], int]:
        """Forget what the settings do not keep: the backups forgotten, and how many pieces were removed."""
        files.private_folder(self._folder)
        with holds.holding(self._folder / LOCK, otherwise="a backup is being taken"):
            kept = self._repository()
            summaries = kept.summaries()
            keep = kept_ids(summaries, self._settings)
            gone = [one.id for one in summaries if one.id not in keep]
            needed = frozenset().union(*(kept.needed(one) for one in keep))
            for one in gone:
                kept.drop(one)
            removed = list(kept.sweep(needed))
            self._forget(removed)
            return gone, len(removed)

    def signer(self) -> str:
        """Who signs this lab's backups: to be kept beside the identity."""
        return sealing.keys(self._keys).signer

    async def _take(self, recipients: Sequence[sealing.Recipient]) -> models.Manifest:
        assert self._lab is not None, "only a lab that runs is copied"
        assert self._buckets is not None, "its store too"
        kept = repository.Repository(self._place(), sealing.keys(self._keys), recipients)
        opened = await asyncio.to_thread(kept.open, make=True)
        index = Index(self._folder / INDEX)
        scratch = self._folder / SCRATCH
        try:
            index.belongs_to(opened)
            rate = self._settings.max_mib_per_second
            throttle = taking.Throttle(self._clock, None if rate is None else rate * MIB)
            run = taking.Taking(
                lab=self._lab,
                buckets=self._buckets,
                repository=kept,
                index=index,
                scratch=scratch,
                clock=self._clock,
                throttle=throttle,
            )
            return await run.run(opened)
        finally:
            index.close()
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    def _repository(self) -> repository.Repository:
        self._check()
        kept = repository.Repository(self._place(), sealing.keys(self._keys), ())
        kept.open()
        return kept

    def _check(self) -> BackupSettings:
        if not self._settings.to:
            raise errors.Refused(
                "this lab has no place for backups yet",
                hint="set `[backup] to` and `recipients` in `etabli.toml`: docs/administrator/backup.md",
            )
        return self._settings

    def _forget(self, names: Sequence[str]) -> None:
        if names and (self._folder / INDEX).exists():
            index = Index(self._folder / INDEX)
            index.forget(names)
            index.close()


def kept_ids(summaries: Iterable[models.Summary], settings: BackupSettings) -> frozenset[str]:
    """Those to keep: the newest few, and the last of each of the newest days and ISO weeks that have one."""
    newest = sorted(summaries, key=lambda one: one.id, reverse=True)
    kept = {one.id for one in newest[: settings.keep_last]}
    for count, of in ((settings.keep_daily, "%Y-%m-%d"), (settings.keep_weekly, "%G-W%V")):
        last: dict[str, str] = {}
        for one in newest:
            last.setdefault(one.taken_at.strftime(of), one.id)
        kept |= set(list(last.values())[:count])
    return frozenset(kept)
