"""Settings of services."""

from pydantic import Field

from etabli.kernel import settings


class ServicesSettings(settings.Section):
    """`[services]`: how long services live."""

    lifetime_days: int = Field(
        default=7,
        ge=0,
        le=3650,
        description="Days after which a service stops by itself; 0 is never. Its people may extend it.",
    )
    warning_hours: int = Field(default=24, ge=1, le=720, description="Hours before its end that its people are told.")
    kept_days: int = Field(
        default=7,
        ge=1,
        le=3650,
        description="Days that a stopped service is kept, volumes included, before it is deleted.",
    )
    grace_seconds: int = Field(
        default=10, ge=0, le=600, description="Seconds between SIGTERM and SIGKILL when a service stops."
    )
    per_project: int = Field(
        default=50, ge=1, le=10_000, description="Services that one project may have, stopped ones included."
    )
    cores_per_project: float = Field(
        default=0,
        ge=0,
        description="Cores that the running services of one project may use together; 0 is no limit but the machine's.",
    )
    memory_gib_per_project: float = Field(
        default=0,
        ge=0,
        description="Memory that the running services of one project may use together, GiB; 0 is no limit but the machine's.",
    )
