"""Bucket policies, as data: who but its own project reaches a bucket.

A shared project's members are told by the claim `groups` of their tokens, which a role's Resource cannot expand: the bucket's own
policy names the project once, and holds for any number of people (facts, tried on SeaweedFS 4.48: `StringEquals` on a list claim).
"""

from collections.abc import Mapping

from etabli.components import seaweedfs

MEMBERS = "EtabliMembers"

# What members may do beside reading and writing objects: see how the bucket is set, not change it.
MEMBER_BUCKET_ACTIONS = tuple(
    action for action in seaweedfs.BUCKET_ACTIONS if not action.startswith(("s3:Put", "s3:Delete"))
)


def with_members(policy: Mapping[str, object] | None, slug: str) -> dict[str, object]:
    """The policy of a shared project's bucket: other statements stay as they are, ours are ours."""
    statements = policy.get("Statement", []) if policy else []
    if not isinstance(statements, list):
        raise TypeError("a policy's Statement is a list")
    others = [item for item in statements if not str(item.get("Sid", "")).startswith(MEMBERS)]
    return {"Version": "2012-10-17", "Statement": others + _members(slug)}


def _members(slug: str) -> list[dict[str, object]]:
    bucket = f"arn:aws:s3:::{slug}"
    return [
        _allow(f"{MEMBERS}Objects", seaweedfs.OBJECT_ACTIONS, f"{bucket}/*", slug),
        _allow(f"{MEMBERS}Bucket", MEMBER_BUCKET_ACTIONS, bucket, slug),
    ]


def _allow(sid: str, actions: tuple[str, ...], resource: str, slug: str) -> dict[str, object]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(actions),
        "Resource": [resource],
        "Condition": {"StringEquals": {"jwt:groups": [slug]}},
    }
