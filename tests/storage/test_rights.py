"""Who may do what in which bucket: two people, a shared project, strangers, forged and tampered tokens, against the real store."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import boto3
import httpx
import pytest
import pytest_asyncio
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from joserfc import jwt
from joserfc.jwk import RSAKey

from etabli.components import seaweedfs
from etabli.identity.models import Audience, Project, Role, User
from etabli.kernel.ids import new_id
from etabli.storage import errors, models
from etabli.storage.client import Client
from etabli.storage.service import Storage
from tests import parts
from tests.storage.conftest import Store, boto

pytestmark = pytest.mark.binaries


@dataclass
class Person:
    user: User
    project: Project
    s3: BaseClient

    @property
    def bucket(self) -> str:
        return self.project.slug


Newcomer = Callable[[], Awaitable[Person]]


@pytest_asyncio.fixture
async def newcomer(store: Store, people: parts.People, storage: Storage) -> Newcomer:
    """Makes a person with a bucket that holds `mine`."""

    async def make() -> Person:
        user = await people.person(f"person-{new_id()}")
        project = await people.own(user)
        await storage.ensure_bucket(project=project)
        s3 = boto(store, (await storage.credentials(subject=user)).keys)
        await asyncio.to_thread(s3.put_object, Bucket=project.slug, Key="mine", Body=b"secret")
        return Person(user, project, s3)

    return make


async def refused(call: Callable[..., object], **arguments: object) -> str:
    """The code that the store refuses with; fails where it does not refuse."""
    with pytest.raises(ClientError) as caught:
        await asyncio.to_thread(call, **arguments)
    return str(caught.value.response.get("Error", {}).get("Code", "refused"))


async def test_an_owner_does_with_objects_what_tools_do(newcomer: Newcomer) -> None:
    alice = await newcomer()
    await asyncio.to_thread(_everything_with_objects, alice.s3, alice.bucket)


def _everything_with_objects(s3: BaseClient, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="a b/é+ü.txt", Body=b"x")
    assert s3.get_object(Bucket=bucket, Key="a b/é+ü.txt")["Body"].read() == b"x"
    s3.copy_object(Bucket=bucket, Key="copy", CopySource={"Bucket": bucket, "Key": "a b/é+ü.txt"})
    s3.put_object_tagging(Bucket=bucket, Key="copy", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    assert s3.get_object_tagging(Bucket=bucket, Key="copy")["TagSet"] == [{"Key": "k", "Value": "v"}]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="big")["UploadId"]
    part = s3.upload_part(Bucket=bucket, Key="big", UploadId=upload, PartNumber=1, Body=b"p" * 6_000_000)
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["UploadId"] == upload
    assert len(s3.list_parts(Bucket=bucket, Key="big", UploadId=upload)["Parts"]) == 1
    pieces = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    s3.complete_multipart_upload(Bucket=bucket, Key="big", UploadId=upload, MultipartUpload=pieces)
    second = s3.create_multipart_upload(Bucket=bucket, Key="never")["UploadId"]
    s3.abort_multipart_upload(Bucket=bucket, Key="never", UploadId=second)
    s3.delete_object(Bucket=bucket, Key="copy")
    listed = s3.list_object_versions(Bucket=bucket, Prefix="copy")
    marker, version = listed["DeleteMarkers"][0], listed["Versions"][0]
    s3.delete_object(Bucket=bucket, Key="copy", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket=bucket, Key="copy", VersionId=version["VersionId"])["Body"].read() == b"x"
    s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "copy"}, {"Key": "big"}]})
    assert [item["Key"] for item in s3.list_objects_v2(Bucket=bucket)["Contents"]] == ["a b/é+ü.txt", "mine"]
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://example.org"]}
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
    assert s3.get_bucket_cors(Bucket=bucket)["CORSRules"][0]["AllowedMethods"] == ["GET"]
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    assert [item["Name"] for item in s3.list_buckets()["Buckets"]] == [bucket]


async def test_nothing_an_owner_does_to_a_bucket_outlives_their_keys(store: Store, newcomer: Newcomer) -> None:
    alice = await newcomer()
    open_to_all = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Principal": "*", "Action": "s3:*", "Resource": f"arn:aws:s3:::{alice.bucket}/*"}
            ],
        }
    )
    assert await refused(alice.s3.put_bucket_policy, Bucket=alice.bucket, Policy=open_to_all) == "AccessDenied"
    assert await refused(alice.s3.delete_bucket_policy, Bucket=alice.bucket) == "AccessDenied"
    assert await refused(alice.s3.put_bucket_acl, Bucket=alice.bucket, ACL="public-read") == "AccessDenied"
    await refused(alice.s3.put_object_acl, Bucket=alice.bucket, Key="mine", ACL="public-read")
    assert await refused(alice.s3.delete_bucket, Bucket=alice.bucket) == "AccessDenied"
    await asyncio.to_thread(alice.s3.put_object, Bucket=alice.bucket, Key="open", Body=b"x", ACL="public-read")
    transport = httpx.AsyncHTTPTransport(uds=str(store.layout.socket("s3")))
    async with httpx.AsyncClient(transport=transport) as nobody:
        assert (await nobody.get(f"{parts.LAB.s3_origin}/{alice.bucket}/open")).status_code == 403
    assert await refused(alice.s3.create_bucket, Bucket="somebody-to-come") == "AccessDenied"


async def test_a_second_person_sees_nothing_of_the_first(newcomer: Newcomer) -> None:
    alice, bob = await newcomer(), await newcomer()
    theirs = {"Bucket": alice.bucket, "Key": "mine"}
    assert await refused(bob.s3.list_objects_v2, Bucket=alice.bucket) == "AccessDenied"
    assert await refused(bob.s3.list_object_versions, Bucket=alice.bucket) == "AccessDenied"
    assert await refused(bob.s3.get_object, **theirs) == "AccessDenied"
    assert await refused(bob.s3.put_object, **theirs, Body=b"x") == "AccessDenied"
    assert await refused(bob.s3.delete_object, **theirs) == "AccessDenied"
    assert await refused(bob.s3.delete_bucket, Bucket=alice.bucket) == "AccessDenied"
    assert await refused(bob.s3.copy_object, Bucket=bob.bucket, Key="k", CopySource=theirs) == "AccessDenied"
    assert await refused(bob.s3.copy_object, **theirs, CopySource={"Bucket": bob.bucket, "Key": "mine"})
    assert await refused(bob.s3.create_multipart_upload, **theirs) == "AccessDenied"
    assert await refused(bob.s3.get_bucket_policy, Bucket=alice.bucket) == "AccessDenied"
    upload = (await asyncio.to_thread(bob.s3.create_multipart_upload, Bucket=bob.bucket, Key="k"))["UploadId"]
    copied = {"Bucket": bob.bucket, "Key": "k", "UploadId": upload, "PartNumber": 1, "CopySource": theirs}
    assert await refused(bob.s3.upload_part_copy, **copied) == "AccessDenied"
    assert [item["Name"] for item in (await asyncio.to_thread(bob.s3.list_buckets))["Buckets"]] == [bob.bucket]
    climbed = f"../{alice.bucket}/mine"
    await refused(bob.s3.get_object, Bucket=bob.bucket, Key=climbed)
    kept = await asyncio.to_thread(alice.s3.get_object, **theirs)
    assert kept["Body"].read() == b"secret"


async def test_members_write_viewers_read_and_strangers_find_nothing(
    store: Store, people: parts.People, storage: Storage, newcomer: Newcomer
) -> None:
    member, viewer, stranger = await newcomer(), await newcomer(), await newcomer()
    slug = f"shared-{new_id()}"
    shared = await people.shared(slug, {member.user.id: Role.MEMBER, viewer.user.id: Role.VIEWER})
    await storage.ensure_bucket(project=shared)

    async def again(person: Person) -> BaseClient:
        storage.forget(subject_id=person.user.id)
        return boto(store, (await storage.credentials(subject=person.user)).keys)

    ours = {"Bucket": slug, "Key": "k"}
    writing = await again(member)
    await asyncio.to_thread(writing.put_object, **ours, Body=b"1")
    assert await refused(writing.put_bucket_policy, Bucket=slug, Policy="{}") == "AccessDenied"
    assert await refused(writing.put_bucket_cors, Bucket=slug, CORSConfiguration={"CORSRules": []})
    reading = await again(viewer)
    assert (await asyncio.to_thread(reading.get_object, **ours))["Body"].read() == b"1"
    assert await refused(reading.put_object, **ours, Body=b"2") == "AccessDenied"
    assert await refused(reading.delete_object, **ours) == "AccessDenied"
    assert await refused((await again(stranger)).get_object, **ours) == "AccessDenied"
    as_project = boto(store, (await storage.credentials(subject=shared)).keys)
    await asyncio.to_thread(as_project.delete_object, **ours)
    await asyncio.to_thread(writing.list_objects_v2, Bucket=slug)
    await asyncio.to_thread(writing.delete_object, Bucket=slug, Key="other")
    assert await refused(as_project.get_object, Bucket=member.bucket, Key="mine") == "AccessDenied"


async def test_anonymous_calls_get_nothing(store: Store, newcomer: Newcomer) -> None:
    alice = await newcomer()
    paths = ["/", f"/{alice.bucket}", f"/{alice.bucket}/mine", f"/{alice.bucket}?policy"]
    transport = httpx.AsyncHTTPTransport(uds=str(store.layout.socket("s3")))
    async with httpx.AsyncClient(transport=transport, base_url=parts.LAB.s3_origin) as nobody:
        answers = [await nobody.get(path) for path in paths]
        answers += [await nobody.put(f"/{alice.bucket}/new", content=b"x"), await nobody.delete(paths[2])]
        answers.append(await nobody.put("/new-bucket"))
        unknown = await nobody.post("/", data={"Action": "ListUsers", "Version": "2010-05-08"})
    assert {answer.status_code for answer in answers} == {403}, [answer.text for answer in answers]
    assert unknown.status_code in {400, 403}


@pytest.mark.parametrize(
    "change",
    [
        {"aud": "vault"},
        {"aud": "api"},
        {"iss": "http://elsewhere.localhost"},
        {"exp": 1},
        {"preferred_username": None},
        {"preferred_username": ""},
    ],
    ids=["of the vault", "of the portal", "another issuer", "expired", "no name", "empty name"],
)
async def test_a_token_that_is_not_quite_right_buys_nothing(
    store: Store, people: parts.People, newcomer: Newcomer, change: dict[str, object]
) -> None:
    alice = await newcomer()
    claims = {"sub": alice.user.id, "preferred_username": alice.bucket, "groups": [], **change}
    audience = str(claims.pop("aud", Audience.S3))
    kept = {name: value for name, value in claims.items() if value is not None}
    token = people.issuer.sign(kept, audience=audience, lifetime=timedelta(minutes=5))
    client = store.client()
    try:
        keys = (await client.assume_role(token=token, role=seaweedfs.ROLE_ARN, session="test")).keys
    except errors.StoreRefused:
        return
    finally:
        await client.close()
    assert await refused(boto(store, keys).get_object, Bucket=alice.bucket, Key="mine") == "AccessDenied"


async def test_a_token_signed_by_somebody_else_buys_nothing(store: Store, people: parts.People) -> None:
    real = people.issuer.sign({"sub": "x", "preferred_username": "alice"}, audience="s3", lifetime=timedelta(minutes=5))
    own = RSAKey.generate_key(2048)
    kid = jwt.decode(real, people.ring.public()).header["kid"]
    claims = jwt.decode(real, people.ring.public()).claims
    forged = jwt.encode({"alg": "RS256", "kid": kid}, claims, own)
    unsigned = forged.rpartition(".")[0] + "."
    client = store.client()
    for token in (forged, unsigned, real[:-8] + "AAAAAAAA", "not.a.token", ""):
        with pytest.raises(errors.StoreRefused):
            await client.assume_role(token=token, role=seaweedfs.ROLE_ARN, session="test")
    with pytest.raises(errors.StoreRefused):
        await client.assume_role(token=real, role="arn:aws:iam::role/admin", session="test")
    await client.close()


async def test_a_session_token_with_changed_claims_is_worth_nothing(store: Store, newcomer: Newcomer) -> None:
    alice, bob = await newcomer(), await newcomer()
    mine = alice.s3._request_signer._credentials
    theirs = bob.s3._request_signer._credentials
    mixed = boto(store, models.Keys(mine.access_key, mine.secret_key, theirs.token))
    assert await refused(mixed.get_object, Bucket=bob.bucket, Key="mine")
    bare = boto(store, models.Keys(mine.access_key, mine.secret_key, None))
    assert await refused(bare.get_object, Bucket=alice.bucket, Key="mine")


async def test_users_neither_make_keys_nor_lengthen_their_own(store: Store, newcomer: Newcomer) -> None:
    alice = await newcomer()
    iam, sts, tables = (_api(store, alice, name) for name in ("iam", "sts", "s3tables"))
    for call, arguments in (
        (iam.create_user, {"UserName": "eve"}),
        (iam.list_users, {}),
        (iam.create_access_key, {"UserName": "lab"}),
        (iam.create_policy, {"PolicyName": "all", "PolicyDocument": "{}"}),
        (iam.put_user_policy, {"UserName": "lab", "PolicyName": "p", "PolicyDocument": "{}"}),
        (sts.assume_role, {"RoleArn": seaweedfs.ROLE_ARN, "RoleSessionName": "longer"}),
        (sts.get_session_token, {}),
        (sts.get_federation_token, {"Name": "longer"}),
        (tables.create_table_bucket, {"name": "theirs"}),
    ):
        assert await refused(call, **arguments), call


def _api(store: Store, person: Person, name: str) -> BaseClient:
    keys = person.s3._request_signer._credentials
    return boto3.client(
        name,
        endpoint_url=parts.LAB.s3_origin,
        region_name="eu-west-3",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        aws_session_token=keys.token,
        config=store.config(),
    )


async def test_names_that_policies_read_as_wildcards_never_leave_the_issuer(people: parts.People) -> None:
    with pytest.raises(Exception, match="cannot be used as a name"):
        await people.issuer.issue(subject=await people.person("*"), audience=Audience.S3, lifetime=timedelta(minutes=1))


async def test_the_labs_own_client_says_what_the_store_refused(store: Store) -> None:
    client: Client = store.client()
    with pytest.raises(errors.StoreRefused, match="NoSuchBucket") as caught:
        await client.put("there-is-no-such-bucket", "k", b"x")
    assert caught.value.status == 404
    await client.close()


async def test_pages_of_elsewhere_may_not_read_a_bucket(store: Store, newcomer: Newcomer) -> None:
    alice = await newcomer()
    url = await asyncio.to_thread(
        alice.s3.generate_presigned_url, "get_object", Params={"Bucket": alice.bucket, "Key": "mine"}
    )
    transport = httpx.AsyncHTTPTransport(uds=str(store.layout.socket("s3")))
    async with httpx.AsyncClient(transport=transport) as browser:
        theirs = await browser.get(url, headers={"Origin": "http://evil.example"})
        ours = await browser.get(url, headers={"Origin": parts.LAB.origin})
    assert theirs.headers.get("access-control-allow-origin") is None
    assert (ours.status_code, ours.content) == (200, b"secret")
    assert ours.headers["access-control-allow-origin"] == parts.LAB.origin
