"""`[audit]` in `etabli.toml`: how long the audit log is kept at hand."""

from pydantic import Field

from etabli.kernel.settings import Section


class AuditSettings(Section):
    """The audit log; every complete day of it is also copied to the lab's own bucket, and stays there."""

    keep_days: int = Field(
        default=400,
        ge=0,
        le=36_500,
        description="Days that the audit log stays searchable; older days are removed once they are copied to S3. 0: for good.",
    )
