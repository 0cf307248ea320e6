"""Where charts lie: a folder of this machine, or a repository (`index.yaml`, helm.sh/docs/topics/chart_repository) over HTTP.

Both answer the same two questions: which charts, and the files of one. Everything past that is one code. A chart that is broken is
told beside the others, under its name. What comes over the network is bounded in bytes and time, and an archive whose SHA-256 is not
the one that its index declares is refused.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import httpx

from etabli.catalog import archives, errors, models, reading, yamls
from etabli.kernel import files

MAX_INDEX = 32 * 1024 * 1024  # Bytes; INSEE's largest is about 2 MB.
MAX_ARCHIVE = 16 * 1024 * 1024
MAX_INDEX_NODES = 2_000_000


@dataclass(frozen=True)
class Release:
    """One version of a chart in a source, and where its files are."""

    info: models.ChartInfo
    location: str  # A folder's or archive's path, or an address.
    digest: str = ""  # SHA-256 of the archive where the index declares one.


@dataclass(frozen=True)
class Index:
    """What a source holds: releases, and what is wrong with those that cannot be used, by name."""

    releases: tuple[Release, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """One place with charts."""

    def last_known(self) -> Index | None:
        """What it held when it was last read, without the network; None where that is not known."""
        ...

    async def index(self) -> Index:
        """What it holds now. SourceUnavailable where it does not answer."""
        ...

    async def files(self, release: Release) -> archives.Files:
        """The files of one release. ChartBroken, ChartNotFound or SourceUnavailable."""
        ...


class FolderSource:
    """A folder: each folder in it with a `Chart.yaml`, and each `.tgz`, is a chart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def last_known(self) -> Index | None:
        """A folder is read at once."""
        return None

    async def index(self) -> Index:
        """Read every chart whole, so that a broken one is told here and not at its launch."""
        return await asyncio.to_thread(self._index)

    async def files(self, release: Release) -> archives.Files:
        """Read again: what is launched is what lies there now."""
        return await asyncio.to_thread(_read, Path(release.location))

    def _index(self) -> Index:
        if not self._folder.is_dir():
            raise errors.SourceUnavailable(f"`{self._folder}` is not a folder", hint="correct the catalogue's location")
        releases: list[Release] = []
        problems: dict[str, str] = {}
        for path in sorted(self._folder.iterdir()):
            if not (path / "Chart.yaml").is_file() and path.suffix != ".tgz":
                continue
            name = path.name.removesuffix(".tgz")
            try:
                chart = reading.chart("", _read(path), archive=path, digest="")
            except errors.ChartBroken as error:
                problems[name] = error.message
                continue
            if any((r.info.name, r.info.version) == (chart.info.name, chart.info.version) for r in releases):
                problems[name] = f"another chart here is `{chart.info.name}` {chart.info.version} too"
                continue
            releases.append(Release(chart.info, str(path)))
        return Index(tuple(releases), problems)


