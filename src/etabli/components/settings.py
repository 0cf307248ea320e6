"""Settings of the front door: which certificates it shows. Where it answers is `[lab]`."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from etabli.kernel import settings


class FrontDoorSettings(settings.Section):
    """`[front_door]`: matters where `[lab] https` is true."""

    certificates: Literal["internal", "files", "on-demand"] = Field(
        default="internal",
        description=(
            "`internal`: signed by the lab's own authority, whose root is handed to other devices; `files`: the two files below; "
            "`on-demand`: asked of Let's Encrypt (ACME), for a service's host only once such a service exists."
        ),
    )
    certificate: Path | None = Field(
        default=None,
        description="With `files`: the chain, PEM, good for the domain, `s3.`, `vault.` and `*.svc.` of it.",
    )
    key: Path | None = Field(default=None, description="With `files`: its private key, PEM, unencrypted.")
    email: str = Field(default="", description="With `on-demand`: whom the authority writes to. Empty: nobody.")
    issuer: Literal["acme", "internal"] = Field(
        default="acme",
        description="With `on-demand`: who signs. `internal` is for labs that no public authority reaches.",
    )
    ask_port: int = Field(
        default=9180,
        ge=1,
        le=65535,
        description="With `on-demand`: the loopback port where Caddy asks which hosts exist.",
    )

    @property
    def own_authority(self) -> bool:
        """Whether the lab's own authority signs: nobody trusts it who was not given its root certificate."""
        return self.certificates == "internal" or (self.certificates == "on-demand" and self.issuer == "internal")

    @model_validator(mode="after")
    def _files_are_named(self) -> Self:
        if self.certificates == "files" and (self.certificate is None or self.key is None):
            raise ValueError("`files` needs `certificate` and `key`")
        return self
