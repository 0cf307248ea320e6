"""What the web needs of the rooms below; `main` builds it once and gives it to `app.create`."""

from dataclasses import dataclass

from etabli.admin.service import Administration
from etabli.audit.ports import Shelf
from etabli.audit.service import Audit
from etabli.backup.standing import Notebook
from etabli.catalog.service import Catalog
from etabli.door.service import Door
from etabli.identity.service import Identity
from etabli.kernel.clock import Clock
from etabli.kernel.events import Events
from etabli.kernel.settings import LabSettings
from etabli.leaving.service import Leaving
from etabli.mail.service import Mail
from etabli.services.service import Services
from etabli.web.branding import Branding
from etabli.web.guides import Guides


@dataclass(frozen=True)
class Rooms:
    """Every capability that pages and the API call."""

    identity: Identity
    catalog: Catalog
    services: Services
    door: Door
    mail: Mail
    events: Events
    clock: Clock
    lab: LabSettings
    branding: Branding
    guides: Guides
    leaving: Leaving
    audit: Audit
    admin: Administration
    s3_region: str  # What tools sign for.
    shelf: Shelf  # The lab's own bucket.
    backups: Notebook
