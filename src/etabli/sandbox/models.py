"""The vocabulary of sandboxes: what to run, in which root, behind which walls. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

ENVIRONMENT_PATH = "/opt/environment"  # Where the environment's tree is seen inside a sandbox, at build and at run.


@dataclass(frozen=True)
class Root:
    """What a sandbox sees as its file system.

    `system` is a list of overlay lowers for `/`, topmost first; empty means this machine's own system (`/usr` and chosen entries of
    `/etc`), read-only. `environment` is a folder shown at ENVIRONMENT_PATH as the lower of an overlay, so that `pip install` works
    inside and dies with the sandbox.
    """

    system: tuple[Path, ...] = ()
    environment: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)  # Variables that come with the tree (PATH…).


@dataclass(frozen=True)
class Mount:
    """One more place inside. `source` None means a fresh tmpfs of at most `size_bytes`."""

    target: str
    source: Path | None = None
    read_only: bool = False
    size_bytes: int | None = None


@dataclass(frozen=True)
class Limits:
    """What a sandbox may use at most; None is no limit of its own."""

    cpu: float | None = None  # Cores.
    memory_bytes: int | None = None
    processes: int = 4096


@dataclass(frozen=True)
class SandboxSpec:
    """One sandbox: a pod's container, an init container, a build step."""

    id: str  # Names its folder of state; unique among living sandboxes.
    argv: tuple[str, ...]
    root: Root = Root()
    env: Mapping[str, str] = field(default_factory=dict)  # The whole environment inside: nothing leaks from ours.
    cwd: str = "/"
    hostname: str = "localhost"
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
