"""The use cases of storage: a bucket at first use, keys for whoever a token names, and the variables that make tools find both.

Promises: one request to the store at a time for one subject's keys, however many ask; keys handed out have `renew_before_seconds` to
live at least; repeating any call is safe, after a kill at any step too.
"""

import asyncio
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from importlib import resources
from urllib.parse import urlsplit
from weakref import WeakValueDictionary

import structlog

from etabli.components import seaweedfs
from etabli.identity.models import Audience, Project, ProjectKind, User
from etabli.kernel.clock import Clock
from etabli.kernel.settings import LabSettings
from etabli.storage import client as clients
from etabli.storage import errors, models, policies
from etabli.storage.client import Client
from etabli.storage.ports import Issuer
from etabli.storage.settings import StorageSettings

log = structlog.get_logger()

ID_TOKEN_LIFETIME = timedelta(minutes=1)  # It is spent at once.
KEPT = 4096  # Subjects whose keys are kept; the least recently asked for go first.
CREDENTIALS_URL = "http://169.254.170.2/credentials"  # Where SDKs accept plain HTTP; the project's agent relays it.
TOKEN_FILE = "/run/etabli/token"
SAMPLE = "flights.parquet"
SAMPLE_KEY = f"start-here/{SAMPLE}"


class Storage:
    """S3, for people and for services."""

    def __init__(
        self, *, client: Client, issuer: Issuer, lab: LabSettings, settings: StorageSettings, clock: Clock
    ) -> None:
        self._client, self._issuer, self._lab, self._settings, self._clock = client, issuer, lab, settings, clock
        self._kept: OrderedDict[str, models.Credentials] = OrderedDict()
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._offered: set[str] = set()  # Projects whose bucket this process has seen in use, or filled.
        self._ready: set[str] = set()  # Projects whose bucket this process has seen complete.

    async def ensure_bucket(self, *, project: Project) -> str:
        """The name of the project's bucket, which is there, keeps versions unless its owner chose otherwise, and is open to the
        members of a shared project."""
        bucket = project.slug
        if project.id in self._ready:
            return bucket
        await self._client.create_bucket(bucket)
        if await self._client.versioning(bucket) is None:
            await self._client.enable_versioning(bucket)
        if project.kind is ProjectKind.SHARED:
            await self._open_to_members(bucket)
        self._ready.add(project.id)
        log.info("bucket ready", project=project.id)
        return bucket

    async def credentials(self, *, subject: User | Project) -> models.Credentials:
        """Keys that have a while to live, for a person or a project. Forbidden where they are suspended or archived.

        StoreUnavailable where the store is not there now.
        """
        async with self._turn(subject.id):
            kept = self._kept.get(subject.id)
            if kept is None or self._is_old(kept):
                kept = await self._buy(subject)
                self._kept[subject.id] = kept
            self._kept.move_to_end(subject.id)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            return kept

    @property
    def region(self) -> str:
        """What clients sign for."""
        return self._settings.region

    @property
    def longest_keys(self) -> timedelta:
        """How long keys live at most, from when they are given."""
        return timedelta(seconds=self._settings.session_seconds) + ID_TOKEN_LIFETIME

    async def shut_out(self, *, project: Project, gone: Sequence[str], demoted: Sequence[str]) -> None:
        """Make keys that these people (by id) already have good for nothing in the project's bucket, or for reading alone.

        Replaces what was said before; nobody named lifts it all. StoreUnavailable where the store is not there now.
        """
        bucket = await self.ensure_bucket(project=project)
        for subject_id in (*gone, *demoted):
            self.forget(subject_id=subject_id)
        async with self._turn(f"policy of {bucket}"):
            held = await self._client.bucket_policy(bucket)
            before = json.loads(held) if held else None
            wanted = policies.without_departed(before, bucket, gone=gone, demoted=demoted)
            if before != wanted:
                await self._client.put_bucket_policy(bucket, json.dumps(wanted))
                log.info("bucket closed to who left", project=project.id, gone=len(gone), demoted=len(demoted))

    async def size(self, *, project: Project) -> tuple[int, int]:
        """Objects and bytes in the project's bucket now; none where it has none yet. StoreUnavailable where the store is away."""
        return await self._client.size(project.slug)

    def forget(self, *, subject_id: str) -> None:
        """Ask anew next time: for a person whose groups changed. Keys already given live on for their hour."""
        self._kept.pop(subject_id, None)

    def variables(self, *, project: Project) -> Mapping[str, str]:
        """What makes tools inside a service of `project` find S3 with nothing in the code. No secret is among them.

        rclone 1.60 reads the service's token from `AWS_CONTAINER_AUTHORIZATION_TOKEN` alone, not from the file: the Secret that
        holds the file gives it too.
        """
        origin, region = self._lab.s3_origin, self._settings.region
        plain = {} if self._lab.https else {"AWS_ALLOW_HTTP": "true"}
        return plain | {
            "AWS_REGION": region,
            "AWS_DEFAULT_REGION": region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_ENDPOINT_URL_S3": origin,
            "AWS_ENDPOINT_URL_STS": origin,
            "AWS_S3_ENDPOINT": urlsplit(origin).netloc,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": CREDENTIALS_URL,
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": TOKEN_FILE,
            "ETABLI_BUCKET": project.slug,
            "RCLONE_CONFIG_S3_TYPE": "s3",
            "RCLONE_S3_PROVIDER": "Other",
            "RCLONE_S3_ENV_AUTH": "true",
            "RCLONE_S3_ENDPOINT": origin,
            "RCLONE_S3_REGION": region,
            "RCLONE_S3_NO_CHECK_BUCKET": "true",
        }

    async def erase(self, *, project: Project) -> None:
        """Remove the project's bucket and all that it holds, for good. Already gone is success; a kill half-way is no harm."""
        bucket = project.slug
        self._ready.discard(project.id)
        try:
            while found := await self._client.held(bucket):
                for key, version in found:
                    await self._client.delete_version(bucket, key, version)
        except errors.StoreRefused as error:
            if error.code == clients.NO_BUCKET:
                return
            raise
        await self._client.delete_bucket(bucket)
        log.info("bucket erased", project=project.id)

    async def offer_sample(self, *, project: Project) -> str | None:
        """Put real data to begin with in a bucket that never held anything; its key, or None where nothing was put.

        Somebody who deleted it does not want it back, and a bucket in use is its people's own. Repeating it is safe and quick.
        """
        if not self._settings.sample or project.id in self._offered:
            return None
        bucket = await self.ensure_bucket(project=project)
        offered = await self._client.is_untouched(bucket)
        if offered:
            content = await asyncio.to_thread(_sample)
            await self._client.put(bucket, SAMPLE_KEY, content, content_type="application/vnd.apache.parquet")
        self._offered.add(project.id)
        return SAMPLE_KEY if offered else None

    async def _buy(self, subject: User | Project) -> models.Credentials:
        token = await self._issuer.issue(subject=subject, audience=Audience.S3, lifetime=ID_TOKEN_LIFETIME)
        try:
            return await self._client.assume_role(token=token, role=seaweedfs.ROLE_ARN, session=subject.id)
        except errors.StoreRefused as error:
            # The token is fresh and ours: the store could not check it, as when the key set is not served yet.
            raise errors.StoreUnavailable(
                "the object store does not accept the lab's tokens now", hint="try again in a moment"
            ) from error

    async def _open_to_members(self, bucket: str) -> None:
        async with self._turn(f"policy of {bucket}"):
            held = await self._client.bucket_policy(bucket)
            wanted = policies.with_members(json.loads(held) if held else None, bucket)
            if held is None or json.loads(held) != wanted:
                await self._client.put_bucket_policy(bucket, json.dumps(wanted))

    def _is_old(self, credentials: models.Credentials) -> bool:
        return credentials.expires_at - self._clock.now() < timedelta(seconds=self._settings.renew_before_seconds)

    def _turn(self, subject_id: str) -> asyncio.Lock:
        return self._turns.setdefault(subject_id, asyncio.Lock())


def _sample() -> bytes:
    return resources.files("etabli.storage").joinpath("data", SAMPLE).read_bytes()
