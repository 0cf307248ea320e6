"""The use cases of storage, against the real store."""

import asyncio
from datetime import timedelta

import pytest

from etabli.identity.models import Audience, Project, User
from etabli.kernel.clock import ManualClock
from etabli.kernel.ids import new_id
from etabli.storage.client import Client
from etabli.storage.service import SAMPLE_KEY, Storage
from etabli.storage.settings import StorageSettings
from tests import parts
from tests.storage.conftest import Store, boto

pytestmark = pytest.mark.binaries


async def test_a_bucket_is_there_at_first_use_and_keeps_versions(
    store: Store, storage: Storage, people: parts.People
) -> None:
    project = await people.own(await people.person(f"first-{new_id()}"))
    bucket = await storage.ensure_bucket(project=project)
    assert bucket == project.slug
    s3 = boto(store, (await storage.credentials(subject=project)).keys)
    for content in (b"1", b"2"):
        await asyncio.to_thread(s3.put_object, Bucket=bucket, Key="k", Body=content)
    versions = await asyncio.to_thread(s3.list_object_versions, Bucket=bucket)
    assert len(versions["Versions"]) == 2


async def test_an_owner_who_stopped_versions_is_not_overruled(
    store: Store, storage: Storage, people: parts.People
) -> None:
    project = await people.own(await people.person(f"stops-{new_id()}"))
    bucket = await storage.ensure_bucket(project=project)
    s3 = boto(store, (await storage.credentials(subject=project)).keys)
    stop = {"Status": "Suspended"}
    await asyncio.to_thread(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=stop)
    client = store.client()
    other = Storage(client=client, issuer=people.issuer, lab=parts.LAB, settings=StorageSettings(), clock=parts.CLOCK)
    await other.ensure_bucket(project=project)
    assert await client.versioning(bucket) == "Suspended"
    await client.close()


async def test_a_bucket_left_half_made_is_completed(store: Store, storage: Storage, people: parts.People) -> None:
    user = await people.person(f"half-{new_id()}")
    shared = await people.shared(f"half-{new_id()}", {})
    client = store.client()
    await client.create_bucket(shared.slug)
    await storage.ensure_bucket(project=shared)
    assert await client.versioning(shared.slug) == "Enabled"
    assert "EtabliMembers" in (await client.bucket_policy(shared.slug) or "")
    assert user.slug not in (await client.bucket_policy(shared.slug) or "")
    await client.close()


class CountingIssuer:
    """The real issuer, with a count."""

    def __init__(self, people: parts.People) -> None:
        self._people = people
        self.count = 0

    async def issue(self, *, subject: User | Project, audience: Audience, lifetime: timedelta) -> str:
        self.count += 1
        return await self._people.issuer.issue(subject=subject, audience=audience, lifetime=lifetime)


async def test_many_who_ask_at_once_share_one_flight_and_its_keys(store: Store, people: parts.People) -> None:
    client: Client = store.client()
    issuer, clock = CountingIssuer(people), ManualClock(start=parts.CLOCK.now())
    settings = StorageSettings(renew_before_seconds=20)
    storage = Storage(client=client, issuer=issuer, lab=parts.LAB, settings=settings, clock=clock)
    user = await people.person(f"many-{new_id()}")
    asked = await asyncio.gather(*(storage.credentials(subject=user) for _ in range(20)))
    assert issuer.count == 1
    assert len({item.keys.access_key for item in asked}) == 1
    clock.jump(timedelta(seconds=25))
    fresh = await storage.credentials(subject=user)
    assert issuer.count == 2
    assert fresh.keys.access_key != asked[0].keys.access_key
    await client.close()


async def test_real_data_is_offered(store: Store, storage: Storage, people: parts.People) -> None:
    project = await people.own(await people.person(f"sample-{new_id()}"))
    assert await storage.offer_sample(project=project) == SAMPLE_KEY
    s3 = boto(store, (await storage.credentials(subject=project)).keys)
    body = (await asyncio.to_thread(s3.get_object, Bucket=project.slug, Key=SAMPLE_KEY))["Body"].read()
    assert (body[:4], body[-4:]) == (b"PAR1", b"PAR1")
    await storage.offer_sample(project=project)
    versions = await asyncio.to_thread(s3.list_object_versions, Bucket=project.slug)
    assert len(versions["Versions"]) == 1


async def test_variables_name_the_bucket_and_hold_no_secret(storage: Storage, people: parts.People) -> None:
    project = await people.own(await people.person(f"vars-{new_id()}"))
    variables = storage.variables(project=project)
    assert variables["ETABLI_BUCKET"] == project.slug
    assert variables["AWS_S3_ENDPOINT"] == "s3.etabli.localhost:8000"
    assert variables["AWS_ENDPOINT_URL_S3"] == "http://s3.etabli.localhost:8000"
    assert not {"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_ACCESS_KEY_ID"} & set(variables)


async def test_a_bucket_goes_with_every_version_and_going_twice_is_well(
    store: Store, storage: Storage, people: parts.People
) -> None:
    project = await people.own(await people.person(f"goes-{new_id()}"))
    bucket = await storage.ensure_bucket(project=project)
    s3 = boto(store, (await storage.credentials(subject=project)).keys)
    for key in ("a/b c", "a/é", "d"):
        for content in (b"1", b"2"):
            await asyncio.to_thread(s3.put_object, Bucket=bucket, Key=key, Body=content)
    await asyncio.to_thread(s3.delete_object, Bucket=bucket, Key="d")
    await storage.erase(project=project)
    names = [one["Name"] for one in (await asyncio.to_thread(s3.list_buckets))["Buckets"]]
    assert bucket not in names
    await storage.erase(project=project)
