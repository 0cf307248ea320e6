"""`[backup]`: where backups go, for whom they are encrypted, how often, how many are kept."""

import re
from datetime import timedelta

from pydantic import Field, field_validator

from etabli.kernel.settings import Section

PERIOD = re.compile(r"([1-9][0-9]{0,3})([hd])")


class BackupSettings(Section):
    """Backups are off until `to` and `recipients` are set."""

    to: str = Field(
        default="",
        description="Where backups are kept: an absolute folder on another disk, or `s3://bucket/prefix` of a store elsewhere. "
        "Empty: no backups.",
    )
    recipients: tuple[str, ...] = Field(
        default=(),
        description="Public keys that backups are encrypted to: `age1…` or `ssh-ed25519 …`, `ssh-rsa …`. Each one alone opens them.",
    )
    every: str = Field(default="", description="How often the lab makes one by itself: `12h`, `1d`… Empty: never.")
    endpoint: str = Field(default="", description="Address of the S3 store of `to`, `https://…`; empty: Amazon's.")
    region: str = Field(default="us-east-1", description="The region that requests to that store are signed for.")
    keep_last: int = Field(default=7, ge=1, description="How many of the newest backups are kept.")
    keep_daily: int = Field(default=14, ge=0, description="For how many days the last backup of each is kept.")
    keep_weekly: int = Field(default=8, ge=0, description="For how many weeks the last backup of each is kept.")
    max_mib_per_second: float | None = Field(
        default=None, gt=0, description="How much a backup writes per second at most, in MiB; empty is no limit."
    )
    warn_after: str = Field(default="3d", description="How old the last backup may be before the lab warns.")

    @field_validator("every", "warn_after")
    @classmethod
    def _is_a_period(cls, value: str) -> str:
        if value and PERIOD.fullmatch(value) is None:
            raise ValueError("a number and `h` or `d`, as in `24h`")
        return value

    @property
    def period(self) -> timedelta | None:
        """How often; None where the lab makes none by itself."""
        return read_period(self.every) if self.every else None


def read_period(text: str) -> timedelta:
    """`36h` or `2d` as a duration."""
    found = PERIOD.fullmatch(text)
    assert found is not None, "checked where it is read"
    return timedelta(hours=int(found[1])) if found[2] == "h" else timedelta(days=int(found[1]))
