"""A lab in a process of its own, to be killed or to run out of disk: `lab_process ROOT FOLDER WHEELS IMAGE…` ensures each image.

Answers one line of JSON for each: `{"built": DIGEST}`, or `{"refused": TYPE, "message": …, "left": [what is in building/]}`. It waits
for a line on the standard input before each image but the first. With LAB_RUN and LAB_STATE in its environment, builds run behind the
real walls.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

import structlog

from etabli.environments.ports import Builder
from etabli.environments.service import Environments
from etabli.environments.settings import EnvironmentSettings
from etabli.environments.walls import SandboxBuilder
from etabli.kernel.clock import SystemClock
from etabli.kernel.errors import EtabliError
from etabli.kernel.events import Events
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings
from tests.environments.plain import PlainBuilder


async def main(root: Path, folder: Path, wheels: Path, *images: str) -> None:
    lab = Environments(
        folders=(folder,),
        root=root,
        builder=_builder(),
        events=Events(),
        clock=SystemClock(),
        environ={"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1", **_given("PATH", "TMPDIR")},
        settings=EnvironmentSettings(),
    )
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    for number, image in enumerate(images):
        if number:
            await asyncio.to_thread(sys.stdin.readline)
        print(json.dumps(await _ensure(lab, image, root)), flush=True)
    await lab.close()


def _given(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _builder() -> Builder:
    if "LAB_RUN" not in os.environ:
        return PlainBuilder()
    state, run = Path(os.environ["LAB_STATE"]), Path(os.environ["LAB_RUN"])
    sandboxes = Sandboxes(state=state, run=run, settings=SandboxSettings(internet=False), clock=SystemClock())
    return SandboxBuilder(sandboxes, EnvironmentSettings())


async def _ensure(lab: Environments, image: str, root: Path) -> dict[str, object]:
    try:
        return {"built": (await lab.ensure(image)).digest}
    except EtabliError as error:
        left = sorted(entry.name for entry in (root / "pool/building").iterdir())
        return {
            "refused": type(error).__name__,
            "message": error.message,
            "phase": lab.build_state(image).phase,
            "left": left,
        }


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), *sys.argv[4:]))
