"""SeaweedFS, the object store: keys made once, configuration rendered, the component that runs it, and the rule that makes it durable.

Promises: S3 and STS answer at `run/s3.sock` alone (0600); every other port of it lives on the loopback of the components' namespace.
Rights are policies over the claims of our own tokens: whoever holds one of audience `s3` reaches the bucket that has the token's
`preferred_username`, and nothing is provisioned per person (decision 0002). Dangerous defaults are off. Keys are 0600, on no command
line. A write is on the disk before it is acknowledged: `make_durable` for objects, `chattr +S` for their names (decision 0701).

Refused: what an owner could do to a bucket that outlives the hour of their keys (decision 0702): policies, ACLs, making or deleting
the bucket itself. Those are use cases of the lab.
"""

import base64
import fcntl
import json
import os
import secrets
import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import structlog

from etabli.components import models, private_tmp, versions
from etabli.kernel import errors, files
from etabli.kernel.settings import LabSettings, Layout

log = structlog.get_logger()

NAME = "seaweedfs"
JWKS_URL = "http://127.0.0.1:9100/jwks"  # The authoriser serves it inside the components' namespace.
AUDIENCE = "s3"
ROLE_ARN = "arn:aws:iam::role/lab"
SESSION = timedelta(hours=1)  # How long temporary keys live where a caller does not say.
# Go collects without end near it: idle, 115 MB resident, 200 MiB cost 10% of a core and 300 MiB 0.2% (what is mapped counts).
MEMORY_LIMIT_MIB = 320
VOLUMES = 20_000  # A bucket holds one or more volumes; the default, free disk / 1 GiB, would cap the number of buckets.
# An upload holds 16 pieces in memory, whatever its size; the default of 4 MiB took 2 GB for 32 uploads at once (decision 0706).
PIECE_MIB = 1
READERS_MIB = 64  # For all downloads together, those that nobody takes included.
FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_SYNC_FL = 0x80086601, 0x40086602, 0x00000008  # ioctl_iflags(2), 64-bit.

# What the owner of a bucket, or a service of its project, may do in it. `s3:*` would let code that ran once open the bucket to the
# world for ever.
OBJECT_ACTIONS = (
    "s3:GetObject",
    "s3:PutObject",
    "s3:DeleteObject",
    "s3:GetObjectVersion",
    "s3:DeleteObjectVersion",
    "s3:GetObjectTagging",
    "s3:PutObjectTagging",
    "s3:DeleteObjectTagging",
    "s3:GetObjectVersionTagging",
    "s3:AbortMultipartUpload",
    "s3:ListMultipartUploadParts",
)
BUCKET_ACTIONS = (
    "s3:ListBucket",
    "s3:ListBucketVersions",
    "s3:ListBucketMultipartUploads",
    "s3:GetBucketLocation",
    "s3:GetBucketVersioning",
    "s3:PutBucketVersioning",
    "s3:GetBucketTagging",
    "s3:PutBucketTagging",
    "s3:GetBucketCors",
    "s3:PutBucketCors",
    "s3:DeleteBucketCors",
    "s3:GetBucketPolicy",
    "s3:GetLifecycleConfiguration",
    "s3:PutLifecycleConfiguration",
)


@dataclass(frozen=True)
class Keys:
    """What the store and the lab share. Whoever has `signing_key` can forge any session: it stays in this component."""

    access_key: str
    secret_key: str
    signing_key: str  # Base64 of 32 bytes.


def component(
    layout: Layout, lab: LabSettings, *, session: timedelta = SESSION, needs: tuple[str, ...] = ()
) -> models.Component:
    """Render the configuration and say how SeaweedFS is run. `session` is the life of keys whose caller names none."""
    folder = files.private_folder(layout.components / NAME)
    data = files.private_folder(folder / "data")
    _write_names_through(files.private_folder(data / "filerldb2"))
    # `weed mini` keeps the options of its last start there and applies those that the command line leaves out.
    (data / "mini.options").unlink(missing_ok=True)
    rules = folder / "iam.json"
    _install(rules, render(lab, keys(layout), session=session))
    binary = versions.binary(NAME)
    argv = private_tmp.command(
        files.private_folder(folder / "tmp"),
        (binary.parent, folder, layout.run),
        (str(binary), *_options(layout, lab, data, rules)),
    )
    return models.Component(
        name=NAME,
        argv=argv,
        folder=folder,
        env={"GOMEMLIMIT": f"{MEMORY_LIMIT_MIB}MiB", "GOGC": "50"},
        files=(rules,),
        version=versions.named(NAME),
        places=(sys.executable, str(binary), str(binary.parent)),
        needs=needs,
        health=models.Health(socket=layout.socket("s3"), path="/healthz"),
        inner=True,
        grace_seconds=15.0,
    )