class RepositorySource:
    """A repository: `index.yaml` and archives over HTTP. The last good index is kept, for days without a network."""

    def __init__(self, url: str, *, http: httpx.AsyncClient, cache: Path, seconds: float) -> None:
        self._base = url.rstrip("/") + "/"
        self._http = http
        self._seconds = seconds
        self._kept = cache / f"index-{archives.digest(self._base.encode())[:16]}.yaml"
        self._archives = cache

    def last_known(self) -> Index | None:
        """The index kept from the last time that the repository answered."""
        try:
            return _parse_index(self._kept.read_bytes(), self._base)
        except (FileNotFoundError, errors.SourceUnavailable):
            return None

    async def index(self) -> Index:
        """Fetch, read and keep the index."""
        data = await self._fetch(urljoin(self._base, "index.yaml"), limit=MAX_INDEX)
        index = await asyncio.to_thread(_parse_index, data, self._base)
        await asyncio.to_thread(files.write_atomically, self._kept, data)
        return index

    async def files(self, release: Release) -> archives.Files:
        """The archive, from the cache where its digest is declared and there, else fetched and checked."""
        kept = self._archives / f"original-{release.digest}.tgz" if release.digest else None
        if kept is not None and kept.is_file():
            data = await asyncio.to_thread(kept.read_bytes)
            if archives.digest(data) == release.digest:
                return await asyncio.to_thread(archives.read_archive, data)
        data = await self._fetch(release.location, limit=MAX_ARCHIVE)
        if kept is None:
            return await asyncio.to_thread(archives.read_archive, data)
        if archives.digest(data) != release.digest:
            raise errors.ChartBroken(
                f"the archive of `{release.info.name}` {release.info.version} is not the one that the index declares",
                hint="tell the repository's maintainer: either changed without the other, or somebody changed it",
            )
        read = await asyncio.to_thread(archives.read_archive, data)
        await asyncio.to_thread(files.write_atomically, kept, data)
        return read

    async def _fetch(self, url: str, *, limit: int) -> bytes:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise errors.ChartBroken("the index names an address that is not http(s)", hint="tell its maintainer")
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._seconds * 6):  # httpx bounds each read; this bounds a slow drip.
                async with self._http.stream("GET", url, timeout=self._seconds, follow_redirects=True) as answer:
                    answer.raise_for_status()
                    async for part in answer.aiter_bytes():
                        size += len(part)
                        if size > limit:
                            raise errors.SourceUnavailable(
                                f"`{_host(url)}` sends more than {limit:,} bytes", hint="tell its maintainer"
                            )
                        parts.append(part)
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise errors.SourceUnavailable(
                f"`{_host(url)}` does not answer as a repository of charts does", hint="try again, or check its address"
            ) from error
        return b"".join(parts)


def _read(path: Path) -> archives.Files:
    if path.is_dir():
        return archives.read_folder(path)
    if path.stat().st_size > MAX_ARCHIVE:
        raise errors.ChartBroken(f"`{path.name}` is larger than {MAX_ARCHIVE:,} bytes", hint="make it smaller")
    return archives.read_archive(path.read_bytes())


def _parse_index(data: bytes, base: str) -> Index:
    try:
        content = yamls.load(data, max_characters=MAX_INDEX, max_nodes=MAX_INDEX_NODES)
    except yamls.Malformed as error:
        raise errors.SourceUnavailable(f"the repository's index {error.message}", hint="tell its maintainer") from error
    entries = content.get("entries") if isinstance(content, Mapping) else None
    if not isinstance(entries, Mapping):
        raise errors.SourceUnavailable("the repository's index has no `entries`", hint="check its address")
    releases: list[Release] = []
    problems: dict[str, str] = {}
    for name, found in entries.items():
        for entry in found if isinstance(found, list) else []:
            try:
                releases.append(_release(name, entry, base))
            except errors.ChartBroken as error:
                problems[name[:80]] = error.message
    usable = {release.info.name for release in releases}
    return Index(tuple(releases), {name: text for name, text in problems.items() if name not in usable})


def _release(name: str, entry: object, base: str) -> Release:
    if not isinstance(entry, Mapping):
        raise errors.ChartBroken("its entry in the index is not a mapping", hint="tell its maintainer")
    info = reading.chart_info(entry)
    if info.name != name:
        raise errors.ChartBroken(f"its entry in the index is named `{info.name}`", hint="tell its maintainer")
    urls = entry.get("urls")
    if not isinstance(urls, list) or not urls or not isinstance(urls[0], str):
        raise errors.ChartBroken("its entry in the index names no archive", hint="tell its maintainer")
    digest = str(entry.get("digest") or "").removeprefix("sha256:").lower()
    if digest and (len(digest) != 64 or not set(digest) <= set("0123456789abcdef")):
        raise errors.ChartBroken("its digest in the index is no SHA-256", hint="tell its maintainer")
    return Release(info, urljoin(base, urls[0]), digest)


def _host(url: str) -> str:
    return urlsplit(url).hostname or "the repository"
