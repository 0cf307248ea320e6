"""Administration as `main` builds it: the use cases, by noun."""

from dataclasses import dataclass

from etabli.admin.catalogs import Catalogs
from etabli.admin.people import People
from etabli.admin.projects import Projects
from etabli.admin.services import Services
from etabli.catalog.service import Catalog
from etabli.door.service import Door
from etabli.identity.service import Identity
from etabli.services.oversight import Oversight


@dataclass(frozen=True)
class Administration:
    """Everything that administrators do."""

    people: People
    projects: Projects
    services: Services
    catalogs: Catalogs


def build(*, identity: Identity, door: Door, oversight: Oversight, catalog: Catalog) -> Administration:
    """Administration over these rooms."""
    return Administration(
        people=People(identity=identity, door=door, oversight=oversight),
        projects=Projects(identity=identity, oversight=oversight),
        services=Services(identity=identity, oversight=oversight),
        catalogs=Catalogs(catalog=catalog),
    )
