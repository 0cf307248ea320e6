"""Bucket policies, as data: who but its own project reaches a bucket.

A shared project's members are told by the claim `groups` of their tokens, which a role's Resource cannot expand: the bucket's own
policy names the project once, and holds for any number of people (facts, tried on SeaweedFS 4.48: `StringEquals` on a list claim).
"""

from collections.abc import Mapping, Sequence

from etabli.components import seaweedfs

MEMBERS, READERS = "EtabliMembers", "EtabliReaders"  # Our statements are told by how their Sid begins.
GONE, DEMOTED = "EtabliGone", "EtabliDemoted"

LOOKING_OBJECT_ACTIONS = tuple(action for action in seaweedfs.OBJECT_ACTIONS if action.startswith("s3:Get"))
# Members and readers see how the bucket is set; only the project itself changes it.
LOOKING_BUCKET_ACTIONS = tuple(
    action for action in seaweedfs.BUCKET_ACTIONS if action.startswith(("s3:Get", "s3:List"))
)


def with_members(policy: Mapping[str, object] | None, slug: str) -> dict[str, object]:
    """The policy of a shared project's bucket: other statements stay as they are, ours are ours."""
    statements = policy.get("Statement", []) if policy else []
    if not isinstance(statements, list):
        raise TypeError("a policy's Statement is a list")
    others = [item for item in statements if not str(item.get("Sid", "")).startswith((MEMBERS, READERS))]
    return {"Version": "2012-10-17", "Statement": others + _ours(slug)}


def without_departed(
    policy: Mapping[str, object] | None, slug: str, *, gone: Sequence[str], demoted: Sequence[str]
) -> dict[str, object]:
    """The policy with these people (by id) shut out, or kept from writing, whatever the groups that their keys were bought with.

    A Deny wins over every Allow, and holds from the next request on (tried on SeaweedFS 4.48).
    """
    statements = policy.get("Statement", []) if policy else []
    if not isinstance(statements, list):
        raise TypeError("a policy's Statement is a list")
    others = [item for item in statements if not str(item.get("Sid", "")).startswith((GONE, DEMOTED))]
    writing = tuple(action for action in seaweedfs.OBJECT_ACTIONS if action not in LOOKING_OBJECT_ACTIONS)
    denied = [
        *([_deny(GONE, ("s3:*",), slug, gone)] if gone else []),
        *([_deny(DEMOTED, writing, slug, demoted)] if demoted else []),
    ]
    return {"Version": "2012-10-17", "Statement": denied + others}


def _deny(sid: str, actions: tuple[str, ...], slug: str, people: Sequence[str]) -> dict[str, object]:
    bucket = f"arn:aws:s3:::{slug}"
    return {
        "Sid": sid,
        "Effect": "Deny",
        "Principal": "*",
        "Action": list(actions),
        "Resource": [bucket, f"{bucket}/*"],
        "Condition": {"StringEquals": {"jwt:sub": sorted(people)}},
    }


def _ours(slug: str) -> list[dict[str, object]]:
    # The store knows `groups` as a list, and any other list as its JSON text: a slug holds no wildcard, and quotes make it whole.
    members = {"StringEquals": {"jwt:groups": [slug]}}
    readers = {"StringLike": {"jwt:reader_groups": [f'*"{slug}"*']}}
    bucket = f"arn:aws:s3:::{slug}"
    return [
        _allow(f"{MEMBERS}Objects", seaweedfs.OBJECT_ACTIONS, f"{bucket}/*", members),
        _allow(f"{MEMBERS}Bucket", LOOKING_BUCKET_ACTIONS, bucket, members),
        _allow(f"{READERS}Objects", LOOKING_OBJECT_ACTIONS, f"{bucket}/*", readers),
        _allow(f"{READERS}Bucket", LOOKING_BUCKET_ACTIONS, bucket, readers),
    ]


def _allow(sid: str, actions: tuple[str, ...], resource: str, condition: Mapping[str, object]) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(actions),
        "Resource": [resource],
        "Condition": condition,
    }
