"""What a backup needs of the lab, and a restore of the lab that it makes; `assembly` keeps both."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from etabli.backup import models
from etabli.storage.copying import Version


@dataclass(frozen=True)
class Volume:
    """The folder of one claim of a service."""

    service_id: str
    project_id: str
    claim: str

    @property
    def name(self) -> str:
        """One name for it."""
        return f"{self.service_id}/{self.claim}"


class Buckets(Protocol):
    """The object store; `storage.copying.CopyingClient` keeps it."""

    async def buckets(self) -> list[str]: ...
    async def settings(self, bucket: str) -> dict[str, str]: ...
    def versions(self, bucket: str) -> AsyncIterator[Version]: ...
    def reading(self, version: Version) -> AbstractAsyncContextManager[tuple[dict[str, str], AsyncIterator[bytes]]]: ...


class Lab(Protocol):
    """The lab that is copied."""

    @property
    def origin(self) -> str: ...
    def revision(self) -> str:
        """Of the database."""
        ...

    def deletions_held(self) -> AbstractContextManager[None]:
        """While inside, the lab removes nothing for good."""
        ...

    def copy_database(self, target: Path) -> None:
        """A whole copy, while others write."""
        ...

    async def copy_vault(self, target: Path) -> None:
        """The vault's own snapshot, which its unseal key opens."""
        ...

    def small_files(self) -> Mapping[str, Path]:
        """Settings, keys, locks, branding: what is to lie at each path of a data folder, and where it lies."""
        ...

    async def dump(self) -> tuple[int, int]:
        """Have services write their own dumps into their volumes: how many did, and how many failed."""
        ...

    async def volumes(self) -> Sequence[Volume]: ...
    def carry(self, volume: Volume) -> AbstractContextManager["Carrier"]: ...


class Carrier(Protocol):
    """Goes through a volume. Calls block."""

    def entries(self) -> Iterator[models.Entry]: ...
    def content(self) -> Iterator[bytes]:
        """Of the file that `entries` gave last, in pieces; not asked for, it is not read."""
        ...