def keys(layout: Layout) -> Keys:
    """The lab's own keys, made at first use."""
    fresh = Keys(
        access_key="LAB" + secrets.token_hex(8).upper(),
        secret_key=secrets.token_urlsafe(30),
        signing_key=base64.b64encode(secrets.token_bytes(32)).decode(),
    )
    held = files.write_once(layout.keys / "seaweedfs.json", json.dumps(asdict(fresh)))
    return Keys(**json.loads(held))


def render(lab: LabSettings, lab_keys: Keys, *, session: timedelta) -> str:
    """The rules of access (facts: SeaweedFS 4.48 reads `sts`, `policy`, `providers`, `roles`, `policies`, `identities`)."""
    return json.dumps(
        {
            "sts": {
                "tokenDuration": f"{int(session.total_seconds())}s",
                "maxSessionLength": "12h",
                "issuer": "etabli-sts",
                "signingKey": lab_keys.signing_key,
            },
            "policy": {"defaultEffect": "Deny", "storeType": "memory"},
            "providers": [
                {
                    "name": "etabli",
                    "type": "oidc",
                    "enabled": True,
                    "config": {
                        "issuer": lab.origin,
                        "clientId": AUDIENCE,
                        "jwksUri": JWKS_URL,
                        "scopes": ["openid"],
                    },
                }
            ],
            "roles": [_role()],
            "policies": [{"name": "own-bucket", "document": _own_bucket()}],
            "identities": [
                {
                    "name": "lab",
                    "credentials": [{"accessKey": lab_keys.access_key, "secretKey": lab_keys.secret_key}],
                    "actions": ["Admin"],
                }
            ],
        },
        indent=1,
    )


async def make_durable(layout: Layout) -> None:
    """Tell the store to flush each object before it answers. To be called once it answers; repeating it is safe.

    Unavailable where the store does not take the rule.
    """
    rule = json.dumps({"version": 1, "locations": [{"locationPrefix": "/buckets/", "fsync": True}]})
    transport = httpx.AsyncHTTPTransport(uds=str(layout.socket("filer")))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=10) as client:
        try:
            answer = await client.put("/etc/seaweedfs/filer.conf", content=rule)
        except httpx.TransportError as error:
            raise errors.Unavailable("the object store does not answer", hint="`etabli status` shows it") from error
    if not answer.is_success:
        raise errors.Unavailable(f"the object store refused its flush rule: {answer.status_code}")


def _options(layout: Layout, lab: LabSettings, data: Path, rules: Path) -> Sequence[str]:
    return (
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-admin.ui=false",
        "-webdav=false",
        "-master.telemetry=false",
        f"-volume.max={VOLUMES}",
        f"-filer.localSocket={layout.socket('filer')}",
        f"-filer.maxMB={PIECE_MIB}",
        "-s3.port=8333",
        f"-s3.readerCacheSizeMB={READERS_MIB}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        f"-s3.localSocket={layout.socket('s3')}",
        f"-s3.externalUrl={lab.s3_origin}",
        f"-s3.allowedOrigins={lab.origin}",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-s3.autoCreateBucket=false",
        f"-s3.iam.config={rules}",
        "-s3.iam.readOnly=true",
    )


def _role() -> dict[str, object]:
    trust = {"Effect": "Allow", "Principal": {"Federated": "*"}, "Action": ["sts:AssumeRoleWithWebIdentity"]}
    return {
        "roleName": "lab",
        "roleArn": ROLE_ARN,
        "trustPolicy": {"Version": "2012-10-17", "Statement": [trust]},
        "attachedPolicies": ["own-bucket"],
    }


def _own_bucket() -> dict[str, object]:
    bucket = "arn:aws:s3:::${jwt:preferred_username}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": [f"{bucket}/*"]},
            {"Effect": "Allow", "Action": list(BUCKET_ACTIONS), "Resource": [bucket]},
            {"Effect": "Allow", "Action": ["s3:ListAllMyBuckets"], "Resource": ["*"]},
        ],
    }


def _install(path: Path, content: str) -> None:
    if not path.exists() or path.read_text() != content:
        files.write_atomically(path, content)


def _write_names_through(folder: Path) -> None:
    """Make every write in `folder` wait for the disk, as the store's own index does not: files made there inherit the flag.

    ext4, XFS and btrfs take it; elsewhere a power loss may lose the names of the last seconds' objects, and we say so.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        held = struct.unpack("i", fcntl.ioctl(descriptor, FS_IOC_GETFLAGS, bytes(4)))[0]
        fcntl.ioctl(descriptor, FS_IOC_SETFLAGS, struct.pack("i", held | FS_SYNC_FL))
    except OSError as error:
        log.warning("object names are not written through", folder=str(folder), reason=error.strerror)
    finally:
        os.close(descriptor)
