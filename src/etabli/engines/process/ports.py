"""What the engine needs of others, as it needs it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from etabli.sandbox import models


class Trees(Protocol):
    """Where the environments' trees are; the environments room has them."""

    async def root(self, digest: str) -> models.Root:
        """What a sandbox of this environment sees. NotFound for an unknown digest, or one that is not built."""
        ...


@dataclass(frozen=True)
class Door:
    """How services reach the lab at the addresses used outside: `names` resolve to the project's gateway, which relays to sockets."""

    names: tuple[str, ...] = ()  # The portal's host, `s3.`, `vault.`…
    port: int = 8000  # The front door's.
    front: Path | None = None  # Its socket; None where there is none.
    credentials: Path | None = None  # Of the credential endpoint, CREDENTIALS_ADDRESS:80.
