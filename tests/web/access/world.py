"""A lab with one of each: the people of the matrix, a project they share, a service in it; and how one of them asks."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.types import ASGIApp, Message

from etabli.identity import models
from etabli.identity.token_models import Issued, Scope
from etabli.services import models as services
from etabli.web import visitors
from tests.web.access.rules import PROGRAMS, Outcome, Route, Who
from tests.web.lab import Lab

PARAMETER = re.compile(r"\{([^}:]+)(?::path)?\}")
ROLES = {Who.VIEWER: models.Role.VIEWER, Who.MEMBER: models.Role.MEMBER, Who.OWNER: models.Role.OWNER}


@dataclass(frozen=True)
class Answer:
    """What matters of an answer."""

    status: int
    location: str

    @property
    def outcome(self) -> Outcome | str:
        """What it comes to; the status where it comes to nothing that a table may say."""
        if self.status == 401 or (self.status == 303 and urlsplit(self.location).path == "/sign-in"):
            return Outcome.SIGN_IN
        if self.status in (403, 404):
            return Outcome(str(self.status))
        return Outcome.IN if self.status < 500 else str(self.status)


@dataclass
class World:
    """The lab and its people. Each name in `makers` is a thing that a path or a form may name, made when it is asked for."""

    lab: Lab
    people: Mapping[Who, models.User]
    project: models.Project
    makers: Mapping[str, Callable[["World"], Awaitable[str]]]
    kept: dict[str, str] = field(default_factory=dict)

    async def fresh(self) -> "World":
        """The same people, in a project that nothing was done to yet."""
        return World(self.lab, self.people, await _project(self.lab, self.people), self.makers)

    async def thing(self, name: str) -> str:
        """The id, the slug… of one such thing."""
        if name not in self.kept:
            self.kept[name] = await self.makers[name](self)
        return self.kept[name]

    async def token_of_member(self, *scopes: Scope) -> Issued:
        """A token that the member made."""
        member = self.people[Who.MEMBER]
        return await self.lab.rooms.identity.access_tokens.issue(
            by=member, name="x", scopes=scopes or (Scope.READ,), days=1
        )

    async def ask(self, who: Who, method: str, path: str, route: Route) -> Answer:
        """The answer to one of them, who asks for things of this world."""
        filled = path
        for found in PARAMETER.finditer(path):
            name = found.group(1)
            filled = filled.replace(found.group(0), await self._filled(route.path.get(name, f"{{{name}}}")))
        query = {name: await self._filled(text) for name, text in route.query.items()}
        headers, csrf = await self._identified(who, route, path.startswith("/api/"))
        body = b""
        if path.startswith("/api/"):
            if method != "GET":
                body = json.dumps(await self._filled_json(route.json)).encode() if route.json is not None else b""
                headers |= {"content-type": "application/json", "x-csrf-token": csrf}
        elif method != "GET":
            form = {name: await self._filled(text) for name, text in route.form.items()}
            body = urlencode({"csrf": csrf, **form}).encode()
            headers |= {"content-type": "application/x-www-form-urlencoded"}
        return await _ask(self.lab.app, method, filled, query=urlencode(query), headers=headers, body=body)

    async def _identified(self, who: Who, route: Route, is_api: bool) -> tuple[dict[str, str], str]:
        """The headers by which `who` is known, and the token of their forms."""
        origin = self.lab.rooms.lab.origin
        headers = {"host": urlsplit(origin).netloc, "accept": "application/json" if is_api else "text/html"}
        if who in PROGRAMS:
            headers["authorization"] = f"Bearer {(await self._program(who, route)).secret}"
        if who in PROGRAMS and is_api:
            return headers, ""
        headers |= {"origin": origin, "sec-fetch-site": "same-origin"}
        if who is Who.ANONYMOUS or who in PROGRAMS:
            return headers | {"cookie": f"{visitors.VISIT_COOKIE}=visit"}, visitors.csrf_token("visit")
        token = await self.lab.token(self.people[who])
        return headers | {"cookie": f"{visitors.SESSION_COOKIE}={token}"}, visitors.csrf_token(token)

    async def _program(self, who: Who, route: Route) -> Issued:
        if who is Who.SERVICE_ACCOUNT:
            return await self._account_token()
        owner = self.people[route.owner]
        await self.lab.rooms.identity.access_tokens.end_all(user_id=owner.id)
        others = [one for one in Scope if one not in route.scopes and (one is not Scope.ADMIN or owner.is_admin)]
        scopes = route.scopes[:1] if route.scopes and who is Who.TOKEN else others
        return await self.lab.rooms.identity.access_tokens.issue(by=owner, name="x", scopes=scopes, days=1)

    async def account(self) -> str:
        """The id of the project's service account."""
        if "account" not in self.kept:
            made = await self.lab.rooms.identity.service_accounts.create(
                by=self.people[Who.OWNER], project_id=self.project.id, name="nightly", role=models.Role.MEMBER
            )
            self.kept["account"] = made.id
        return self.kept["account"]

    async def account_token(self) -> str:
        """The id of a token of that account."""
        return (await self._account_token()).token.id

    async def _account_token(self) -> Issued:
        accounts, owner, account_id = (
            self.lab.rooms.identity.service_accounts,
            self.people[Who.OWNER],
            await self.account(),
        )
        named: dict[str, Any] = {"by": owner, "project_id": self.project.id, "account_id": account_id}
        for token in await accounts.tokens(**named):
            await accounts.end_token(**named, token_id=token.id)
        return await accounts.issue(**named, name="x", days=1)

    async def _filled(self, text: str) -> str:
        for found in PARAMETER.finditer(text):
            text = text.replace(found.group(0), await self.thing(found.group(1)))
        return text

    async def _filled_json(self, value: object) -> object:
        if isinstance(value, Mapping):
            return {key: await self._filled_json(inner) for key, inner in value.items()}
        return await self._filled(value) if isinstance(value, str) else value


