"""A whole lab but for its machine: every capability real, over real SQLite, on the engine in memory, behind a door of a few lines."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlencode

import httpx
import uvicorn
from fastapi import FastAPI
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from etabli.door import models as door_models
from etabli.engines import contract
from etabli.engines.fake import FakeEngine
from etabli.identity import accounts, keys, models
from etabli.identity.settings import IdentitySettings
from etabli.kernel.settings import LabSettings
from etabli.mail.settings import MailSettings
from etabli.services import models as services
from etabli.web import app as web
from etabli.web import visitors
from etabli.web.rooms import Rooms
from tests.web import parts

PASSWORD = "une phrase assez longue"
SETTINGS = LabSettings(https=True, port=443)  # Clients other than browsers send our cookies over HTTPS alone.
ORIGIN = SETTINGS.origin
CSRF = re.compile(r'name="csrf" value="([0-9a-f]+)"')


@dataclass(frozen=True)
class Lab:
    """The rooms, the application over them, and short ways to fill them."""

    rooms: Rooms
    web: FastAPI
    app: ASGIApp  # The same, behind the door.
    engine: FakeEngine
    server: "Server | None" = None

    async def admin(self) -> models.User:
        """The first account, by the first link."""
        token = await self.rooms.identity.invitations.first_link()
        assert token is not None
        form = accounts.Form(name="Ada Lovelace", password=PASSWORD, email="ada@example.org")
        return await self.rooms.identity.invitations.join(token=token, form=form)

    async def person(self, name: str, *, by: models.User, language: str = "en") -> models.User:
        """One more account."""
        invited = await self.rooms.identity.invitations.invite(by=by, lifetime=keys.LONGEST_TOKEN)
        form = accounts.Form(name=name, password=PASSWORD, language=language)
        return await self.rooms.identity.invitations.join(token=invited.token, form=form)

    async def token(self, user: models.User) -> str:
        """A session's token for that person."""
        opened = await self.rooms.identity.sessions.open(user_id=user.id, address="127.0.0.1")
        return opened.token

    async def launched(self, user: models.User, name: str = "Prices", **values: object) -> services.Service:
        """A service of that person's own project, as far as it comes by itself."""
        project = await self.rooms.identity.projects.personal(user_id=user.id)
        return await self.launched_in(user, project.id, name, **values)

    async def launched_in(self, user: models.User, project_id: str, name: str, **values: object) -> services.Service:
        """The same, of a project that they are in."""
        launch = services.Launch(project_id=project_id, catalog="ide", chart="notebook", name=name, values=values)
        return await self.rooms.services.launch(user_id=user.id, launch=launch)

    async def until(self, user: models.User, service_id: str, *states: services.State) -> services.Service:
        """That service, once it is in one of the states."""
        async with asyncio.timeout(20):
            async for _ in polled():
                service = await self.rooms.services.get(user_id=user.id, service_id=service_id)
                if service.state in states:
                    return service
        raise AssertionError("never")

    def browser(self, token: str | None = None) -> httpx.AsyncClient:
        """A client that behaves as a browser does: it keeps cookies, and says that it comes from the lab's own pages."""
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app, raise_app_exceptions=False),
            base_url=self.rooms.lab.origin,
            headers={
                "Accept": "text/html",
                "Accept-Language": "en",
                "Sec-Fetch-Site": "same-origin",
                "Origin": self.rooms.lab.origin,
            },
        )
        if token is not None:
            client.headers["Cookie"] = f"{visitors.SESSION_COOKIE}={token}"
        return client


async def polled() -> AsyncIterator[None]:
    """A turn every few milliseconds, for what comes by itself."""
    while True:
        yield
        await asyncio.sleep(0.02)


def csrf(page: str) -> str:
    """The token of a page's forms."""
    found = CSRF.search(page)
    assert found is not None
    return found.group(1)


@asynccontextmanager
async def opened(
    folder: Path,
    *,
    settings: LabSettings = SETTINGS,
    people: IdentitySettings = parts.CHEAP,
    mail: MailSettings = MailSettings(),  # noqa: B008 - It is frozen.
) -> AsyncIterator[Lab]:
    """A lab in a folder, its background work running."""
    engine = FakeEngine(total=contract.Resources(cpu=8, memory_bytes=16 << 30))
    async with parts.rooms(folder, lab=settings, engine=engine, people=people, mail=mail) as rooms:
        app = web.create(rooms)
        yield Lab(rooms=rooms, web=app, app=Door(app, lab=settings), engine=engine)


@asynccontextmanager
async def served(folder: Path, *, people: IdentitySettings = parts.CHEAP) -> AsyncIterator[Lab]:
    """The same, on a port of this machine, for browsers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    async with opened(folder, settings=LabSettings(port=port), people=people) as lab:
        server = Server(lab.app, port=port)
        await server.start()
        try:
            yield replace(lab, server=server)
        finally:
            await server.stop()


class Server:
    """The application on a port, that can go away and come back as a portal does that is restarted."""

    def __init__(self, app: ASGIApp, *, port: int) -> None:
        self._app = app
        self._port = port
        self._running: tuple[uvicorn.Server, asyncio.Task[None]] | None = None

    async def start(self) -> None:
        """Answer."""
        config = uvicorn.Config(
            self._app, port=self._port, lifespan="off", log_level="critical", timeout_graceful_shutdown=1
        )
        server = uvicorn.Server(config)
        self._running = server, asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event to wait for.
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        """End, streams included. Not running is success."""
        if self._running is not None:
            server, serving = self._running
            server.should_exit = True
            await serving
            self._running = None


class Door:
    """What Caddy and the authoriser do before the portal, in short: their headers; services greet who has their cookie."""

    def __init__(self, app: ASGIApp, *, lab: LabSettings) -> None:
        self._app = app
        self._lab = lab

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = MutableHeaders(scope=scope)
        for name in [name for name in headers if name.startswith("x-etabli-")]:
            del headers[name]
        headers["X-Etabli-Door"] = "1"
        headers["X-Forwarded-For"] = "127.0.0.1"
        host = headers.get("host", "")
        is_service = host.partition(":")[0].endswith("." + self._lab.services_domain)
        if is_service and not scope["path"].startswith("/.etabli/"):
            await self._service(scope, receive, send, host=host, cookies=Headers(scope=scope).get("cookie", ""))
            return
        await self._app(scope, receive, send)

    async def _service(self, scope: Scope, receive: Receive, send: Send, *, host: str, cookies: str) -> None:
        if door_models.SERVICE_COOKIE in cookies:
            await HTMLResponse(f"<h1>the service at {scope['path']}</h1>")(scope, receive, send)
            return
        if Headers(scope=scope).get("sec-fetch-mode", "navigate") != "navigate":
            # As the authoriser does: a page's icon is not led through signing in.
            await Response(status_code=404)(scope, receive, send)
            return
        query = urlencode({"host": host, "to": scope["path"]})
        await RedirectResponse(f"{self._lab.origin}/open?{query}", status_code=303)(scope, receive, send)


def operator(lab: Lab, slug: str) -> Mapping[str, str]:
    """The headers of the operator's command line."""
    return {"X-Etabli-Operator": slug, "Accept": "application/json"}
