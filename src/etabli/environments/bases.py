"""Which base an environment stands on, and making the one that is a whole root.

An environment says its base in a file `base`, else the lab's setting does. `host` is found at once. `debian-13` is made once for all
environments, at the first build that asks for it, and is the same until it is made again: what it is called (its digest) follows from
the packages and versions that the mirror gave, so that it is known only then.
"""

import asyncio
import hashlib
import json
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from etabli.environments import base, build, debian, errors, models, progress, tree
from etabli.environments.indexes import Indexes
from etabli.environments.models import BuildPhase, BuildState
from etabli.environments.settings import EnvironmentSettings
from etabli.environments.store import ROOT, Store
from etabli.kernel.clock import Clock
from etabli.kernel.errors import Invalid

HOST = "host"
SAID = re.compile(r"^E: (.*)$", re.MULTILINE)  # What apt and mmdebstrap say first; the rest follows from it.


class Bases:
    """The bases of one lab."""

    def __init__(
        self,
        store: Store,
        *,
        environ: Mapping[str, str],
        indexes: Indexes,
        clock: Clock,
        settings: EnvironmentSettings,
    ) -> None:
        self._store, self._clock, self._settings = store, clock, settings
        own = settings.debian_mirror
        mirror = debian.find_mirror() if own is None else debian.Mirror(main=own, security=None)
        self.maker = debian.Maker(environ=environ, indexes=indexes, mirror=mirror, clock=clock)
        self._hosts: dict[str | None, models.Base] = {}

    def name(self, found: models.Spec) -> str:
        """What an environment stands on."""
        return found.base or self._settings.base

    def of(self, found: models.Spec) -> models.Base:
        """The base of an environment. NotLocked where it must be made first; Invalid where it has not the Python asked for."""
        if self.name(found) == HOST:
            if found.python not in self._hosts:
                self._hosts[found.python] = base.host(found.python)
            return self._hosts[found.python]
        made = self.current()
        if made is None:
            raise errors.NotLocked(
                f"the base `{debian.NAME}` is not made yet", hint=f"`etabli environments build {found.name}` makes it"
            )
        return _base(made, wanted=found.python)

    def current(self) -> models.BaseRoot | None:
        """The whole root that is built on now."""
        return self._store.find_base(self._store.current_base())

    def all(self) -> tuple[models.BaseRoot, ...]:
        """Every whole root that is here, the current one first."""
        found = [made for digest in self._store.base_digests() if (made := self._store.find_base(digest)) is not None]
        return tuple(sorted(found, key=lambda made: (made.digest != self._store.current_base(), made.digest)))

    async def make(self, folder: Path, *, log: Path, tell: Callable[[BuildState], None]) -> models.BaseRoot:
        """Make a whole root in `folder/out/root`. The caller seals and publishes it. BuildFailed, DiskFull, Unavailable."""
        began, root = self._clock.monotonic(), folder / "out" / ROOT
        begin = BuildState(BuildPhase.DOWNLOADING, f"making the base: {debian.NAME}")
        follower = progress.Follower(log, begin, tell=tell)
        following = asyncio.create_task(follower.follow(self._clock))
        try:
            code = await self.maker.make(folder, root=root, log=log)
        finally:
            following.cancel()
        follower.look()
        if code != 0:
            said = SAID.search(output := follower.output())
            raise build.failure("base", models.Outcome(exit_code=code, message=said[1] if said else ""), output)
        made = await asyncio.to_thread(_describe, root, made_at=self._clock.now())
        return replace(made, make_seconds=round(self._clock.monotonic() - began, 1))


def _describe(root: Path, *, made_at: datetime) -> models.BaseRoot:
    """What a whole root is, read from it."""
    installed = debian.packages(root)
    parts = {
        "recipe": debian.RECIPE,
        "suite": debian.SUITE,
        "machine": platform.machine(),
        "packages": installed,
        "authorities": hashlib.sha256((root / debian.AUTHORITIES).read_bytes()).hexdigest(),
    }
    return models.BaseRoot(
        digest=hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest(),
        path=root,
        name=debian.NAME,
        python_version=debian.python_version(installed),
        packages=installed,
        size_bytes=tree.size(root),
        made_at=made_at,
        make_seconds=0.0,
    )


def _base(made: models.BaseRoot, *, wanted: str | None) -> models.Base:
    found = models.Base(
        name=made.name,
        python=debian.PYTHON,
        python_version=made.python_version,
        identity=made.digest,
        digest=made.digest,
        root=made.path,
    )
    have = found.python_folder.removeprefix("python")
    if wanted not in (None, have):
        raise Invalid(
            f"the base `{made.name}` has Python {have}, not {wanted}",
            hint="leave `runtime.txt` out, or stand on `host`: a line in the file `base`",
            fields={"runtime.txt": f"`{made.name}` has {have}"},
        )
    return found
