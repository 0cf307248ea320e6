"""Small components that are real processes, and a supervisor that is one too."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from etabli.components import child, models, plan, status
from etabli.components.keeper import Pace
from etabli.kernel import files, processes
from etabli.kernel.processes import ProcessRef

DEADLINE = 20.0  # Seconds for real processes to come up, on a busy machine.
HURRIED = Pace(poll=0.02, steady=0.1, watch=0.1, delays=(0.0, 0.05, 0.05, 0.05), fatal=0.3)

# Answers 200 on its socket, tells its start and stop in a shared file, and what it sees of the network.
ANSWERS = """
import os, signal, socket, sys
path, told, name = sys.argv[1:4]
def tell(word):
    with open(told, "a") as file: file.write(f"{word} {name}\\n")
def stop(*_):
    tell("stop"); os._exit(0)
signal.signal(signal.SIGTERM, stop)
if os.path.exists(path): os.unlink(path)
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen()
tell("start"); print("listening", flush=True)
while True:
    client, _ = server.accept()
    client.recv(4096); client.send(b"HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n"); client.close()
"""


async def until(true: Callable[[], bool], what: str, *, within: float = DEADLINE) -> None:
    """Wait until `true()`, or fail saying what did not come."""
    for _ in range(int(within / 0.01)):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{what} did not come within {within} s")


class Lab:
    """A plan under construction, its folders, and the supervisors started on it."""

    def __init__(self, root: Path) -> None:
        self.plan = models.Plan(data=root / "data", run=root / "run", components=())
        self.told = root / "told"
        self.told.touch()
        files.private_folder(self.plan.data / "components")
        files.private_folder(self.plan.run)
        self.supervisors: list[subprocess.Popen[bytes]] = []

    @property
    def path(self) -> Path:
        return self.plan.data / "components" / plan.FILE_NAME

    def folder(self, name: str) -> Path:
        return self.plan.data / "components" / name

    def add(self, component: models.Component) -> models.Component:
        """Put a component in the plan, in place of one of that name."""
        kept = [one for one in self.plan.components if one.name != component.name]
        self.plan = replace(self.plan, components=(*kept, component))
        return component

    def answering(self, name: str, **more: object) -> models.Component:
        """Add a component that answers."""
        socket = self.plan.run / f"{name}.sock"
        argv = (sys.executable, "-S", "-c", ANSWERS, str(socket), str(self.told), name)
        made = models.Component(name=name, argv=argv, folder=self.folder(name), health=models.Health(socket, path="/"))
        return self.add(replace(made, **more))  # type: ignore[arg-type] # Names of Component.

    def running(self, name: str, code: str, **more: object) -> models.Component:
        """Add a component that runs Python code."""
        made = models.Component(name=name, argv=(sys.executable, "-S", "-c", code), folder=self.folder(name))
        return self.add(replace(made, **more))  # type: ignore[arg-type] # Names of Component.

    def up(self) -> subprocess.Popen[bytes]:
        """Start a supervisor as a process of its own."""
        plan.save(self.plan, self.path)
        return self.spawn(sys.executable, "-m", "etabli.components.supervisor", str(self.path))

    def spawn(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a supervisor by this command."""
        self.supervisors.append(subprocess.Popen(argv, stderr=subprocess.PIPE, stdout=subprocess.PIPE))
        return self.supervisors[-1]

    def written(self, name: str) -> models.Status | None:
        """What the supervisor last wrote of a component."""
        _, known = status._written(self.plan.run)
        return known.get(name)

    def recorded(self, name: str) -> bool:
        """Whether a process is recorded for a component."""
        return processes.load(self.folder(name) / child.RECORD) is not None

    async def ready(self, *, within: float = DEADLINE) -> status.Snapshot:
        """Wait until everything answers."""
        await until(
            lambda: (seen := status.read(self.plan)).supervisor is not None and seen.ready, "readiness", within=within
        )
        return status.read(self.plan)

    def ref(self, name: str) -> ProcessRef:
        """The process recorded for a component, or for the holder of the network."""
        found = processes.load(self.folder(name) / child.RECORD)
        assert found is not None
        return found

    def kill(self, name: str) -> ProcessRef:
        """SIGKILL a component: what it was."""
        ref = self.ref(name)
        processes.send_signal(ref, signal.SIGKILL)
        return ref

    def close(self) -> None:
        """Leave nothing running."""
        for supervisor in self.supervisors:
            supervisor.kill()
            supervisor.communicate()
        for record in self.plan.data.glob(f"components/*/{child.RECORD}"):
            ref = processes.load(record)
            if ref is not None:
                processes.send_signal(ref, signal.SIGKILL)


@pytest.fixture
def lab() -> Iterator[Lab]:
    root = Path(tempfile.mkdtemp(prefix="lab-"))
    made = Lab(root)
    yield made
    made.close()
    shutil.rmtree(root)


def tell_network(ref: ProcessRef) -> str:
    """Which network a process is in."""
    return os.readlink(f"/proc/{ref.pid}/ns/net")
