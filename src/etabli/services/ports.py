"""What services need of the other rooms, in their own words; `main` binds them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from etabli.engines import contract
from etabli.identity.models import User


@dataclass(frozen=True)
class Ground:
    """The project a service is launched in, seen by one of its members."""

    project_id: str
    slug: str
    namespace: str
    personal: bool
    may_change: bool  # Whether this member may launch and change, not only see.
    archived: bool = False  # Whether nobody may, for as long as it is closed.


class People(Protocol):
    """Who may do what where."""

    async def ground(self, *, user_id: str, project_id: str) -> Ground | None:
        """The project as this person may know it; None where they are no member."""
        ...

    async def projects(self, *, user_id: str) -> frozenset[str]:
        """The ids of the projects that this person is in; archived ones left out."""
        ...

    async def project_ground(self, *, project_id: str) -> Ground:
        """The project itself, for work that the lab does by itself."""
        ...

    async def issue_token(self, *, service_id: str, project_id: str) -> str:
        """The one token of this service; a second call replaces the first."""
        ...

    async def end_token(self, *, service_id: str) -> None:
        """The token buys nothing any more; already ended is success."""
        ...

    async def archive(self, *, by: User, project_id: str) -> None:
        """Close a shared project that `by` owns."""
        ...

    async def reopen(self, *, by: User, project_id: str) -> None:
        """Open it again."""
        ...

    async def archived(self) -> frozenset[str]:
        """The ids of every closed project."""
        ...


@dataclass(frozen=True)
class Rendered:
    """What a chart gave for some values."""

    chart_version: str
    manifests: tuple[contract.Manifest, ...]
    notes: str
    values: Mapping[str, object]  # What the person changed, cleaned.


class Charts(Protocol):
    """The catalogue."""

    async def render(
        self,
        *,
        catalog: str,
        chart: str,
        version: str | None,
        values: Mapping[str, object],
        context: Mapping[str, object],
        release: str,
        namespace: str,
    ) -> Rendered:
        """Validate and render. NotFound, Invalid with the fields named, Unavailable where Helm could not."""
        ...

    async def context(self, *, user_id: str, ground: Ground, service_id: str) -> Mapping[str, object]:
        """What `{{…}}` of a chart's schema may refer to."""
        ...


class Environments(Protocol):
    """What images named `etabli/…` are."""

    def digest(self, image: str) -> str:
        """The digest of the image's environment; NotFound for an unknown one."""
        ...

    async def ensure(self, image: str) -> object:
        """Build it where it is not; joins a build that runs. Raises what the build failed of."""
        ...

    def is_built(self, digest: str) -> bool:
        """Whether its tree is there."""
        ...

    def progress(self, image: str) -> str:
        """How far its build is, in words."""
        ...


class Belongings(Protocol):
    """What a service finds inside: variables, credentials, secrets; and what of it must end with it."""

    async def prepare(self, *, ground: Ground) -> Mapping[str, str]:
        """See that the project's bucket is there; the variables of every service of the project."""
        ...

    async def authorities(self) -> "Authorities":
        """The certificate authorities that a service trusts from its next start on. Unavailable while they are being made."""
        ...

    async def vault_token(self, *, ground: Ground) -> "VaultToken":
        """A vault token for the project, of a period of 24 hours."""
        ...

    async def renew(self, *, accessor: str) -> bool:
        """Renew a vault token; False where it is no more."""
        ...

    async def revoke(self, *, accessor: str) -> None:
        """End a vault token; already ended is success."""
        ...

    async def keep(self, *, key: str, data: Mapping[str, str]) -> None:
        """Keep the lab's own secrets under a key."""
        ...

    async def fetch(self, *, key: str) -> Mapping[str, str]:
        """What was kept; NotFound where nothing is."""
        ...

    async def forget(self, *, key: str) -> None:
        """Remove what was kept; already gone is success."""
        ...


@dataclass(frozen=True)
class Authorities:
    """A list of certificate authorities, PEM. Empty: the one at `system` inside is enough, or every tool's own."""

    pem: str = ""
    variables: tuple[str, ...] = ()  # By which tools are told of a list.
    system: str = ""  # Where the system keeps its list, which tools read that are told of none; empty: nowhere.


@dataclass(frozen=True)
class VaultToken:
    """A token and the accessor by which the lab renews and revokes it."""

    token: str
    accessor: str


class Door(Protocol):
    """The front door."""

    async def publish(self, *, service_id: str, project_id: str, routes: Sequence[contract.Route], ready: bool) -> None:
        """These hosts are this service's, and answer or not."""
        ...

    async def withdraw(self, *, service_id: str) -> None:
        """None of its hosts is known any more; nobody stays signed in to them."""
        ...

    async def enter(self, *, user_id: str, session_id: str, host: str, to: str) -> str:
        """A URL on that host that signs this person in to it once, then goes to the local path `to`."""
        ...

    async def service_of(self, *, host: str) -> str | None:
        """The id of the service that has this host."""
        ...
