"""Storage against the real store."""

import asyncio

import pytest

from etabli.storage.service import Storage
from tests import parts
from tests.storage.conftest import Store, boto

pytestmark = pytest.mark.binaries


async def test_a_bucket_is_there_at_first_use_and_keeps_versions(store: Store, storage: Storage) -> None:
    project = parts.project("first-use")
    store.issuer.person("first-use")
    assert await storage.ensure_bucket(project=project) == "first-use"
    keys = (await storage.credentials(subject=project.id)).keys
    s3 = boto(store, keys)
    await asyncio.to_thread(s3.put_object, Bucket="first-use", Key="a b/é+.txt", Body=b"1")
    await asyncio.to_thread(s3.put_object, Bucket="first-use", Key="a b/é+.txt", Body=b"2")
    versions = await asyncio.to_thread(s3.list_object_versions, Bucket="first-use")
    assert len(versions["Versions"]) == 2
