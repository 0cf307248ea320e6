"""The lab's own bucket on the real store: the audit log lands there, people do not; and what buckets weigh."""

import asyncio
import json
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from etabli.audit import models as audit
from etabli.audit.service import Audit
from etabli.components import seaweedfs
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.ids import new_id
from etabli.storage.models import Keys
from etabli.storage.own import BUCKET, OwnBucket
from etabli.storage.service import Storage
from tests import parts
from tests.storage.conftest import Store, boto

pytestmark = pytest.mark.binaries


async def test_the_audit_log_is_copied_to_a_bucket_that_no_person_reaches(
    store: Store, storage: Storage, people: parts.People, tmp_path: Path
) -> None:
    database = Database(sqlite_url(tmp_path / "log.db"))
    await database.create_tables()
    log = Audit(database=database, clock=ManualClock())
    await log.record(audit.Entry(actor=audit.LAB, action="services.stop", detail={"why": "« fini »"}))
    client = store.client()
    own = OwnBucket(client=client)
    (export,) = await log.export(own, today_too=True)
    (again,) = await log.export(own, today_too=True) or (export,)
    assert again.object_key == export.object_key

    held = seaweedfs.keys(store.layout)
    lab = boto(store, Keys(held.access_key, held.secret_key))
    content = (await asyncio.to_thread(lab.get_object, Bucket=BUCKET, Key=export.object_key))["Body"].read()
    (line,) = content.decode().splitlines()
    assert json.loads(line)["detail"] == {"why": "« fini »"}

    person = await people.person(f"nosy-{new_id()}")
    for subject in (person, await people.own(person)):
        theirs = boto(store, (await storage.credentials(subject=subject)).keys)
        with pytest.raises(ClientError, match="AccessDenied"):
            await asyncio.to_thread(theirs.get_object, Bucket=BUCKET, Key=export.object_key)
    await client.close()
    await database.close()


async def test_a_bucket_weighs_what_its_objects_do_over_several_pages(
    store: Store, storage: Storage, people: parts.People
) -> None:
    project = await people.own(await people.person(f"heavy-{new_id()}"))
    assert await storage.size(project=project) == (0, 0)
    bucket = await storage.ensure_bucket(project=project)
    client = store.client()
    for number in range(25):
        await client.put(bucket, f"folder {number % 7}/{number}", b"x" * 10)
    await client.put(bucket, "folder 0/0", b"x" * 20)  # What was there before is not counted.
    assert await storage.size(project=project) == await client.size(bucket, page=10) == (25, 260)
    await client.close()
