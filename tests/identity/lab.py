"""One identity and short ways to fill it, for the tests of this room."""

from dataclasses import dataclass, field

from etabli.identity import accounts, keys, models, service
from etabli.identity.settings import IdentitySettings
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database
from etabli.kernel.settings import Layout

ORIGIN = "http://etabli.localhost:8000"
PASSWORD = "une phrase assez longue"
CHEAP = IdentitySettings(hash_memory_kib=8192, hash_passes=1, hash_lanes=1)


@dataclass(frozen=True)
class Lab:
    """One identity, and short ways to fill it."""

    identity: service.Identity
    clock: ManualClock
    database: Database
    layout: Layout
    settings: IdentitySettings = field(default=CHEAP)

    async def restarted(self, *, origin: str = ORIGIN, settings: IdentitySettings | None = None) -> service.Identity:
        """The same lab in a new process: built again over what is stored."""
        identity = service.build(
            database=self.database,
            clock=self.clock,
            layout=self.layout,
            origin=origin,
            settings=settings or self.settings,
        )
        await identity.open()
        return identity

    async def admin(self) -> models.User:
        """The first account, by the first link."""
        token = await self.identity.invitations.first_link()
        assert token is not None
        form = accounts.Form(name="Ada Lovelace", password=PASSWORD, email="ada@example.org")
        return await self.identity.invitations.join(token=token, form=form)

    async def person(self, name: str, *, by: models.User, email: str | None = None) -> models.User:
        """One more account."""
        invited = await self.identity.invitations.invite(by=by, lifetime=keys.LONGEST_TOKEN)
        form = accounts.Form(name=name, password=PASSWORD, email=email)
        return await self.identity.invitations.join(token=invited.token, form=form)
