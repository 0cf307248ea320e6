"""One vault for the tests of this folder: projects differ, so tests do not meet."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from etabli.components import openbao, vault_setup
from etabli.kernel.settings import Layout
from etabli.secrets.client import Client
from etabli.secrets.service import Vault
from tests import parts


@dataclass
class Server:
    """A vault that runs and is set up."""

    layout: Layout
    folder: Path  # Where the key set is published.

    def http(self, token: str) -> httpx.AsyncClient:
        """The vault as the bearer of a token sees it."""
        transport = httpx.AsyncHTTPTransport(uds=str(self.layout.socket("vault")))
        headers = {"X-Vault-Token": token}
        base = "http://vault/v1/"
        return httpx.AsyncClient(transport=transport, base_url=base, headers=headers, follow_redirects=True)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("vault")
    with tempfile.TemporaryDirectory(prefix="etabli-test-") as run:
        layout = parts.layout(folder, Path(run))
        asyncio.run(parts.publish_keys(layout, folder))
        enclave = parts.Enclave(folder)
        try:
            enclave.start(openbao.component(layout, parts.LAB))
            asyncio.run(vault_setup.ensure_vault_ready(layout, parts.LAB, clock=parts.CLOCK))
            yield Server(layout, folder)
        finally:
            enclave.close()


@pytest_asyncio.fixture
async def people(server: Server, tmp_path: Path) -> AsyncIterator[parts.People]:
    async with parts.people(tmp_path, server.layout) as made:
        yield made


@pytest_asyncio.fixture
async def vault(server: Server, people: parts.People) -> AsyncIterator[Vault]:
    client = Client(socket=server.layout.socket("vault"))
    yield Vault(client=client, issuer=people.issuer, lab=parts.LAB, lab_token=lambda: openbao.lab_token(server.layout))
    await client.close()
