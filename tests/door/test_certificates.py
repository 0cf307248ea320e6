"""Certificates on demand: for hosts that a service has, and no other."""

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

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


async def test_given_files_are_what_devices_see(layout: Layout, tables: database.Database, lab: LabSettings) -> None:
    lab = lab.model_copy(update={"https": True, "domain": "lab.example.org"})
    chain, key = layout.keys / "chain.pem", layout.keys / "key.pem"
    names = [lab.domain, f"s3.{lab.domain}", f"vault.{lab.domain}", f"*.{lab.services_domain}"]
    write_certificate(chain, key, names)
    door = Door(database=tables, clock=SystemClock(), lab=lab)
    settings = FrontDoorSettings(certificates="files", certificate=chain, key=key)
    async with running(layout, lab, door, tables, settings) as front:
        trust = ssl.create_default_context(cafile=str(chain))
        for host in (lab.domain, f"s3.{lab.domain}", front.host("any")):
            assert await handshake(front, host, trust)
        assert not await handshake(front, "evil.example", trust)


def write_certificate(chain: Path, key: Path, names: list[str]) -> None:
    """A certificate that signs itself, good for an hour."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(
            name, name, private.public_key(), x509.random_serial_number(), now, now + timedelta(hours=1)
        )
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(one) for one in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