async def made(lab: Lab, makers: Mapping[str, Callable[[World], Awaitable[str]]]) -> World:
    """The lab with its people in it."""
    first = await lab.admin()
    people = {Who.ADMIN: first}
    for who in (Who.STRANGER, Who.VIEWER, Who.MEMBER, Who.OWNER):
        people[who] = await lab.person(who.name.title(), by=first)
    return World(lab, people, await _project(lab, people), makers)


async def _project(lab: Lab, people: Mapping[Who, models.User]) -> models.Project:
    projects, owner = lab.rooms.identity.projects, people[Who.OWNER]
    project = await projects.create(by=owner, name="Prices")
    for who, role in ROLES.items():
        if who is not Who.OWNER:
            await projects.set_member(by=owner, project_id=project.id, slug=people[who].slug, role=role)
    return project


async def launched(world: World) -> str:
    """The id of a service of the project, launched by the member."""
    launch = services.Launch(project_id=world.project.id, catalog="ide", chart="notebook", name="Prices")
    service = await world.lab.rooms.services.launch(user_id=world.people[Who.MEMBER].id, launch=launch)
    return service.id


async def _ask(app: ASGIApp, method: str, path: str, *, query: str, headers: Mapping[str, str], body: bytes) -> Answer:
    """The status of an answer; of a stream as soon as it has begun."""
    begun: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if waiting:
            return waiting.pop()
        await asyncio.Event().wait()  # The client stays.
        raise AssertionError

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start" and not begun.done():
            begun.set_result(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "server": ("127.0.0.1", 443),
        "client": ("127.0.0.1", 1),
    }
    answering = asyncio.ensure_future(app(scope, receive, send))
    either: list[asyncio.Future[Any]] = [answering, begun]
    done, _ = await asyncio.wait(either, timeout=60, return_when=asyncio.FIRST_COMPLETED)
    assert done, f"{method} {path} does not answer"
    if not begun.done():
        await answering  # It failed before it began: that error.
    start = begun.result()
    found = {name.decode().lower(): value.decode() for name, value in start["headers"]}
    if found.get("content-type", "").startswith(("text/event-stream", "text/plain")):
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)
    else:
        await asyncio.wait_for(answering, 60)
    return Answer(status=start["status"], location=found.get("location", ""))
