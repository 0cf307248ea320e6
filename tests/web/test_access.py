"""The access matrix: every route that the router knows, asked by everybody, answers each as its table says."""

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any

import pytest
from starlette.routing import Route as RouterRoute

from etabli.admin.announcements import Draft
from etabli.identity.requests import Asking
from etabli.identity.token_models import Scope
from etabli.kernel import ids
from tests.identity.authenticator import Authenticator
from tests.web import access
from tests.web.access import account, admin, backups, entry, factors, projects, services
from tests.web.access import lab as lab_routes
from tests.web.access.rules import Outcome, Route, Who
from tests.web.access.world import World, launched, made
from tests.web.lab import Lab

SECTIONS = (lab_routes, entry, services, account, factors, projects, admin, backups)
SAFE = {"GET", "HEAD"}


async def _session(world: World) -> str:
    member = world.people[Who.MEMBER]
    return (await world.lab.rooms.identity.sessions.open(user_id=member.id, address="127.0.0.1")).session.id


async def _token(world: World) -> str:
    return (await world.token_of_member()).token.id


async def _passkey(world: World) -> str:
    passkeys, device = world.lab.rooms.identity.passkeys, Authenticator(origin=world.lab.rooms.lab.origin)
    options = await passkeys.offer(user=(member := world.people[Who.MEMBER]), visit="x")
    return (await passkeys.add(user=member, visit="x", credential=device.create(options), name="x")).id


async def _slug(world: World) -> str:
    return world.project.slug


async def _viewer(world: World) -> str:
    return world.people[Who.VIEWER].id


async def _viewers_name(world: World) -> str:
    return world.people[Who.VIEWER].slug


async def _invitation(world: World) -> str:
    invited = await world.lab.rooms.identity.invitations.invite(
        by=world.people[Who.OWNER], lifetime=timedelta(days=1), project_id=world.project.id
    )
    return invited.invitation.id


async def _request(world: World) -> str:
    requests = world.lab.rooms.identity.requests
    await requests.note(asking=Asking(name="Zoe", email=f"{ids.new_id()}@example.org"))
    return (await requests.waiting())[-1].id


async def _announcement(world: World) -> str:
    draft = Draft(texts={"en": "x"})
    return (await world.lab.rooms.admin.announcements.publish(by=world.people[Who.ADMIN], draft=draft)).id


async def _newcomer(world: World) -> str:
    """Somebody who is none of those who ask: what is done to them changes no answer."""
    return (await world.lab.person("Newcomer", by=world.people[Who.ADMIN])).slug


# What a path or a form may name: each is made when a world is first asked for it.
MAKERS: Mapping[str, Callable[[World], Awaitable[str]]] = {
    "service_id": launched,
    "session_id": _session,
    "token_id": _token,
    "account_id": World.account,
    "account_token_id": World.account_token,
    "passkey_id": _passkey,
    "slug": _slug,
    "request_id": _request,
    "who": _newcomer,
    "announcement_id": _announcement,
    "project": _slug,
    "user_id": _viewer,
    "person": _viewers_name,
    "invitation_id": _invitation,
}


def table() -> dict[str, Route]:
    """Every section's lines; none twice."""
    lines: dict[str, Route] = {}
    for found in pkgutil.iter_modules(access.__path__):
        section: dict[str, Route] = getattr(importlib.import_module(f"{access.__name__}.{found.name}"), "ROUTES", {})
        assert not lines.keys() & section.keys()
        lines |= section
    return lines


def router(lab: Lab) -> set[str]:
    """Every route of the application, its own and those of the routers that it includes, as `METHOD path`."""
    found: set[str] = set()
    for route in lab.web.routes:
        inner: list[tuple[str, Any]] = [("", route)]
        if not isinstance(route, RouterRoute):
            context = getattr(route, "include_context")  # noqa: B009 - FastAPI gives an included router no public type.
            inner = [(context.prefix, one) for one in context.included_router.routes]
        found |= {f"{method} {prefix}{one.path}" for prefix, one in inner for method in one.methods - {"HEAD"}}
    return found


async def test_every_route_is_in_the_table_and_no_other(lab: Lab) -> None:
    known, listed = router(lab), table().keys()
    missing = sorted(known - listed)
    assert not missing, f"routes that no section of tests/web/access lists: {', '.join(missing)}"

    gone = sorted(listed - known)
    assert not gone, f"lines of tests/web/access whose route is gone: {', '.join(gone)}"
    assert len(known) > 50


@pytest.mark.timeout(400)  # Some thousand requests, one after the other.
async def test_each_is_answered_as_the_table_says(lab: Lab) -> None:
    world = await made(lab, MAKERS)
    wrong: list[str] = []
    for name, route in sorted(table().items()):
        method, _, path = name.partition(" ")
        for who, expected in sorted(_expected(route, path).items(), key=lambda pair: pair[1] is Outcome.IN):
            # What is let in may change what the next one would find.
            here = await world.fresh() if method not in SAFE and expected is Outcome.IN else world
            answer = await here.ask(who, method, path, route)
            if answer.outcome != expected:
                wrong.append(f"{name}: {who.name} is answered {answer.status} {answer.location}, not {expected.name}")
    assert not wrong, "\n".join(wrong)


def _expected(route: Route, path: str) -> dict[Who, Outcome]:
    everybody = [who for who in Who if who is not Who.TOKEN_WITHOUT or set(route.scopes) != set(Scope)]
    return {who: route.outcome(who, is_api=path.startswith("/api/")) for who in everybody}
