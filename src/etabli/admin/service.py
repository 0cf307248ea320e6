"""Administration as `main` builds it: the use cases, by noun."""

from dataclasses import dataclass

from etabli.admin.announcements import Announcements
from etabli.admin.catalogs import Catalogs
from etabli.admin.machine import Machine, Supervised
from etabli.admin.people import People
from etabli.admin.projects import Projects
from etabli.admin.services import Services
from etabli.admin.usage import Buckets, Usage
from etabli.catalog.service import Catalog
from etabli.door.service import Door
from etabli.identity.service import Identity
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database
from etabli.kernel.events import Events
from etabli.services.oversight import Oversight


@dataclass(frozen=True)
class Administration:
    """Everything that administrators do."""

    people: People
    projects: Projects
    services: Services
    catalogs: Catalogs
    announcements: Announcements
    usage: Usage
    machine: Machine


def build(
    *,
    database: Database,
    clock: Clock,
    events: Events,
    identity: Identity,
    door: Door,
    oversight: Oversight,
    catalog: Catalog,
    buckets: Buckets,
    supervised: Supervised,
) -> Administration:
    """Administration over these rooms."""
    return Administration(
        people=People(identity=identity, door=door, oversight=oversight),
        projects=Projects(identity=identity, oversight=oversight),
        services=Services(identity=identity, oversight=oversight),
        catalogs=Catalogs(catalog=catalog),
        announcements=Announcements(database=database, clock=clock, events=events),
        usage=Usage(database=database, clock=clock, buckets=buckets),
        machine=Machine(supervised),
    )
