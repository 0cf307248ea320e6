"""Every catalogue as it is known now, kept beside where it comes from.

Reading a source never blocks who asks: answers come from the last good reading. A source that fails keeps its entries and tells why.
Whole charts are read when somebody opens one, packed again into the cache, and the last few kept in memory.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import httpx
import structlog

from etabli.catalog import archives, errors, models, reading, settings, sources, versions
from etabli.kernel import clock as clocks
from etabli.kernel import errors as kernel_errors
from etabli.kernel import files

log = structlog.get_logger()

KEPT_ARCHIVES = timedelta(days=30)  # In the cache, after they were made.
KEPT_CHARTS = 64  # Whole charts in memory; each is some hundred kilobytes.


@dataclass(frozen=True)
class _Shelf:
    """One catalogue: what it says, and where each version lies."""

    listing: models.Listing
    releases: Mapping[tuple[str, str], sources.Release]


class Library:
    """All catalogues."""

    def __init__(
        self,
        config: settings.CatalogSettings,
        *,
        builtin: Path,
        cache: Path,
        http: httpx.AsyncClient,
        clock: clocks.Clock,
    ) -> None:
        self._cache = files.private_folder(cache)
        self._clock = clock
        self._entries = {entry.id: entry for entry in config.catalogs}
        self._sources = {e.id: _source(e, builtin=builtin, cache=self._cache, http=http) for e in config.catalogs}
        self._shelves = {entry.id: _Shelf(_bare(entry), {}) for entry in config.catalogs}
        self._charts: OrderedDict[tuple[str, str, str], models.Chart] = OrderedDict()
        self._reading = asyncio.Lock()

    def listings(self) -> tuple[models.Listing, ...]:
        """Every catalogue, in the administrator's order."""
        return tuple(shelf.listing for shelf in self._shelves.values())

    async def load(self) -> None:
        """What can be known without a network: folders, and the indexes kept from last time."""
        for name, source in self._sources.items():
            if isinstance(source, sources.FolderSource):
                await self.refresh(name)
            elif (index := await asyncio.to_thread(source.last_known)) is not None:
                self._shelve(name, index, fresh=False)

    async def refresh(self, name: str) -> None:
        """Read one catalogue again; a failure is told in its listing and raises nothing."""
        async with self._reading:
            try:
                index = await self._sources[name].index()
            except kernel_errors.EtabliError as error:
                log.warning("catalogue not read", catalog=name, reason=error.message)
                shelf = self._shelves[name]
                self._shelves[name] = replace(shelf, listing=replace(shelf.listing, problem=error.message))
                return
            self._shelve(name, index, fresh=True)

    async def refresh_all(self) -> None:
        """Read every catalogue again, one after another: none is in a hurry."""
        for name in self._sources:
            await self.refresh(name)
        await asyncio.to_thread(self._forget_old_archives)

    def release(self, catalog: str, chart: str, version: str | None) -> sources.Release:
        """Where a version lies; without one, or with one that is gone, the default. ChartNotFound, ChartBroken."""
        shelf = self._shelves.get(catalog)
        entry = next((e for e in shelf.listing.entries if e.name == chart), None) if shelf else None
        if shelf is None or entry is None:
            raise errors.ChartNotFound(f"there is no chart `{chart[:80]}`", hint="see what the catalogue holds")
        if entry.problem:
            raise errors.ChartBroken(f"`{chart}` cannot be launched: {entry.problem}", hint="tell its author")
        return shelf.releases.get((chart, version or "")) or shelf.releases[(chart, entry.default)]

    async def chart(self, catalog: str, release: sources.Release) -> models.Chart:
        """A chart, whole. What lies in a folder is read each time, what is in memory of a repository is not."""
        key = (catalog, release.info.name, release.info.version)
        keep = not isinstance(self._sources[catalog], sources.FolderSource)
        if keep and key in self._charts and self._charts[key].archive.exists():
            self._charts.move_to_end(key)
            return self._charts[key]
        content = await self._sources[catalog].files(release)
        chart = await asyncio.to_thread(self._pack, catalog, content)
        if chart.info.name != release.info.name:
            raise errors.ChartBroken(
                f"what was to be `{release.info.name}` is a chart named `{chart.info.name}`", hint="tell its maintainer"
            )
        if keep:
            self._charts[key] = chart
            while len(self._charts) > KEPT_CHARTS:
                self._charts.popitem(last=False)
        return chart

    def _forget_old_archives(self) -> None:
        """Archives are made again when asked for: those of long ago need not stay."""
        oldest = self._clock.now().timestamp() - KEPT_ARCHIVES.total_seconds()
        for path in self._cache.glob("*.tgz"):
            if path.stat().st_mtime < oldest:
                path.unlink(missing_ok=True)

    def _pack(self, catalog: str, content: archives.Files) -> models.Chart:
        info = reading.metadata(content)
        data = archives.pack(info.name, content)
        digest = archives.digest(data)
        path = self._cache / f"chart-{digest}.tgz"
        if not path.exists():
            files.write_atomically(path, data)
        return reading.chart(catalog, content, archive=path, digest=digest)

    def _shelve(self, name: str, index: sources.Index, *, fresh: bool) -> None:
        entry = self._entries[name]
        listing = replace(
            self._shelves[name].listing,
            entries=tuple(_entries(entry, index)),
            refreshed_at=self._clock.now() if fresh else None,
            problem="",
        )
        releases = {(r.info.name, r.info.version): r for r in index.releases}
        self._shelves[name] = _Shelf(listing, releases)


