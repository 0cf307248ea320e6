"""The vocabulary of storage. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True)
class Keys:
    """What signs a request to S3: the lab's own pair, or a temporary one with its token."""

    access_key: str
    secret_key: str = field(repr=False)
    token: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Credentials:
    """Temporary keys, and when they end."""

    keys: Keys
    expires_at: datetime

    def document(self) -> Mapping[str, str]:
        """As AWS SDKs read it from a container-credentials endpoint (Amazon ECS developer guide, "Task IAM role")."""
        return {
            "AccessKeyId": self.keys.access_key,
            "SecretAccessKey": self.keys.secret_key,
            "Token": self.keys.token or "",
            "Expiration": self.expires_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }
