"""The builder: each step a sandbox, on a ground that only the builds of one environment stand on.

Steps run with the lab's uid, since what they write is the lab's; they see the base, read-only, what they are given, and the internet.
"""

import hashlib
from datetime import timedelta
from pathlib import Path

from etabli.environments import models
from etabli.environments.settings import EnvironmentSettings
from etabli.sandbox.models import Ground, Limits, Root, SandboxSpec, User
from etabli.sandbox.service import Sandboxes

NOT_STARTED = 125  # What a shell answers for a command that it could not run.


class SandboxBuilder:
    """Runs steps of builds in sandboxes of this machine."""

    def __init__(self, sandboxes: Sandboxes, settings: EnvironmentSettings) -> None:
        self._sandboxes, self._settings = sandboxes, settings
        self._grounds: dict[str, Ground] = {}

    async def run(self, step: models.Step) -> models.Outcome:
        ground = await self._ground(step.environment)
        spec = SandboxSpec(
            id=step.id,
            argv=step.argv,
            root=Root(system=step.system),
            env=step.env,
            cwd="/tmp",
            hostname="build",
            mounts=step.mounts,
            limits=Limits(memory_bytes=self._settings.build_memory_bytes),
            user=User.LAB,
        )
        found = await self._sandboxes.run(spec, on=ground, folder=step.folder, log=step.log)
        code = NOT_STARTED if found.exit_code is None else found.exit_code
        hint = (
            "" if ground.internet else "builds reach no package index here: install `passt` (`etabli doctor` says more)"
        )
        return models.Outcome(exit_code=code, message=found.message, hint=hint)

    async def end(self, folder: Path) -> None:
        await self._sandboxes.stop(folder, grace=timedelta())

    async def seal(self, tree: Path, *, environment: str) -> None:
        await self._sandboxes.take(await self._ground(environment), tree, shared=True)

    async def leave(self, environment: str) -> None:
        ground = self._grounds.pop(environment, None)
        if ground is not None:
            await self._sandboxes.remove_ground(ground)

    async def _ground(self, environment: str) -> Ground:
        # Short, since paths of sockets are: a UNIX socket's has at most 107 bytes.
        name = "b-" + hashlib.sha256(environment.encode()).hexdigest()[:8]
        self._grounds[environment] = await self._sandboxes.ensure_project(name)
        return self._grounds[environment]
