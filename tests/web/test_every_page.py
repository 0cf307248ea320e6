"""Every page that the router knows, in Chromium: no fault that axe sees, nothing wider than a phone, no script that complains."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, Page, async_playwright

from etabli.admin.announcements import Draft, Level
from etabli.audit import models as audit
from etabli.engines import contract
from etabli.identity import models, people
from etabli.identity.token_models import Scope
from etabli.services import metering
from etabli.services import models as services
from tests.web import factors
from tests.web.access.rules import Outcome, Who
from tests.web.access.world import PARAMETER, World, made
from tests.web.lab import PASSWORD, Lab, served
from tests.web.test_access import MAKERS, router, table
from tests.web.test_browser import AXE, CHROMIUM, LAPTOP

pytestmark = pytest.mark.browser

NARROW = {"width": 360, "height": 780}
DATA, ICON = "a file that a program reads", "a picture or a style that pages show"
AWAY, STREAM = "it leads on to another page", "a stream"
NO_PAGE = {  # What is asked for by GET and is no page, and why.
    "/.etabli/enter": AWAY,
    "/.well-known/openid-configuration": DATA,
    "/account/data/export.zip": DATA,
    "/account/usage.csv": DATA,
    "/admin": AWAY,
    "/admin/branding/logo": ICON,
    "/admin/branding/style.css": ICON,
    "/admin/usage.csv": DATA,
    "/branding/{digest}/accent.css": ICON,
    "/branding/{digest}/logo": ICON,
    "/healthz": DATA,
    "/help": AWAY,
    "/live": STREAM,
    "/metrics": DATA,
    "/oidc/authorize": AWAY,
    "/oidc/jwks": DATA,
    "/oidc/userinfo": DATA,
    "/open": AWAY,
    "/pictures/{digest}": ICON,
    "/search/hits": "a part of the page of search",
    "/services/{service_id}/logs": DATA,
    "/services/{service_id}/logs/stream": STREAM,
    "/services/{service_id}/open": AWAY,
    "/session": DATA,
    "/sign-in/with/{provider_id}": AWAY,
    "/sign-in/with/{provider_id}/back": AWAY,
    "/sign-in/with/{provider_id}/new": "it needs a provider: test_keycloak looks at it",
    "/static/{path:path}": ICON,
}
QUERY = {"/reset": "token={reset_token}", "/welcome": "token={invitation_token}"}
FOR_NOBODY = {"/sign-in", "/sign-in/second", "/reset", "/ask"}  # Who is signed in is led on, or sees the same.
ALSO = (  # Other states of pages, seen by who is signed in.
    "/nope",
    "/admin/audit?since=2026-01-01&target=nobody",
    "/admin/branding?accent=%23ffff00",
    "/admin/settings?changed=1",
    "/admin/usage?by=person&days=7",
    "/catalog?search=zzz",
    "/design?density=compact",
    "/help/settings",
    "/launcher/ide/notebook?extraEnvVars[0].name=%C2%ABFOO%C2%BB&persistence.enabled=true&a.b=1&autoLaunch=true",
    "/projects/open",  # Archived.
    "/projects/sensitive",
    "/search?q=a",
    "/services/{starting_id}",
)
MAIN = {  # Looked at in each language and theme.
    "/",
    "/account",
    "/account/security",
    "/admin/people",
    "/admin/usage",
    "/catalog",
    "/design",
    "/help/{guide}",
    "/launcher/{catalog}/{chart}",
    "/projects/{slug}",
    "/services",
    "/services/{service_id}",
}


@dataclass(frozen=True)
class Look:
    """How somebody has their browser."""

    code: str
    theme: str
    viewport: Mapping[str, int]


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with served(tmp_path) as lab:
        yield lab


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


def pages(lab: Lab) -> set[str]:
    """The paths of the router that are pages."""
    asked = {path for method, _, path in (name.partition(" ") for name in router(lab)) if method == "GET"}
    asked = {path for path in asked if not path.startswith("/api/")}
    gone = sorted(NO_PAGE.keys() - asked)
    assert not gone, f"lines of NO_PAGE whose route is gone: {', '.join(gone)}"
    return asked - NO_PAGE.keys()


@pytest.mark.timeout(400)  # Some hundred pages, each read by axe.
@pytest.mark.parametrize("look", [Look("en", "light", LAPTOP), Look("fr", "dark", NARROW)], ids=str)
async def test_no_page_has_a_fault_that_axe_sees_or_is_wider_than_its_screen(
    lab: Lab, chromium: Browser, look: Look
) -> None:
    world = await filled(lab, look.code)
    found: list[str] = []
    async with browser(lab, chromium, look, found) as page:
        for path in sorted(pages(lab)):
            if table()[f"GET {path}"].policy[Who.ANONYMOUS] is Outcome.IN or path in QUERY | {"/terms": ""}:
                found += await faults(page, await address(world, path))
        await sign_in(lab, page, await secured(world))
        found += await faults(page, lab.rooms.lab.origin + "/sign-in/second")
    async with browser(lab, chromium, look, found) as page:
        await sign_in(lab, page, world.people[Who.ADMIN])
        for path in sorted(pages(lab) - FOR_NOBODY):
            found += await faults(page, await address(world, path))
        for path in ALSO:
            found += await faults(page, await address(world, path), status=404 if path == "/nope" else 200)
        found += await wide_with_menus_open(page, lab.rooms.lab.origin + "/projects/personal")
    assert found == [], "\n".join(found)


@pytest.mark.timeout(400)
@pytest.mark.parametrize("look", [Look("en", "dark", LAPTOP), Look("fr", "light", NARROW)], ids=str)
async def test_no_main_page_has_one_in_the_other_languages_and_themes(lab: Lab, chromium: Browser, look: Look) -> None:
    assert pages(lab) >= MAIN
    world = await filled(lab, look.code)
    found: list[str] = []
    async with browser(lab, chromium, look, found) as page:
        for path in ("/", "/sign-in"):
            found += await faults(page, lab.rooms.lab.origin + path)
        await sign_in(lab, page, world.people[Who.ADMIN])
        for path in sorted(MAIN):
            found += await faults(page, await address(world, path))
    assert found == [], "\n".join(found)


@asynccontextmanager
async def browser(lab: Lab, chromium: Browser, look: Look, complaints: list[str]) -> AsyncIterator[Page]:
    """A browser of somebody's own; whatever it logs as an error is a complaint."""
    context = await chromium.new_context(
        locale=look.code,
        color_scheme=look.theme,  # type: ignore[arg-type] # One of two words.
        viewport=dict(look.viewport),  # type: ignore[arg-type] # One of two sizes.
    )
    page = await context.new_page()
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda said: (
            complaints.append(f"{page.url}: {said.text}") if said.type == "error" and "404" not in said.text else None
        ),
    )
    yield page
    await context.close()


