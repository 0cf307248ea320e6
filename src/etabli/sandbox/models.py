"""The vocabulary of sandboxes: what to run, in which root, on which ground, behind which walls. No I/O.

*Ground*: what the sandboxes of one project stand on (a user namespace, a network, a host uid of its own). *Pod network*: one address
on that ground, shared by the containers of one pod. *Sandbox*: one supervised process tree in a root of its own. An *enclave* is a
ground without a network but its own loopback, in which the lab's own components run.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from etabli.kernel.processes import ProcessRef

ENVIRONMENT_PATH = "/opt/environment"  # Where the environment's tree is seen inside a sandbox, at build and at run.
CREDENTIALS_ADDRESS = "169.254.170.2"  # On every project's bridge: the address that AWS SDKs ask for credentials.
INSIDE_UID = 1000  # Who a service is inside: user and group `etabli`.
HOSTS_FOLDER = "/run/net"  # Where a folder written by `write_hosts` is mounted; /etc/hosts points into it.


class User(StrEnum):
    """Whose files and signals a sandbox can reach, seen from the machine."""

    PROJECT = "project"  # The ground's own host uid. Folders that it writes are made by `Sandboxes.give`.
    LAB = "lab"  # The lab's uid: what it writes belongs to the lab. For builds alone.


@dataclass(frozen=True)
class Root:
    """What a sandbox sees as its file system.

    `system` is a list of overlay lowers for `/`, topmost first; empty means this machine's own system (`/usr` and chosen entries of
    `/etc`), read-only. `environment` is a folder shown at ENVIRONMENT_PATH as the lower of an overlay, so that `pip install` works
    inside and dies with the sandbox; what it writes there lies in `SandboxSpec`'s folder, and counts as disk.
    """

    system: tuple[Path, ...] = ()
    environment: Path | None = None
    env: Mapping[str, str] = field(default_factory=dict)  # Variables that come with the tree (PATH…).


@dataclass(frozen=True)
class Mount:
    """One more place inside: a folder or a file. `source` None means a fresh tmpfs of at most `size_bytes`.

    A source is opened without following a link at its end, and `subpath` (what is shown is that folder or file under the source)
    without following any: a name that a service swapped for a link is refused. The ground's uid must be able to
    read it (`Sandboxes.give`); folders above it need not be open to anyone but the lab.
    """

    target: str
    source: Path | None = None
    read_only: bool = False
    size_bytes: int | None = None
    subpath: str = ""


@dataclass(frozen=True)
class Limits:
    """What a sandbox may use at most; None is no limit of its own."""

    cpu: float | None = None  # Cores.
    memory_bytes: int | None = None
    processes: int = 4096


@dataclass(frozen=True)
class SandboxSpec:
    """One sandbox: a pod's container, an init container, a build step."""

    id: str  # What logs and messages call it.
    argv: tuple[str, ...]
    root: Root = Root()
    env: Mapping[str, str] = field(default_factory=dict)  # The whole environment inside: nothing leaks from ours.
    cwd: str = "/"
    hostname: str = "localhost"
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    user: User = User.PROJECT
    tmp_bytes: int = 1 << 30  # The size of /tmp, which is memory.


@dataclass(frozen=True)
class Ground:
    """What the sandboxes of one project stand on, found or made by `Sandboxes.ensure_project` (or `ensure_enclave`)."""

    id: str
    folder: Path  # Its short-lived state, under the run folder.
    uid: int  # The host uid that its sandboxes have.
    holder: ProcessRef
    gateway: str = ""  # Empty for an enclave. Where relays listen, and CREDENTIALS_ADDRESS beside it.
    prefix: int = 24
    services: str = ""  # The network (`10.64.3.0/24`) that addresses of Services are taken from.
    internet: bool = False
    nameservers: tuple[str, ...] = ()

    def pod_address(self, number: int) -> str:
        """The address of pod 2 to 254; ValueError beyond."""
        return _host(self.gateway, number)

    def service_address(self, number: int) -> str:
        """The address of Service 1 to 254; ValueError beyond."""
        return _host(self.services, number)


@dataclass(frozen=True)
class PodNetwork:
    """A network namespace on a ground's bridge: an address, ports and a loopback of its own, and a /dev/shm."""

    id: str
    ground: Ground
    address: str


@dataclass(frozen=True)
class VirtualService:
    """A Service's address: `address:port` reaches one of `endpoints` (`(pod address, port)`); without any, it refuses."""

    address: str
    port: int
    endpoints: tuple[tuple[str, int], ...] = ()
    protocol: str = "tcp"  # Or `udp`.


@dataclass(frozen=True)
class InwardRelay:
    """From a UNIX socket of the machine (made 0600, by the ground's agent) to an address inside."""

    socket: Path
    address: str
    port: int


@dataclass(frozen=True)
class OutwardRelay:
    """From an address inside (the gateway's, or CREDENTIALS_ADDRESS) to a UNIX socket of the machine.

    `preface` is sent first on every connection, `{peer}` replaced by the caller's address: how the other side knows who calls.
    """

    address: str
    port: int
    socket: Path
    preface: str = ""


class Phase(StrEnum):
    """Where a sandbox is."""

    RUNNING = "running"
    EXITED = "exited"  # By itself, or by a signal: `exit_code` says.
    KILLED = "killed"  # Its supervisor was killed with it: no exit code.
    FAILED = "failed"  # It never started; `message` says why.
    LOST = "lost"  # The machine was started again since.
    ABSENT = "absent"  # There is no record of it.


@dataclass(frozen=True)
class Consumption:
    """What a sandbox consumed, or consumes."""

    cpu_seconds: float = 0.0
    memory_bytes: int = 0


@dataclass(frozen=True)
class Inspection:
    """A sandbox as its folder and the machine tell it now."""

    phase: Phase
    exit_code: int | None = None  # 128 + n for signal n.
    out_of_memory: bool = False  # The kernel or the watchdog killed for memory.
    message: str = ""
    consumption: Consumption = Consumption()
    process: ProcessRef | None = None  # Its supervisor.


@dataclass(frozen=True)
class ExecResult:
    """What a command inside a running sandbox answered."""

    exit_code: int  # 124 where it was ended for its time.
    output: bytes  # Of both streams, cut.


class Firmness(StrEnum):
    """How firmly a wall or a limit holds on this machine."""

    ENFORCED = "enforced"
    BEST_EFFORT = "best effort"
    NONE = "none"
    NOT_VERIFIED = "not verified"


@dataclass(frozen=True)
class Finding:
    """One line of `etabli doctor`."""

    subject: str  # `memory`, `cpu`, `processes`, `disk`, `network`, `internet`, `uids`, `namespaces`…
    firmness: Firmness
    message: str  # What holds, and by what.
    cure: str = ""  # The command that would make it better; empty where there is nothing to do.


def _host(network: str, number: int) -> str:
    if not 1 <= number <= 254:
        raise ValueError(f"a /24 has hosts 1 to 254, not {number}")
    return f"{network.rpartition('.')[0]}.{number}"
