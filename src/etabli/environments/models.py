"""The vocabulary of environments. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from etabli.sandbox.models import Mount

IMAGE_PREFIX = "etabli/"  # What charts write: `etabli/<environment>[:tag]`.
BUILDER_VERSION = 1  # Raised when the same lock must give another tree: part of every digest.


@dataclass(frozen=True)
class CopiedFile:
    """A file of the environment's `files/`, copied into the tree as it is."""

    path: str  # Relative to the tree, `/` between parts.
    content: bytes
    executable: bool


@dataclass(frozen=True)
class Spec:
    """A folder of well-known files, read."""

    name: str
    folder: Path
    requirements: str | None  # requirements.txt
    excludes: str  # excludes.txt
    project: tuple[str, str] | None  # pyproject.toml and its uv.lock
    lock: str | None  # requirements.lock, where it belongs to these inputs.
    python: str | None  # `3.12`, from runtime.txt; None is the base's own.
    base: str | None  # From the file `base`; None is the lab's own choice.
    post_build: bytes | None
    files: tuple[CopiedFile, ...]
    inputs: str  # SHA-256 of what a lock is resolved from.


@dataclass(frozen=True)
class Base:
    """What a tree stands on: trees of another base are other trees."""

    name: str  # `host`: this machine's own system, read-only. `debian-13`: a whole root.
    python: str  # Path of the interpreter, as the sandbox sees it.
    python_version: str  # `3.11.2`
    identity: str  # What makes it that one: the text of os-release and the architecture, or the digest of a whole root.
    digest: str = ""  # Of a whole root; empty for `host`.
    root: Path | None = None  # Where the whole root is; None for `host`.

    @property
    def system(self) -> tuple[Path, ...]:
        """As a sandbox is given it: the overlay lowers of `/`; none is this machine's own system."""
        return () if self.root is None else (self.root,)

    @property
    def python_folder(self) -> str:
        """`python3.11`, as folders of libraries are named."""
        return "python" + ".".join(self.python_version.split(".")[:2])


@dataclass(frozen=True)
class BaseRoot:
    """A whole root that is here."""

    digest: str  # Of what went in: the packages with their versions, and how they were put together.
    path: Path
    name: str
    python_version: str
    packages: tuple[str, ...]  # `name version architecture`
    size_bytes: int
    made_at: datetime
    make_seconds: float


@dataclass(frozen=True)
class Plan:
    """All that decides a tree."""

    spec: Spec
    base: Base
    lock: str
    digest: str


@dataclass(frozen=True)
class Tree:
    """A built environment."""

    digest: str  # Of what went in: the lock, the base, the files.
    path: Path
    environment: str  # The name it was built under.
    base: str
    python_version: str
    packages: int
    size_bytes: int  # Of its files. What it shares with other trees (hard links) is counted in each.
    built_at: datetime
    build_seconds: float
    content_digest: str  # Of what came out: paths, modes and contents, compiled bytecode left out.
    base_digest: str = ""  # The whole root that it stands on; empty for `host`.


@dataclass(frozen=True)
class Environment:
    """An environment that the lab offers."""

    name: str
    image: str
    digest: str | None = None  # None until it is locked.
    tree: Tree | None = None  # None until it is built.
    problem: str = ""  # Why it cannot be built, where its folder is wrong.
    base: str = ""  # What it stands on, or would.


class BuildPhase(StrEnum):
    """Where the build of an environment is."""

    WAITING = "waiting"  # Nobody builds it yet.
    LOCKING = "locking"
    DOWNLOADING = "downloading"
    INSTALLING = "installing"
    FINISHING = "finishing"  # postBuild, bytecode, digests.
    READY = "ready"
    FAILED = "failed"


@dataclass(frozen=True)
class BuildState:
    """What a page says about a build."""

    phase: BuildPhase
    message: str = ""  # A sentence for people.
    hint: str = ""  # What to do next, where it failed.
    fraction: float | None = None  # Of the phase, 0 to 1; None where nobody knows.
    packages: int = 0  # In all; 0 until it is known.
    bytes_done: int = 0  # Downloaded, of packages over 1 MiB: the index tells no size of the others.
    bytes_total: int = 0


@dataclass(frozen=True)
class Pruned:
    """What `prune` removed."""

    digests: tuple[str, ...]  # Of trees.
    freed_bytes: int  # What the file system has more of, as far as it tells.


@dataclass(frozen=True)
class Reach:
    """How packages are reached from inside a sandbox: variables, and files that they name."""

    variables: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()


@dataclass(frozen=True)
class Step:
    """One command of a build, run in a sandbox that sees the base, `mounts`, and nothing of the lab."""

    id: str
    environment: str  # Whose build it is: one build of an environment runs at a time.
    argv: tuple[str, ...]
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    folder: Path  # The sandbox's own record.
    log: Path  # What it writes is appended here.
    system: tuple[Path, ...] = ()  # The base, as `sandbox.models.Root` wants it.


@dataclass(frozen=True)
class Outcome:
    """How a step ended."""

    exit_code: int
    message: str = ""  # Why it did not start, or was ended.
    hint: str = ""  # What about this machine may be the reason, where it ended badly.