async def sign_in(lab: Lab, page: Page, user: models.User) -> None:
    """Through the page, as far as it leads."""
    await page.goto(f"{lab.rooms.lab.origin}/sign-in")
    await page.fill("#login", user.slug)
    await page.fill("#password", PASSWORD)
    await page.click("form.card button")
    await page.wait_for_url(lambda url: urlsplit(url).path != "/sign-in")


async def address(world: World, path: str) -> str:
    """Where that page is, of things of that world."""
    filled = path + (f"?{QUERY[path]}" if path in QUERY else "")
    given = table()[f"GET {path}"].path if f"GET {path}" in table() else {}
    for found in PARAMETER.finditer(filled):
        name = found.group(1)
        assert name in given.keys() | world.makers.keys() | world.kept.keys(), f"{path}: nothing makes {{{name}}}"
        filled = filled.replace(found.group(0), given.get(name) or await world.thing(name))
    return world.lab.rooms.lab.origin + filled


async def faults(page: Page, asked: str, *, status: int = 200) -> list[str]:
    """What axe says of a page, whether it is wider than the screen, and whether it is that page at all."""
    answer = await page.goto(asked)
    assert answer is not None
    if (answer.status, urlsplit(page.url).path) != (status, urlsplit(asked).path):
        return [f"{asked}: {answer.status} at {page.url}: no page?"]
    # The policy forbids scripts of the page's own; the debugger's are no part of the page.
    await page.evaluate(AXE.read_text())
    report = await page.evaluate("axe.run({resultTypes: ['violations']})")
    said = [
        f"{asked}: {violation['id']}: {json.dumps(violation['nodes'][0]['html'])[:200]}"
        f" {violation['nodes'][0]['failureSummary'][:300]}"
        for violation in report["violations"]
    ]
    return said + await wide(page)


async def wide(page: Page) -> list[str]:
    """Whether a page is wider than its screen."""
    more = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return [f"{page.url}: {more}px wider than the screen"] if more > 0 else []


async def wide_with_menus_open(page: Page, asked: str) -> list[str]:
    """The same, with a member's row and the projects' list unfolded."""
    await page.goto(asked)
    await page.locator(".row.member summary").first.click()
    await page.locator("header .popup:not(.menu) > .pick").first.click()
    return await wide(page)


