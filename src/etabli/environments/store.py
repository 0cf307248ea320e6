"""Trees, locks and the cache of packages on the disk, for any number of processes that may each die at any moment.

    trees/<digest>/        built.json and tree/: whole, or not there
    bases/<digest>/        base.json and root/: a whole root that trees stand on; bases/current names the one that new trees do
    pool/cache/            uv's cache; in one mount with what is built, so that packages are hard links and not copies
    pool/building/<id>/    a build that runs, or that a killed lab left: `<digest>.<random>`
    locks/<key>            advisory locks (flock(2)): who dies lets go
    resolved/<inputs>.txt  locks that were resolved here
    logs/<name>.log        what the last build wrote, and <name>.json: where it is

A tree takes its name by `rename` at once, and is synced to the disk afterwards, in the background: a gigabyte of small files takes its
time, and a service waits. Until then it is trusted in this boot alone, so that after a power loss it is built again, not trusted
with holes. The cache is held to the same rule.
"""

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from etabli.environments import models, tree
from etabli.kernel import files, processes

RECORD = "built.json"
TREE = "tree"
BASE_RECORD, ROOT, CURRENT = "base.json", "root", "current"
DURABLE = "durable"  # Beside the record, once the tree is on the disk.
CACHE_LOCK = "cache"  # Shared by builds, taken alone by whoever empties the cache.


