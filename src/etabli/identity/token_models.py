"""The vocabulary of programs that act in the lab: tokens, what they may do, service accounts, devices that ask. No I/O."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from etabli.identity import models


class Scope(StrEnum):
    """What a token may do of what its owner may."""

    READ = "read"  # See projects, services, the catalogue.
    SERVICES = "services"  # Launch, change, delete services; and see them.
    FILES = "files"  # Files in S3: their list, their content, keys to them.
    PROJECTS = "projects"  # Make and change projects, say who is in them.
    ADMIN = "admin"  # What administrators do. Of use to administrators alone.


# What a service account's token may do, by the account's role in its project.
SCOPES_OF_ROLE = {
    models.Role.VIEWER: (Scope.READ,),
    models.Role.MEMBER: (Scope.READ, Scope.SERVICES, Scope.FILES),
}


@dataclass(frozen=True)
class AccessToken:
    """A token as its owner sees it: never the secret itself."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None  # Written at most once a minute.
    last_address: str
    ended_at: datetime | None = None


@dataclass(frozen=True)
class Issued:
    """A token just made, with its one copy: to be shown, then forgotten."""

    secret: str
    token: AccessToken


@dataclass(frozen=True)
class ServiceAccount:
    """A project's non-human member: what acts there when nobody does."""

    id: str
    project_id: str
    slug: str  # `<name>.<project's slug>`: the dot keeps it out of the slugs of people and projects.
    name: str
    role: models.Role
    created_at: datetime
    created_by: str  # The id of a person.


@dataclass(frozen=True)
class Bearer:
    """Who a token speaks for. A service account reads as a person who is in one project and has no account."""

    user: models.User
    token: AccessToken
    is_service_account: bool = False
