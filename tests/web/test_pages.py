"""Every page in every language, and every template rendered at least once."""

import html.parser
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from etabli.admin.announcements import Draft
from etabli.identity import keys, models, people
from etabli.services.models import State
from etabli.web import rendering
from etabli.web.rendering import Renderer
from tests.web import factors, parts
from tests.web.lab import PASSWORD, Lab, csrf, opened

# Rendered by tests of their own, each in every language: they need an outside provider.
ELSEWHERE = {"outside_leave.html", "outside_new.html"}
VOID = frozenset({"meta", "link", "input", "br", "rect", "stop", "img", "path"})


class Nesting(html.parser.HTMLParser):
    """Whether every element is closed where it was opened, and no id is there twice."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> is out of place"


def check(page: str) -> None:
    """The page is well formed."""
    nesting = Nesting()
    nesting.feed(page)
    assert nesting.open == []
    assert len(nesting.ids) == len(set(nesting.ids)), sorted(nesting.ids)


async def visit(lab: Lab, ada: models.User, client: httpx.AsyncClient) -> list[str]:
    """Every page there is, in states that show all of it."""
    lab.engine.automatic = True
    ready = await lab.launched(ada, "Ready")
    await lab.until(ada, ready.id, State.READY)
    stopped = await lab.launched(ada, "Paused")
    await lab.until(ada, stopped.id, State.READY)
    await lab.rooms.services.stop(user_id=ada.id, service_id=stopped.id)
    await lab.until(ada, stopped.id, State.STOPPED)
    await lab.rooms.services.extend(
        user_id=ada.id, service_id=ready.id, until=lab.rooms.clock.now() + timedelta(hours=2)
    )
    lab.engine.automatic = False
    starting = await lab.launched(ada, "Starting")
    await lab.until(ada, starting.id, State.STARTING)
    shared = await lab.rooms.identity.projects.create(by=ada, name="Shared", description="**Why**")
    bob = await lab.person("Bob", by=ada)
    await lab.rooms.identity.projects.set_member(by=ada, project_id=shared.id, slug=bob.slug, role=models.Role.MEMBER)
    await lab.rooms.identity.invitations.invite(by=ada, lifetime=keys.LONGEST_TOKEN, project_id=shared.id)
    closed = await lab.rooms.identity.projects.create(by=ada, name="Closed")
    await lab.rooms.services.grounds.archive(by=ada, project_id=closed.id)
    invited = await lab.rooms.identity.invitations.invite(by=ada, lifetime=keys.LONGEST_TOKEN)
    link = "/launcher/ide/notebook?autoLaunch=true&extraEnvVars[0].name=%C2%ABFOO%C2%BB&persistence.enabled=true&a.b=1"
    pages = ["/", "/services", "/catalog", "/catalog?search=zzz", "/account", "/account?done=profile", link, "/nope"]
    pages += ["/account/security", "/account/sessions", "/prove"]
    pages += ["/design", "/account/notifications", "/account/storage", "/admin/invitations"]
    pages += ["/search", "/search?q=notebok", "/search?q=zzz"]
    pages += ["/account/tokens?done=token", "/device?code=x&done=yes", "/projects/shared/service-accounts"]
    pages += ["/admin/branding?accent=%23ffff00", "/account/data", "/help/user", "/help/settings", "/accessibility"]
    pages += [f"/services/{one.id}" for one in (ready, stopped, starting)]
    pages += [f"/services/{ready.id}/delete", f"/services/{ready.id}?done=renamed", "/services?done=deleted"]
    await lab.rooms.admin.announcements.publish(by=ada, draft=Draft(texts={"fr": "Bonjour"}))
    pages += ["/admin/people", f"/admin/people/{bob.slug}", "/admin/projects", f"/admin/projects/{shared.slug}"]
    pages += ["/admin/services", f"/admin/services/{ready.id}", "/admin/catalogs", "/admin/audit"]
    pages += ["/admin/usage", "/account/usage", "/admin/announcements"]
    pages += ["/admin/components", "/admin/backups", "/admin/settings", "/admin/settings?changed=1"]
    pages += ["/launcher/ide/database", "/launcher/ide/broken", f"/welcome?token={invited.token}"]
    pages += ["/projects", "/projects/new", "/projects/shared", "/projects/shared/settings", "/projects/closed"]
    return [(await client.get(path)).text for path in pages]


async def rendered_where_sessions_are_short(folder: Path, code: str) -> frozenset[str]:
    """What home is made of in a lab that warns before a session ends by itself."""
    async with opened(folder, people=parts.CHEAP.model_copy(update={"session_idle_minutes": 5})) as lab:
        ada = await lab.admin()
        profile = people.Profile(name=ada.name, email=ada.email, language=code)
        await lab.rooms.identity.people.change_profile(user_id=ada.id, profile=profile)
        async with lab.browser(await lab.token(ada)) as client:
            check((await client.get("/")).text)
        renderer: Renderer = lab.web.state.renderer
        return renderer.rendered(code)


@pytest.mark.parametrize("code", ["en", "fr"])
async def test_every_page_is_well_formed_in_every_language(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, code: str, tmp_path: Path
) -> None:
    profile = people.Profile(name=ada.name, email=ada.email, language=code)
    await lab.rooms.identity.people.change_profile(user_id=ada.id, profile=profile)
    pages = await visit(lab, ada, browser)
    async with lab.browser() as anyone:
        anyone.headers["Accept-Language"] = code
        outside = await anyone.get("/")
        guide = await anyone.get("/help/user")
        entrance = await anyone.get("/sign-in?next=/open?host=x")
        token = csrf(entrance.text)
        refused = await anyone.post("/sign-in", data={"csrf": token, "login": "x", "password": "y"})
        form = {"csrf": token, "login": ada.slug, "password": PASSWORD, "next": "/open?host=x"}
        onward = await anyone.post("/sign-in", data=form)
        asking = await anyone.get("/ask")
    sent = {"csrf": csrf(pages[1]), "name": "x"}
    same = await browser.post("/launcher/ide/notebook/same", data=sent | {"resources.limits.memory": "8"})
    for page in [*pages, outside.text, guide.text, entrance.text, asking.text, refused.text, onward.text]:
        assert f'<html lang="{code}"' in page
        check(page)
    check(same.text)
    for path in ("/", "/services", "/catalog", "/account", "/search/hits?q=e"):
        check((await browser.get(path, headers={"Etabli-Part": "1"})).text)
    asked = await lab.rooms.identity.devices.ask(form={"client_id": "etabli-cli", "scope": "read"}, address="192.0.2.9")
    check((await browser.post("/device", data={"csrf": csrf(pages[1]), "code": asked.user_code})).text)
    for page in await factors.pages(lab, await lab.rooms.identity.people.get(user_id=ada.id), browser):
        assert f'<html lang="{code}"' in page
        check(page)
    held = await lab.rooms.identity.terms.publish(by=ada, texts={"en": "# A\n\nText.", "fr": "# A\n\nTexte."})
    terms = await browser.get("/terms")
    await lab.rooms.identity.terms.accept(user=ada, version=held.version)
    sent = {"csrf": csrf(pages[1]), "en": "# A", "preview": "true"}
    for answer in (terms, await browser.get("/admin/terms"), await browser.post("/admin/terms", data=sent)):
        assert f'<html lang="{code}"' in answer.text
        check(answer.text)
    renderer: Renderer = lab.web.state.renderer
    left = {str(path.relative_to(rendering.FOLDER)) for path in rendering.FOLDER.rglob("*.html")}
    left -= renderer.rendered(code) | await rendered_where_sessions_are_short(tmp_path / "short", code) | ELSEWHERE
    assert left == set(), "templates that no test renders"


async def test_a_mistake_of_ours_is_a_sentence_that_tells_nothing_of_it(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    lab.web.add_api_route("/mistake", broken, include_in_schema=False)
    page = await browser.get("/mistake")
    program = await browser.get("/mistake", headers={"Accept": "application/json"})
    assert page.status_code == program.status_code == 500
    for answer in (page, program):
        assert "hunter2" not in answer.text
        assert answer.headers["x-request-id"] in answer.text


async def broken() -> None:
    """A route with a mistake."""
    raise ZeroDivisionError("hunter2")
