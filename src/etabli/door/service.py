"""The front door's use cases: which hosts are whose, and how a person signed in to the portal is let in to one of them.

Promises: a host belongs to one service and is never given to another; a code is good once, on the host it was made for, for half a
minute; what is stored of codes and cookies opens nothing. Refused: an upstream that is not a plain name, a path that leads elsewhere.
"""

import re
import secrets
from collections.abc import Sequence
from urllib.parse import urlencode

from sqlalchemy import delete, select

from etabli.door import models, store
from etabli.engines import contract
from etabli.identity.store import SessionRow
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.database import Database
from etabli.kernel.settings import LabSettings

UPSTREAM = re.compile(r"[a-z0-9][a-z0-9-]{0,99}")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Door:
    """Hosts, codes and the cookies of service origins."""

    def __init__(self, *, database: Database, clock: Clock, lab: LabSettings) -> None:
        self._database = database
        self._clock = clock
        self._lab = lab

    async def publish(self, *, service_id: str, project_id: str, routes: Sequence[contract.Route], ready: bool) -> None:
        """These hosts are this service's, and answer or not; hosts it had and has no more are forgotten.

        Invalid for a host that is not one label under the services' domain, or an upstream that is not a name; Conflict for a host
        of another service.
        """
        rows = [self._row(service_id, project_id, route, ready) for route in routes]
        async with self._database.session() as session:
            for row in rows:
                taken = select(store.RouteRow.service_id).where(
                    store.RouteRow.host == row.host, store.RouteRow.service_id != service_id
                )
                if (await session.execute(taken)).first():
                    raise errors.Conflict(
                        f"`{row.host}` is another service's", hint="every service has a host of its own"
                    )
            await session.execute(delete(store.RouteRow).where(store.RouteRow.service_id == service_id))
            session.add_all(rows)

    async def withdraw(self, *, service_id: str) -> None:
        """None of its hosts is known any more; nobody stays signed in to them. Unknown already is success."""
        hosts = select(store.RouteRow.host).where(store.RouteRow.service_id == service_id)
        async with self._database.session() as session:
            await session.execute(delete(store.DoorSessionRow).where(store.DoorSessionRow.host.in_(hosts)))
            await session.execute(delete(store.CodeRow).where(store.CodeRow.host.in_(hosts)))
            await session.execute(delete(store.RouteRow).where(store.RouteRow.service_id == service_id))

    async def enter(self, *, user_id: str, session_id: str, host: str, to: str) -> str:
        """A URL on that host that signs this person in to it once, then goes to the local path `to`.

        The caller has made sure that the person may open the service; the authoriser asks again on every request.
        Invalid for a `to` that leads elsewhere, NotFound for an unknown host.
        """
        path = models.local_path(to)
        code = await self.mint_code(session_id=session_id, user_id=user_id, host=host)
        return f"{self._lab.origin_of(_bare(host))}{models.ENTER_PATH}?{urlencode({'code': code, 'to': path})}"

    async def mint_code(self, *, session_id: str, user_id: str, host: str) -> str:
        """A code for one redirect to `host`. NotFound for a host that no service has."""
        host = _bare(host)
        if await self.service_of(host=host) is None:
            raise errors.NotFound("there is no such service")
        code = secrets.token_urlsafe(32)
        expires = self._clock.now() + models.CODE_LIFETIME
        row = store.CodeRow(
            code_hash=models.digest(code), host=host, session_id=session_id, user_id=user_id, expires_at=expires
        )
        async with self._database.session() as session:
            session.add(row)
        return code

    async def redeem(self, *, code: str, host: str) -> str:
        """Spend a code on its host: the token for the cookie (`models.set_cookie`).

        Forbidden for a code that is unknown, spent, too old or another host's: all alike, and presenting it spends it.
        """
        now = self._clock.now()
        row = store.CodeRow
        spend = (
            delete(row)
            .where(row.code_hash == models.digest(code))
            .returning(row.host, row.session_id, row.user_id, row.expires_at)
        )
        token = secrets.token_urlsafe(32)
        async with self._database.session() as session:
            # One statement: of two that present the same code at once, one gets the row.
            found = (await session.execute(spend)).first()
            good = found is not None and found.host == _bare(host) and found.expires_at > now
            if found is not None and good:
                session.add(
                    store.DoorSessionRow(
                        token_hash=models.digest(token),
                        host=found.host,
                        session_id=found.session_id,
                        user_id=found.user_id,
                        expires_at=now + models.SESSION_LIFETIME,
                    )
                )
        if not good:
            raise errors.Forbidden(
                "this way in was used already or is too old", hint="open the service again from your services"
            )
        return token

    async def service_of(self, *, host: str) -> str | None:
        """The id of the service that has this host."""
        query = select(store.RouteRow.service_id).where(store.RouteRow.host == _bare(host)).limit(1)
        async with self._database.session() as session:
            return (await session.execute(query)).scalar_one_or_none()

    async def known_host(self, host: str) -> bool:
        """Whether a service has this host."""
        return await self.service_of(host=host) is not None

    async def end_session(self, *, session_id: str) -> None:
        """Forget every cookie that a session of the portal bought; the authoriser refuses them already once it has ended."""
        async with self._database.session() as session:
            await session.execute(delete(store.DoorSessionRow).where(store.DoorSessionRow.session_id == session_id))
            await session.execute(delete(store.CodeRow).where(store.CodeRow.session_id == session_id))

    async def prune(self) -> None:
        """Remove what has expired, and what a session bought that has ended."""
        now = self._clock.now()
        ended = select(SessionRow.id).where(SessionRow.ended_at.is_not(None))
        async with self._database.session() as session:
            await session.execute(delete(store.CodeRow).where(store.CodeRow.expires_at <= now))
            await session.execute(delete(store.DoorSessionRow).where(store.DoorSessionRow.expires_at <= now))
            await session.execute(delete(store.DoorSessionRow).where(store.DoorSessionRow.session_id.in_(ended)))

    def _row(self, service_id: str, project_id: str, route: contract.Route, ready: bool) -> store.RouteRow:
        host = _bare(route.host)
        label, _, domain = host.partition(".")
        if domain != self._lab.services_domain or not LABEL.fullmatch(label):
            raise errors.Invalid(
                f"`{host[:80]}` is not a host of this lab's services",
                fields={"host": f"one label under `{self._lab.services_domain}`"},
            )
        if not UPSTREAM.fullmatch(route.upstream):
            raise errors.Invalid(
                "an upstream is named by letters, digits and dashes", fields={"upstream": f"`{route.upstream[:80]}`"}
            )
        path = route.path if route.path.endswith("/") else f"{route.path}/"
        return store.RouteRow(
            host=host,
            path=models.local_path(path),
            service_id=service_id,
            project_id=project_id,
            upstream=route.upstream,
            ready=ready,
        )


def _bare(host: str) -> str:
    """The host's name without its port, in lower case."""
    return host.partition(":")[0].lower()
