"""`[storage]`: how services reach S3."""

from pydantic import Field, field_validator

from etabli.kernel.settings import Section


class StorageSettings(Section):
    """What an administrator may change about S3."""

    region: str = Field(
        default="eu-west-3",
        pattern=r"^[a-z]{2}-[a-z]+-[0-9]$",
        description="The region that clients sign for. Not `us-east-1`: SDKs then presign with an older scheme.",
    )
    session_seconds: int = Field(
        default=3600,
        ge=10,
        le=43_200,
        description="How long the keys of services live. Below 15 minutes SDKs ask for others before nearly every request.",
    )
    renew_before_seconds: int = Field(
        default=900,
        ge=1,
        description="Keys are replaced when they have fewer seconds left than this. SDKs begin to ask 900 s before the end.",
    )
    sample: bool = Field(default=True, description="Whether `start-here/flights.parquet` is offered to new projects.")

    @field_validator("region")
    @classmethod
    def _signs_with_v4(cls, value: str) -> str:
        if value == "us-east-1":
            raise ValueError("SDKs presign for `us-east-1` with an older scheme, which the store refuses")
        return value
