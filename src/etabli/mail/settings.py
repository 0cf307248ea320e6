"""`[mail]` in `etabli.toml`: the server that takes the lab's messages."""

from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from etabli.kernel.settings import Section


class Security(StrEnum):
    """How the way to the server is closed to others (RFC 8314)."""

    TLS = "tls"  # From the first byte; port 465.
    STARTTLS = "starttls"  # Asked for, and required; port 587.
    NONE = "none"  # A relay inside the institution's own network.


class MailSettings(Section):
    """Without a host the lab sends nothing, and shows the links that it would have sent."""

    host: str = Field(default="", description="The SMTP server that takes the lab's messages; empty: none are sent.")
    port: int = Field(
        default=587, ge=1, le=65535, description="Its port: 465 for `tls`, 587 for `starttls`, 25 for `none`."
    )
    security: Security = Field(default=Security.STARTTLS, description="`tls`, `starttls` or `none`.")
    username: str = Field(default="", description="Who the lab is to the server; empty: it does not ask.")
    password_file: Path | None = Field(
        default=None, description="A file, readable by the lab alone, whose first line is the password."
    )
    sender: str = Field(default="", description="The address that messages come from, `lab@example.org`.")
    timeout_seconds: int = Field(default=10, ge=1, le=60, description="How long the server may take to answer.")

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if self.host and "@" not in self.sender:
            raise ValueError("`sender` must be an address such as lab@example.org")
        if self.username and self.password_file is None:
            raise ValueError("`username` needs `password_file`")
        if self.username and self.security is Security.NONE:
            raise ValueError("a password is not sent in the clear: `security` must be `tls` or `starttls`")
        return self