async def filled(lab: Lab, code: str) -> World:
    """A lab in which every page has something to show, some of it long; its administrator owns all of it and reads `code`."""

    async def newcomer(world: World) -> str:
        return (await lab.person("Bob " + "x" * 60, by=world.people[Who.ADMIN])).slug

    async def reset_token(world: World) -> str:
        ada = world.people[Who.ADMIN]
        return (await lab.rooms.identity.resets.make(by=ada, slug=ada.slug, removes_factors=True)).token

    async def invitation_token(world: World) -> str:
        invitations, ada = lab.rooms.identity.invitations, world.people[Who.ADMIN]
        made = await invitations.invite(by=ada, lifetime=timedelta(days=1), project_id=world.project.id)
        return made.token

    further = {"who": newcomer, "reset_token": reset_token, "invitation_token": invitation_token}
    world = await made(lab, {**MAKERS, **further})
    ada, owner = world.people[Who.ADMIN], world.people[Who.OWNER]
    await lab.rooms.identity.people.change_profile(
        user_id=ada.id, profile=people.Profile(name=ada.name, email=ada.email, language=code)
    )
    await lab.rooms.identity.projects.set_member(
        by=owner, project_id=world.project.id, slug=ada.slug, role=models.Role.OWNER
    )
    for name in ("token_id", "account_token_id", "passkey_id", "session_id", "request_id", "invitation_id"):
        await world.thing(name)
    await _projects(world)
    await _launched(world)
    await _said(world)
    await lab.rooms.identity.people.suspend(by=ada, user_id=(await lab.person("Eve", by=ada)).id)
    await lab.rooms.identity.access_tokens.issue(by=ada, name="n" * 60, scopes=(Scope.READ,), days=1)
    return world


async def _projects(world: World) -> None:
    """One of each data class; the open one is archived."""
    ada, projects = world.people[Who.ADMIN], world.lab.rooms.identity.projects
    for data_class in ("open", "personal", "sensitive"):
        project = await projects.create(
            by=ada,
            name=f"{data_class} " + "y" * 80,
            slug=data_class,
            data_class=data_class,
            description="# Why\n\n- [x](https://x.example)",
        )
        member = world.people[Who.MEMBER].slug
        await projects.set_member(by=ada, project_id=project.id, slug=member, role=models.Role.MEMBER)
        if data_class == "open":
            await world.lab.rooms.services.grounds.archive(by=ada, project_id=project.id)


async def _launched(world: World) -> None:
    """A service that is ready and was used, one that starts."""
    lab, ada = world.lab, world.people[Who.ADMIN]
    name = "A name that is rather long, to see what becomes of the row that it is in"
    ready = await lab.until(ada, (await lab.launched(ada, name)).id, services.State.READY)
    usage = contract.Usage(cpu_seconds=9000.0, memory_bytes=3 << 30)
    pod = contract.PodStatus("main-0", contract.Phase.READY, usage=usage)
    meter = metering.Meter(database=lab.rooms.admin.usage._database, clock=lab.rooms.clock)
    await meter.add([(ready, contract.Status(contract.Phase.READY, pods=(pod,)))])
    other = replace(ready, owner_id=world.people[Who.MEMBER].id)
    await meter.add([(other, contract.Status(contract.Phase.READY, pods=(replace(pod, name="b"),)))])
    await lab.rooms.admin.usage.measure()
    lab.engine.automatic = False
    starting = await lab.until(ada, (await lab.launched(ada, "Starting")).id, services.State.STARTING)
    world.kept |= {"service_id": ready.id, "starting_id": starting.id}


async def _said(world: World) -> None:
    """Announcements of each level, one to come, something long in the audit log, and terms that the administrator accepted."""
    lab, ada = world.lab, world.people[Who.ADMIN]
    for level in Level:
        text = {"fr": "Le laboratoire s’arrête **mardi** à 18 h.", "en": "The lab stops on **Tuesday**."}
        await lab.rooms.admin.announcements.publish(by=ada, draft=Draft(level=level, texts=text))
    later = lab.rooms.clock.now() + timedelta(days=3)
    await lab.rooms.admin.announcements.publish(by=ada, draft=Draft(texts={"en": "z" * 300}, starts_at=later))
    refused = audit.Entry(
        actor=audit.NOBODY, action="session.sign_in", outcome=audit.Outcome.REFUSED, detail={"why": "w" * 190}
    )
    await lab.rooms.audit.record(refused)
    terms = await lab.rooms.identity.terms.publish(by=ada, texts={"en": "# Rules\n\nBe **kind**.", "fr": "# Règles"})
    await lab.rooms.identity.terms.accept(user=ada, version=terms.version)


async def secured(world: World) -> models.User:
    """Somebody who signs in with codes too."""
    lab, user = world.lab, world.people[Who.VIEWER]
    version = lab.rooms.identity.terms.current
    assert version is not None
    await lab.rooms.identity.terms.accept(user=user, version=version.version)
    async with lab.browser(await lab.token(user)) as client:
        await factors.turned_on(lab, client)
    return user