def _source(entry: settings.CatalogEntry, *, builtin: Path, cache: Path, http: httpx.AsyncClient) -> sources.Source:
    if entry.location.startswith(("http://", "https://")):
        return sources.RepositorySource(entry.location, http=http, cache=cache, seconds=entry.timeout)
    return sources.FolderSource(builtin if entry.location == settings.BUILTIN else Path(entry.location))


def _bare(entry: settings.CatalogEntry) -> models.Listing:
    return models.Listing(
        id=entry.id,
        name=entry.name or {"en": entry.id, "fr": entry.id},
        description=entry.description,
        maintainer=entry.maintainer,
        location=entry.location,
        public=entry.status == "PROD",
    )


def _entries(entry: settings.CatalogEntry, index: sources.Index) -> list[models.Entry]:
    """The charts of a catalogue: highlighted ones first, in the administrator's order, then by name."""
    by_name: dict[str, list[models.ChartInfo]] = {}
    for release in index.releases:
        by_name.setdefault(release.info.name, []).append(release.info)
    found = [_entry(entry, name, infos) for name, infos in by_name.items() if _is_offered(entry, infos)]
    found += [models.Entry(name, problem=text) for name, text in index.problems.items() if name not in entry.excluded]
    order = {name: place for place, name in enumerate(entry.highlighted)}
    return sorted(found, key=lambda item: (order.get(item.name, len(order)), item.name))


def _entry(entry: settings.CatalogEntry, name: str, infos: Iterable[models.ChartInfo]) -> models.Entry:
    ordered = sorted(infos, key=lambda info: versions.key(info.version), reverse=True)
    default = versions.newest(info.version for info in ordered)
    kept = [info for place, info in enumerate(ordered) if place < entry.max_versions or info.version == default]
    return models.Entry(name, versions=tuple(kept), default=default, highlighted=name in entry.highlighted)


def _is_offered(entry: settings.CatalogEntry, infos: list[models.ChartInfo]) -> bool:
    newest = max(infos, key=lambda info: versions.key(info.version))
    keywords = set(newest.keywords)
    wanted = not entry.include_keywords or keywords & set(entry.include_keywords)
    unwanted = newest.name in entry.excluded or keywords & set(entry.exclude_keywords)
    return bool(wanted) and not unwanted and newest.type == "application"
