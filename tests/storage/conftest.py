"""One object store for the tests of this folder: projects differ, so tests do not meet."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
import pytest_asyncio
from botocore.client import BaseClient
from botocore.config import Config

from etabli.components import seaweedfs
from etabli.kernel.settings import Layout
from etabli.storage import models
from etabli.storage.client import Client
from etabli.storage.service import Storage
from etabli.storage.settings import StorageSettings
from tests import parts
from tests.relay import Relay

REGION = "eu-west-3"


@dataclass
class Store:
    """A store that runs, and the one TCP port of the test through which libraries reach its socket."""

    layout: Layout
    enclave: parts.Enclave
    relay: Relay

    def client(self) -> Client:
        lab = seaweedfs.keys(self.layout)
        keys = models.Keys(lab.access_key, lab.secret_key)
        return Client(socket=self.layout.socket("s3"), origin=parts.LAB.s3_origin, region=REGION, keys=keys)

    def config(self) -> Config:
        """What leads boto3 here while it signs for the public address."""
        proxies = {"http": self.relay.url}
        return Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, proxies=proxies)


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("store")
    with tempfile.TemporaryDirectory(prefix="etabli-test-") as run:
        layout = parts.layout(folder, Path(run))
        asyncio.run(parts.publish_keys(layout, folder))
        enclave = parts.Enclave(folder)
        relay = Relay(layout.socket("s3"))
        try:
            enclave.start(seaweedfs.component(layout, parts.LAB, session=timedelta(seconds=40)))
            yield Store(layout, enclave, relay)
        finally:
            relay.close()
            enclave.close()


@pytest_asyncio.fixture
async def people(store: Store, tmp_path: Path) -> AsyncIterator[parts.People]:
    async with parts.people(tmp_path, store.layout) as made:
        yield made


@pytest_asyncio.fixture
async def storage(store: Store, people: parts.People) -> AsyncIterator[Storage]:
    client = store.client()
    settings = StorageSettings(renew_before_seconds=20)
    yield Storage(client=client, issuer=people.issuer, lab=parts.LAB, settings=settings, clock=parts.CLOCK)
    await client.close()


def boto(store: Store, keys: models.Keys) -> BaseClient:
    """boto3 with keys in hand, as a tool outside the lab would have them."""
    return boto3.client(
        "s3",
        endpoint_url=parts.LAB.s3_origin,
        region_name=REGION,
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
        config=store.config(),
    )
