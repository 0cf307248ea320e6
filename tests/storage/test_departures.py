"""Keys that somebody already has are worth nothing in a project's bucket from the moment they are out of it: the real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
import pytest_asyncio
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from etabli.assembly.departures import Departures
from etabli.engines.fake import FakeEngine
from etabli.identity import accounts, models
from etabli.identity import service as identities
from etabli.identity.models import Role
from etabli.identity.settings import IdentitySettings
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.ids import new_id
from etabli.kernel.settings import Layout
from etabli.storage.service import Storage
from etabli.storage.settings import StorageSettings
from tests import parts
from tests.storage.conftest import Store, boto

pytestmark = pytest.mark.binaries

CHEAP = IdentitySettings(hash_memory_kib=8192, hash_passes=1, hash_lanes=1)


@dataclass
class Place:
    """A shared project of Ada's over the real store, with Bob in it; the lab's own clock is the test's for departures alone."""

    store: Store
    identity: identities.Identity
    storage: Storage
    departures: Departures
    engine: FakeEngine
    clock: ManualClock
    ada: models.User
    bob: models.User
    project: models.Project

    async def s3(self, subject: models.User | models.Project) -> BaseClient:
        """boto3 with keys of theirs, bought as their groups are now."""
        self.storage.forget(subject_id=subject.id)
        return boto(self.store, (await self.storage.credentials(subject=subject)).keys)

    async def become(self, role: Role | None) -> None:
        """Bob's role from now on."""
        projects = self.identity.projects
        if role is None:
            await projects.remove_member(by=self.ada, project_id=self.project.id, user_id=self.bob.id)
        else:
            await projects.set_member(by=self.ada, project_id=self.project.id, slug=self.bob.slug, role=role)
        await self.departures.look()

    async def may(self, s3: BaseClient) -> str:
        """What keys do in the bucket: `r`, `w`, `l` for reading, writing, listing."""
        return await asyncio.to_thread(_may, s3, self.project.slug)


@pytest_asyncio.fixture
async def place(store: Store, tmp_path: object) -> AsyncIterator[Place]:
    layout = Layout(data=store.layout.data, run=store.layout.run)
    database = Database(sqlite_url(layout.data / f"{new_id()}.db"))
    await database.create_tables()
    identity = identities.build(
        database=database, clock=parts.CLOCK, layout=layout, origin=parts.LAB.origin, settings=CHEAP
    )
    await identity.open()
    token = await identity.invitations.first_link()
    form = accounts.Form(name="Ada", slug=f"ada-{new_id()}", password="a long and quiet password")
    ada = await identity.invitations.join(token=token or "", form=form)
    invited = await identity.invitations.invite(by=ada, lifetime=timedelta(hours=1))
    form = accounts.Form(name="Bob", slug=f"bob-{new_id()}", password="a long and quiet password")
    bob = await identity.invitations.join(token=invited.token, form=form)
    project = await identity.projects.create(by=ada, name="Prices", slug=f"prices-{new_id()}")
    await identity.projects.set_member(by=ada, project_id=project.id, slug=bob.slug, role=Role.MEMBER)
    client, settings = store.client(), StorageSettings(renew_before_seconds=20)
    storage = Storage(client=client, issuer=identity.issuer, lab=parts.LAB, settings=settings, clock=parts.CLOCK)
    await storage.ensure_bucket(project=project)
    engine, clock = FakeEngine(), ManualClock(parts.CLOCK.now())
    departures = Departures(identity, storage, engine, clock)
    yield Place(store, identity, storage, departures, engine, clock, ada, bob, project)
    await client.close()
    await database.close()


def _may(s3: BaseClient, bucket: str) -> str:
    calls = {
        "w": lambda: s3.put_object(Bucket=bucket, Key="k", Body=b"x"),
        "r": lambda: s3.get_object(Bucket=bucket, Key="k"),
        "l": lambda: s3.list_objects_v2(Bucket=bucket),
    }
    done = ""
    for letter, call in calls.items():
        try:
            call()
            done += letter
        except ClientError as error:
            done += "" if error.response["Error"]["Code"] == "AccessDenied" else "?"
    return done


async def test_keys_of_who_was_removed_end_at_once_and_those_of_the_others_do_not(place: Place) -> None:
    his, hers, its = await place.s3(place.bob), await place.s3(place.ada), await place.s3(place.project)
    assert [await place.may(s3) for s3 in (his, hers, its)] == ["wrl", "wrl", "wrl"]
    await place.become(None)
    assert [await place.may(s3) for s3 in (his, hers, its)] == ["", "wrl", "wrl"]
    assert place.engine.world.hung_up == [place.project.id]
    own = (await place.identity.projects.personal(user_id=place.bob.id)).slug
    await place.storage.ensure_bucket(project=await place.identity.projects.personal(user_id=place.bob.id))
    assert await asyncio.to_thread(_may, his, own) == "wrl", "what is his own stays his"


async def test_keys_of_who_only_looks_from_now_on_read_and_write_no_more(place: Place) -> None:
    his = await place.s3(place.bob)
    await place.may(his)
    await place.become(Role.VIEWER)
    assert await place.may(his) == "rl"
    assert await place.may(await place.s3(place.bob)) == "rl"


async def test_who_comes_back_works_with_keys_old_and_new(place: Place) -> None:
    his = await place.s3(place.bob)
    await place.become(None)
    await place.become(Role.MEMBER)
    assert await place.may(his) == await place.may(await place.s3(place.bob)) == "wrl"


async def test_a_portal_that_was_killed_in_between_does_it_when_it_starts(place: Place) -> None:
    his = await place.s3(place.bob)
    await place.identity.projects.remove_member(by=place.ada, project_id=place.project.id, user_id=place.bob.id)
    assert await place.may(his) == "wrl"
    await Departures(place.identity, place.storage, place.engine, place.clock).look()
    assert await place.may(his) == ""


async def test_the_policy_is_as_before_once_no_key_can_be_alive(place: Place) -> None:
    client = place.store.client()
    before = await client.bucket_policy(place.project.slug)
    await place.become(None)
    assert await client.bucket_policy(place.project.slug) != before
    await place.storage.ensure_bucket(project=place.project)
    place.clock.jump(place.storage.longest_keys + timedelta(seconds=1))
    await place.departures.look()
    assert await client.bucket_policy(place.project.slug) == before
    assert await place.identity.departures.all() == {}
    assert place.engine.world.hung_up == [place.project.id]
    await client.close()


async def test_several_who_leave_are_all_shut_out(place: Place) -> None:
    invited = await place.identity.invitations.invite(by=place.ada, lifetime=timedelta(hours=1), uses=3)
    keys = [await place.s3(place.bob)]
    for name in ("Eve", "Fay"):
        form = accounts.Form(name=name, slug=f"{name.lower()}-{new_id()}", password="a long and quiet password")
        person = await place.identity.invitations.join(token=invited.token, form=form)
        projects = place.identity.projects
        await projects.set_member(by=place.ada, project_id=place.project.id, slug=person.slug, role=Role.MEMBER)
        keys.append(await place.s3(person))
        await projects.remove_member(by=place.ada, project_id=place.project.id, user_id=person.id)
    await place.become(None)
    assert [await place.may(s3) for s3 in keys] == ["", "", ""]