class Store:
    """One lab's trees, under one folder for the lab's uid alone."""

    def __init__(self, root: Path) -> None:
        self.trees, self.bases, self.pool = root / "trees", root / "bases", root / "pool"
        self.cache, self.building = self.pool / "cache", self.pool / "building"
        self._locks, self._resolved, self._logs = root / "locks", root / "resolved", root / "logs"
        self._cache_mark = self.pool / "cache-not-synced"
        own = (root, self.trees, self.bases, self.pool, self.cache, self.building)
        for folder in (*own, self._locks, self._resolved, self._logs):
            files.private_folder(folder)

    # Trees

    def find(self, digest: str) -> models.Tree | None:
        """The tree of a digest, if it and its base are there, whole, and on the disk (or made in this boot)."""
        folder = self.trees / digest
        record = _trusted(folder / RECORD)
        if record is None:
            return None
        found = models.Tree(**{**record, "path": folder / TREE, "built_at": datetime.fromisoformat(record["built_at"])})
        return None if found.base_digest and self.find_base(found.base_digest) is None else found

    def digests(self) -> tuple[str, ...]:
        """Of every tree that is there."""
        return tuple(sorted(entry.name for entry in self.trees.iterdir() if (entry / RECORD).exists()))

    @contextmanager
    def building_folder(self, key: str, *, kind: str = TREE) -> Iterator[Path]:
        """A fresh folder to build in, held until the end: `out/tree` (or `out/root`) is published, the caller throws the rest away."""
        name = f"{key}.{secrets.token_hex(4)}"
        with self.locked(_build_key(name)):
            folder = self.building / name
            (folder / "out" / kind).mkdir(parents=True)
            try:
                yield folder
            finally:
                (self._locks / _build_key(name)).unlink(missing_ok=True)

    def publish(self, build: Path, built: models.Tree) -> models.Tree:
        """Give a finished build its name. The caller holds the digest's lock."""
        files.write_atomically(build / "out" / RECORD, _record(built, date="built_at"))
        target = self.trees / built.digest
        tree.remove(target)  # One that a power loss left, not trusted any more.
        (build / "out").rename(target)
        files.sync_folder(self.trees)
        return replace(built, path=target / TREE)

    def make_durable(self, digest: str) -> None:
        """Wait until the tree, and the cache that it came from, are on the disk; then trust them for ever."""
        mark = self._read_cache_mark()
        os.sync()
        record = self.trees / digest / RECORD
        if record.exists():
            files.write_atomically(record.with_name(DURABLE), "")
        with self.locked(CACHE_LOCK) as alone:
            # A build that began meanwhile left a mark of its own, and syncs what it wrote in its turn.
            if alone and mark == self._read_cache_mark():
                self._cache_mark.unlink(missing_ok=True)

    def remove(self, digest: str) -> bool:
        """Remove a tree, unless somebody builds or removes it now. It loses its name at once."""
        with self.locked(digest) as mine:
            return mine and self._throw_away(self.trees / digest)

    def _throw_away(self, folder: Path) -> bool:
        with self.building_folder(folder.name) as trash:
            try:
                folder.rename(trash / folder.name)
            except FileNotFoundError:
                return False
            finally:
                tree.remove(trash)
        return True

    # Bases

    def find_base(self, digest: str) -> models.BaseRoot | None:
        """The whole root of a digest, under the same conditions as a tree."""
        folder = self.bases / digest
        record = _trusted(folder / BASE_RECORD)
        if record is None:
            return None
        record |= {"path": folder / ROOT, "packages": tuple(record["packages"])}
        return models.BaseRoot(**{**record, "made_at": datetime.fromisoformat(record["made_at"])})

    def base_digests(self) -> tuple[str, ...]:
        """Of every base that is there."""
        return tuple(sorted(entry.parent.name for entry in self.bases.glob(f"*/{BASE_RECORD}")))

    def current_base(self) -> str:
        """The digest of the base that trees built from now on stand on; empty before the first is made."""
        try:
            return (self.bases / CURRENT).read_text()
        except FileNotFoundError:
            return ""

    def publish_base(self, build: Path, made: models.BaseRoot) -> models.BaseRoot:
        """Give a finished base its name, and new trees to stand on it. The same one, already there, stays: services stand on it."""
        found = self.find_base(made.digest)
        if found is None:
            files.write_atomically(build / "out" / BASE_RECORD, _record(made, date="made_at"))
            target = self.bases / made.digest
            tree.remove(target)  # One that a power loss left, not trusted any more.
            (build / "out").rename(target)
            files.sync_folder(self.bases)
            found = replace(made, path=target / ROOT)
        files.write_atomically(self.bases / CURRENT, made.digest)
        return found

    def make_base_durable(self, digest: str) -> None:
        """Wait until a base is on the disk; then trust it for ever."""
        os.sync()
        if (self.bases / digest / BASE_RECORD).exists():
            files.write_atomically(self.bases / digest / DURABLE, "")

    def remove_base(self, digest: str) -> bool:
        """Remove a base, unless anything is being built. The caller sees that no tree stands on it."""
        with self.locked(CACHE_LOCK) as alone:
            return alone and self._throw_away(self.bases / digest)

    # Builds

    @contextmanager
    def leftover(self) -> Iterator[Path | None]:
        """A folder that nobody builds in any more, held while the caller removes it; None where there is none."""
        for folder in sorted(self.building.iterdir()):
            with self.locked(_build_key(folder.name)) as abandoned:
                if abandoned and folder.exists():
                    yield folder
                    (self._locks / _build_key(folder.name)).unlink(missing_ok=True)
                    return
        yield None

    # The cache

    def prepare_cache(self) -> None:
        """To be called before a build uses the cache: it is emptied where a power loss may have left holes in it."""
        boot = processes.boot_id()
        mark = self._read_cache_mark()
        if mark and not mark.startswith(boot):
            tree.remove(self.cache)
        files.private_folder(self.cache)
        files.write_atomically(self._cache_mark, f"{boot} {secrets.token_hex(8)}")

    def empty_cache(self) -> bool:
        """Forget downloads, unless somebody builds now. Trees do not need them."""
        with self.locked(CACHE_LOCK) as alone:
            if alone:
                tree.remove(self.cache)
                files.private_folder(self.cache)
            return alone

    def _read_cache_mark(self) -> str:
        """The boot in which the cache was written and not synced since, and which build wrote last; empty where all is synced."""
        try:
            return self._cache_mark.read_text()
        except FileNotFoundError:
            return ""

    # Locks between processes

    @contextmanager
    def locked(self, key: str, *, shared: bool = False) -> Iterator[bool]:
        """Try to hold the lock of `key`: whether we do. Never waits; a process that dies lets go."""
        descriptor = os.open(self._locks / key, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, files.PRIVATE_FILE)
        try:
            fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            held = True
        except BlockingIOError:
            held = False
        try:
            yield held
        finally:
            os.close(descriptor)

    # Locks of versions

    def resolved(self, inputs: str) -> str | None:
        """The lock that was resolved here for these inputs."""
        try:
            return (self._resolved / f"{inputs}.txt").read_text()
        except FileNotFoundError:
            return None

    def keep_resolved(self, inputs: str, lock: str) -> None:
        """Remember a lock."""
        files.write_atomically(self._resolved / f"{inputs}.txt", lock)

    # What is told of a build

    def log(self, name: str) -> Path:
        """Where the last build of an environment writes."""
        return self._logs / f"{name}.log"

    def tell(self, name: str, state: models.BuildState) -> None:
        """Let other processes know where a build is. Not synced: it is news, not state."""
        target = self._logs / f"{name}.json"
        temporary = target.with_suffix(f".{secrets.token_hex(4)}")
        temporary.write_text(json.dumps(asdict(state)))
        temporary.rename(target)

    def told(self, name: str) -> models.BuildState | None:
        """What was told last, by whichever process."""
        try:
            record = json.loads((self._logs / f"{name}.json").read_text())
        except (FileNotFoundError, ValueError):
            return None
        return models.BuildState(**{**record, "phase": models.BuildPhase(record["phase"])})


def _trusted(path: Path) -> dict[str, Any] | None:
    """The record of what is on the disk, or was made in this boot."""
    try:
        record: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return None
    boot = record.pop("boot")
    return record if boot == processes.boot_id() or path.with_name(DURABLE).exists() else None


def _record(made: models.Tree | models.BaseRoot, *, date: str) -> str:
    fields = asdict(made)
    del fields["path"]
    return json.dumps({**fields, date: fields[date].isoformat(), "boot": processes.boot_id()})


def _build_key(name: str) -> str:
    return f"build-{name}"
