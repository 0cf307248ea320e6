"""Identity as `main` builds it: the use cases, by noun, over one database, one clock and one folder of keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from etabli.audit.service import Audit
from etabli.identity.access_tokens import AccessTokens
from etabli.identity.clients import Clients
from etabli.identity.codes import Codes
from etabli.identity.data_classes import DataClasses
from etabli.identity.departures import Departures
from etabli.identity.devices import Devices
from etabli.identity.directory import Directory
from etabli.identity.endings import Endings
from etabli.identity.facts import FirstSteps
from etabli.identity.invitations import Invitations
from etabli.identity.issuer import Issuer
from etabli.identity.keys import KeyRing
from etabli.identity.limits import Limits
from etabli.identity.outside.service import Outside
from etabli.identity.passkeys import Passkeys
from etabli.identity.passwords import Passwords
from etabli.identity.people import People
from etabli.identity.profiles import Profiles
from etabli.identity.projects import Projects
from etabli.identity.provider import Provider
from etabli.identity.requests import Requests
from etabli.identity.resets import Resets
from etabli.identity.sealing import Seal
from etabli.identity.service_accounts import ServiceAccounts
from etabli.identity.service_tokens import ServiceTokens
from etabli.identity.sessions import Sessions
from etabli.identity.settings import IdentitySettings, SignInPage
from etabli.identity.standing import Standings
from etabli.identity.terms import Terms
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database
from etabli.kernel.settings import Layout

BRANDING = "branding"  # In the data folder: what an institution writes of its lab.


@dataclass(frozen=True)
class Identity:
    """Everything about who people are. `open` once, before anything else; `sweep` every minute."""

    people: People
    profiles: Profiles
    first_steps: FirstSteps
    endings: Endings
    sessions: Sessions
    invitations: Invitations
    requests: Requests
    projects: Projects
    departures: Departures
    service_tokens: ServiceTokens
    access_tokens: AccessTokens
    devices: Devices
    service_accounts: ServiceAccounts
    keys: KeyRing
    issuer: Issuer
    clients: Clients
    provider: Provider
    outside: Outside
    limits: Limits
    standings: Standings
    seal: Seal
    passkeys: Passkeys
    directory: Directory
    sign_in_page: SignInPage
    codes: Codes
    resets: Resets
    terms: Terms

    async def open(self) -> None:
        """Read the lab's keys, or make the first; publish the public halves."""
        await self.keys.open()
        await self.seal.open()
        await self.terms.open()

    async def sweep(self) -> None:
        """Write down what expired, forget what is no longer needed, rotate keys. Repeating it is safe."""
        await self.sessions.sweep()
        await self.access_tokens.sweep()
        await self.devices.sweep()
        await self.invitations.sweep()
        await self.requests.sweep()
        await self.provider.sweep()
        await self.outside.sweep()
        await self.limits.forget()
        await self.passkeys.sweep()
        await self.codes.sweep()
        await self.terms.refresh()
        await self.keys.tend()

    async def close(self) -> None:
        """Close every connection to outside providers."""
        await self.outside.close()


def build(
    *,
    database: Database,
    clock: Clock,
    layout: Layout,
    origin: str,
    settings: IdentitySettings,
    lab: str = "Etabli",
    environ: Mapping[str, str] = MappingProxyType({}),
) -> Identity:
    """Identity over these parts. `origin` is the portal's: `iss` in every token; `lab` is what people's devices call the lab.

    `environ` holds the secrets that settings name by a variable. Does nothing yet: `open` comes next.
    """
    passwords = Passwords(settings)
    limits = Limits(database=database, clock=clock, settings=settings)
    ring = KeyRing(folder=layout.keys, clock=clock, period=settings.key_period)
    issuer = Issuer(database=database, clock=clock, ring=ring, origin=origin)
    invitations = Invitations(database=database, clock=clock, passwords=passwords, keys=layout.keys)
    clients = Clients(database=database, clock=clock)
    seal = Seal(folder=layout.keys, clock=clock)
    sessions = Sessions(
        database=database,
        clock=clock,
        settings=settings,
        passwords=passwords,
        limiter=limits,
        audit=Audit(database=database, clock=clock),
    )
    return Identity(
        people=People(database=database, clock=clock, passwords=passwords, limiter=limits),
        profiles=Profiles(database=database),
        first_steps=FirstSteps(database=database),
        endings=Endings(database=database, clock=clock),
        sessions=sessions,
        projects=Projects(
            database=database,
            clock=clock,
            classes=DataClasses([entry.read() for entry in settings.data_classes]),
        ),
        invitations=invitations,
        requests=Requests(database=database, clock=clock, settings=settings, invitations=invitations, limiter=limits),
        departures=Departures(database=database),
        service_tokens=ServiceTokens(database=database, clock=clock),
        access_tokens=AccessTokens(database=database, clock=clock, settings=settings, limiter=limits),
        service_accounts=ServiceAccounts(database=database, clock=clock, settings=settings),
        devices=Devices(database=database, clock=clock, settings=settings, limiter=limits, origin=origin),
        keys=ring,
        issuer=issuer,
        clients=clients,
        provider=Provider(database=database, clock=clock, tokens=issuer, registry=clients, ring=ring),
        outside=Outside(
            database=database, clock=clock, limiter=limits, settings=settings, origin=origin, environ=environ
        ),
        limits=limits,
        standings=Standings(database=database, clock=clock),
        seal=seal,
        passkeys=Passkeys(database=database, clock=clock, seal=seal, sessions=sessions, origin=origin, lab=lab),
        directory=Directory(database=database, clock=clock),
        sign_in_page=settings.sign_in_page,
        codes=Codes(
            database=database,
            clock=clock,
            seal=seal,
            sessions=sessions,
            settings=settings,
            limiter=limits,
            lab=lab,
        ),
        resets=Resets(database=database, clock=clock, passwords=passwords),
        terms=Terms(database=database, clock=clock, folder=layout.data / BRANDING),
    )
