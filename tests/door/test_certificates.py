"""Certificates on demand: for hosts that a service has, and no other."""

import asyncio
import ssl

import pytest

from etabli.components import caddy
from etabli.components.settings import FrontDoorSettings
from etabli.door.service import Door
from etabli.kernel import database
from etabli.kernel.clock import SystemClock
from etabli.kernel.settings import LabSettings, Layout
from tests.door.conftest import FrontDoor, free_port, person, running, until

pytestmark = pytest.mark.binaries


async def handshake(front: FrontDoor, host: str, trust: ssl.SSLContext) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", front.lab.port, ssl=trust, server_hostname=host)
    except (ssl.SSLError, OSError):
        return False
    writer.close()
    return True


async def test_a_host_has_a_certificate_once_a_service_has_the_host(
    layout: Layout, tables: database.Database, lab: LabSettings
) -> None:
    lab = lab.model_copy(update={"https": True, "domain": "lab.example.org"})
    door = Door(database=tables, clock=SystemClock(), lab=lab)
    settings = FrontDoorSettings(certificates="on-demand", issuer="internal", ask_port=free_port())
    async with running(layout, lab, door, tables, settings) as front:
        root = layout.run / "root.crt"
        await until(lambda: caddy.export_root(layout, root), "the root certificate")
        trust = ssl.create_default_context(cafile=str(root))
        for _ in range(200):  # Caddy listens, then asks its own authority.
            if await handshake(front, lab.domain, trust):
                break
            await asyncio.sleep(0.05)
        assert not await handshake(front, front.host("lab"), trust)
        await front.service("lab", await person(tables, "alice"))
        assert await handshake(front, front.host("lab"), trust)
        assert not await handshake(front, front.host("other"), trust)
        assert not await handshake(front, "evil.example", trust)
        reader, writer = await asyncio.open_connection("127.0.0.1", settings.ask_port)
        writer.write(
            f"GET /tls-ask?domain={front.host('lab')} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        )
        assert (await reader.read()).startswith(b"HTTP/1.1 404 "), "whoever does not know the secret learns nothing"
        writer.close()
