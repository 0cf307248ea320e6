"""`[[identity.providers]]` in `etabli.toml`: who else says who people are, and whom of them the lab lets in."""

import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator

from etabli.identity.models import Role
from etabli.identity.outside import presets
from etabli.kernel.settings import Section

PROVIDER_ID = re.compile(r"[a-z0-9](?:-?[a-z0-9]){1,31}")
VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ClaimNames(Section):
    """What a provider calls what it says of a person. A dot leads into a claim: `realm_access.roles`."""

    slug: str = Field(default="preferred_username", description="What their short name is proposed from.")
    name: str = Field(default="name", description="How they are called; several claims, parted by spaces, are joined.")
    email: str = Field(default="email", description="Their e-mail.")
    email_verified: str = Field(
        default="email_verified",
        description="Whether the provider verified it. Empty: it verifies each address that it gives.",
    )
    groups: str = Field(default="groups", description="The groups that they are in: a list of texts, or one text.")


class Entry(Section):
    """Whom of a provider's people the lab lets in, at each sign-in: who meets one of these. Nothing said: who has an account."""

    anyone: bool = Field(default=False, description="Everybody whom the provider knows.")
    email_domains: list[str] = Field(
        default=[], description="Whose verified e-mail is of one of these domains, `insee.fr`; not those below it."
    )
    groups: list[str] = Field(default=[], description="Who is in one of these groups.")
    claims: dict[str, list[str]] = Field(
        default={}, description='Who has one of these values in that claim: `hd = ["example.org"]`.'
    )
    makes_accounts: bool = Field(
        default=True,
        description="Whether they are offered an account at their first sign-in; else they need one already.",
    )

    @property
    def invited_only(self) -> bool:
        """Whether nothing is said of who may enter."""
        return not (self.anyone or self.email_domains or self.groups or self.claims)

    @field_validator("email_domains")
    @classmethod
    def _are_domains(cls, domains: list[str]) -> list[str]:
        if wrong := next((one for one in domains if "@" in one or "." not in one or not one.isascii()), None):
            raise ValueError(f"`{wrong}` is no domain: write what stands after the @")
        return [one.lower() for one in domains]


class ProjectRule(Section):
    """A group of the provider's that is a project here: made where absent, its members those of the group."""

    group: str = Field(description="The group's name, or a regular expression that it matches whole: `/lab/([a-z-]+)`.")
    project: str = Field(description="The project's short name; `{1}` is the expression's first bracket.")
    name: str = Field(default="", description="What the project is called where it is made. Empty: its short name.")
    role: Role = Field(default=Role.MEMBER, description="What they may do there.")

    @model_validator(mode="after")
    def _is_an_expression(self) -> Self:
        try:
            brackets = re.compile(self.group).groups
        except re.error as error:
            raise ValueError(f"`{self.group}` is no regular expression: {error}") from error
        if wrong := next((n for n in re.findall(r"\{(\d+)\}", self.project + self.name) if int(n) > brackets), None):
            raise ValueError(f"`{{{wrong}}}` names a bracket that `{self.group}` does not have")
        return self


class ProviderSettings(Section):
    """One outside provider. An id names one provider for good: accounts are linked to it."""

    id: str = Field(description="Its name in addresses: the redirect address is `<lab>/sign-in/with/<id>/back`.")
    name: str = Field(description="What people read on the button.")
    kind: presets.Kind = Field(
        default="openid", description="Whose habits it has: what is not said below is as that kind has it."
    )
    issuer: str = Field(
        default="",
        description="Its address, as its discovery document has it; for GitHub Enterprise, the server's address.",
    )
    api: str = Field(default="", description="GitHub alone: its API's address. Empty: as GitHub has it for `issuer`.")
    client_id: str = Field(description="What the lab is called there.")
    client_secret_file: Path | None = Field(
        default=None,
        description="The file that holds the lab's secret there, 0600. Neither: a public client, by PKCE alone.",
    )
    client_secret_env: str = Field(default="", description="Or the variable that holds it where `etabli up` is run.")
    scopes: list[str] = Field(default=["openid", "profile", "email"], description="What is asked for.")
    acr_values: list[str] = Field(
        default=[], description="Levels of sign-in that are asked for; one of them must come back (`acr`)."
    )
    second_factor: list[str] = Field(
        default=[],
        description="Values of `amr` or `acr` that say a second factor was used there: the lab then asks for none.",
    )
    userinfo: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether its userinfo is asked: `auto` where the ID token lacks a claim that is needed.",
    )
    trust_email: bool = Field(
        default=False,
        description=(
            "Whether an e-mail that it verified brings people to the account here that has the same, verified too. Only where whoever "
            "runs the provider answers for its addresses."
        ),
    )
    authorities: Path | None = Field(
        default=None, description="Certificate authorities to trust besides the machine's, PEM: an institution's own."
    )
    clock_leeway_seconds: int = Field(default=60, ge=0, le=600, description="How far its clock may be from the lab's.")
    claims: ClaimNames = Field(default=ClaimNames(), description="What it calls what it says.")
    enter: Entry = Field(default=Entry(), description="Who may enter.")
    projects: list[ProjectRule] = Field(default=[], description="Groups that are projects.")

    @model_validator(mode="before")
    @classmethod
    def _as_its_kind_has_it(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        if "client_secret" in given:
            raise ValueError(
                "a secret is not written in etabli.toml: put it in a file of mode 0600, and name that file in `client_secret_file`"
            )
        return presets.filled(given)

    @field_validator("id")
    @classmethod
    def _is_an_id(cls, text: str) -> str:
        if not PROVIDER_ID.fullmatch(text):
            raise ValueError("2 to 32 of a-z, 0-9 and single dashes")
        return text

    @field_validator("client_secret_env")
    @classmethod
    def _is_a_variable(cls, text: str) -> str:
        if text and not VARIABLE.fullmatch(text):
            raise ValueError("the name of an environment variable, in capitals; the secret itself is not written here")
        return text

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if not self.issuer:
            raise ValueError("`issuer` is missing: the address that its discovery document begins with")
        for address in filter(None, (self.issuer, self.api)):
            if not is_safe_address(address):
                raise ValueError(f"`{address}` must begin with https:// (http:// is for this machine alone)")
        if self.client_secret_file and self.client_secret_env:
            raise ValueError("`client_secret_file` or `client_secret_env`, not both")
        if self.kind != "github" and "openid" not in self.scopes:
            raise ValueError("`scopes` must hold `openid`")
        if self.enter.email_domains and not self.claims.email:
            raise ValueError("`enter.email_domains` needs `claims.email`")
        return self


def is_safe_address(address: str) -> bool:
    """Whether what is sent there is safe on its way: TLS, or this very machine."""
    try:
        parts = urlsplit(address)
        host = parts.hostname or ""
    except ValueError:
        return False
    if not host or parts.fragment or "@" in parts.netloc:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and (host in LOOPBACK or host.endswith(".localhost")))
