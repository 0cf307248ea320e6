"""What the command line needs of the lab on this machine; `assembly` keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class StartOptions:
    """What `etabli up` was told."""

    domain: str | None = None
    port: int | None = None
    listen: str | None = None
    certificates: str | None = None
    certificate: Path | None = None
    key: Path | None = None
    detach: bool = False


@dataclass(frozen=True)
class Row:
    """One line of a table: cells, the first of which names it, and whether it is well."""

    cells: tuple[str, ...]
    well: bool = True
    hint: str = ""  # What to do where it is not.


@dataclass(frozen=True)
class RestoreOptions:
    """What `etabli restore` was told."""

    source: str
    identity: Path
    backup: str | None
    signer: str | None
    services_run: bool
    endpoint: str
    region: str


class Backups(Protocol):
    """Backups of the lab of this machine. Errors are kernel.errors."""

    def take(self) -> str:
        """Take one of the running lab; what it holds, in words."""
        ...

    def list(self) -> Sequence[Row]:
        """Id, when it was taken, its pieces; oldest first."""
        ...

    def verify(self) -> tuple[str, Sequence[Row]]:
        """What was looked at, and what is wrong."""
        ...

    def prune(self) -> str:
        """Forget what the settings do not keep; what was forgotten, in words."""
        ...

    def signer(self) -> str:
        """The public half of what signs them."""
        ...

    def keygen(self, path: Path) -> str:
        """A fresh private key in a file; its public half."""
        ...

    def restore(self, options: RestoreOptions) -> str:
        """Make the lab of a backup in the empty data folder; what was restored, in words."""
        ...


class Lab(Protocol):
    """One lab of this machine, from the outside. Errors are kernel.errors."""

    @property
    def socket(self) -> Path:
        """Where the portal answers its operator."""
        ...

    @property
    def backups(self) -> Backups:
        """Its backups, and what is made of one."""
        ...

    def up(self, options: StartOptions) -> None:
        """Start it and stay (or return once it answers, when detached)."""
        ...

    def down(self) -> None:
        """Stop services' sandboxes, components and supervisor, in order."""
        ...

    def upgrade(self, *, to: str, within_seconds: float, backup: bool) -> str:
        """Bring it to another version, or back to this one; what was done, in words."""
        ...

    def status(self) -> Sequence[Row]:
        """Component, state, since when."""
        ...

    def doctor(self) -> Sequence[Row]:
        """What holds on this machine, per resource, with the command that mends it."""
        ...

    def unit(self) -> str:
        """The systemd unit that starts it at boot."""
        ...

    def environments(self) -> Sequence[Row]:
        """Name, digest, size, state."""
        ...

    def build(self, name: str) -> None:
        """Build an environment here and now, its progress on standard error."""
        ...

    def lock(self, name: str) -> Path:
        """Choose the versions of an environment again, newest first; the file that holds them."""
        ...

    def renew(self) -> str:
        """Make the base `debian-13` anew, with today's packages; its digest and size."""
        ...

    def prune(self) -> Sequence[str]:
        """Remove trees that no environment and no service uses; what was removed."""
        ...

    def invitation(self) -> str | None:
        """The one-time link that makes the administrator, while there is nobody; None after."""
        ...
