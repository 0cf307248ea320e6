"""All that the lab keeps of a person, as one archive: a ZIP of JSON files, made as it is sent.

Files in S3 and secrets are not in it: those are theirs already, with the tools that read them. Nothing that proves anything is.
"""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import asdict

from etabli.identity.models import User
from etabli.identity.service import Identity
from etabli.leaving.store import Store
from etabli.services.service import Services

ABOUT = """This is what the lab keeps of you, as JSON.

profile.json    what you say of yourself
projects.json   the projects that you are in
services.json   the services of those projects that you launched, with what you chose and what happened to them
kept.json       all else under your name: sessions, tokens (their names), passkeys (their names), what you agreed to…

Your files are in your bucket, your secrets in your folder of the vault.
"""


class Export:
    """Writes the archive."""

    def __init__(self, *, identity: Identity, services: Services, store: Store) -> None:
        self._identity, self._services, self._store = identity, services, store

    async def of(self, *, user: User) -> AsyncIterator[bytes]:
        """The archive of that person, piece by piece."""
        sink = _Sink()
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("README.txt", ABOUT)
            archive.writestr("profile.json", _json(asdict(user)))
            yield sink.taken()
            accesses = await self._identity.projects.list(user_id=user.id)
            archive.writestr("projects.json", _json([asdict(access) for access in accesses]))
            yield sink.taken()
            services = [
                await self._service(user, service.id)
                for access in accesses
                for service in await self._services.list(user_id=user.id, project_id=access.project.id)
                if service.owner_id == user.id
            ]
            archive.writestr("services.json", _json(services))
            yield sink.taken()
            archive.writestr("kept.json", _json(await self._store.kept(user_id=user.id)))
        yield sink.taken()

    async def _service(self, user: User, service_id: str) -> dict[str, object]:
        service = asdict(await self._services.get(user_id=user.id, service_id=service_id))
        service.pop("handle")
        events = await self._services.events(user_id=user.id, service_id=service_id)
        return service | {"events": [asdict(event) for event in events]}


class _Sink(io.RawIOBase):
    """What a ZIP is written to when nothing may be written twice: bytes are taken away as they come."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: object) -> int:
        piece = bytes(content)  # type: ignore[call-overload] # Whatever the buffer protocol has.
        self._waiting += piece
        return len(piece)

    def taken(self) -> bytes:
        """What came since the last time."""
        piece = bytes(self._waiting)
        self._waiting.clear()
        return piece


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
