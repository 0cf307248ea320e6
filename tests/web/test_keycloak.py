"""Through a real Keycloak's own page into the lab, in Chromium and both languages; what its groups give; the administrator's check."""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from etabli.identity.outside.settings import ProviderSettings
from tests import keycloak as keycloaks
from tests.keycloak import Keycloak
from tests.web import parts
from tests.web.lab import Lab, served
from tests.web.test_browser import AXE, CHROMIUM, PHONE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
SEEN = {"en": ("Sign in with Institut", "Create my account"), "fr": ("Se connecter avec Institut", "Créer mon compte")}


@pytest.fixture(scope="module")
def keycloak() -> Iterator[Keycloak]:
    if missing := [name for name in ("java", "mvn") if shutil.which(name) is None]:
        pytest.skip(f"Keycloak needs {' and '.join(missing)}: apt-get install default-jre-headless maven")
    try:
        keycloaks.fetched()
    except keycloaks.NotToBeHad as error:
        pytest.skip(str(error))
    with keycloaks.running() as made:
        yield made


@pytest.fixture
async def lab(tmp_path: Path, keycloak: Keycloak) -> AsyncIterator[Lab]:
    secret = tmp_path / "secret"
    secret.write_text(keycloaks.SECRET + "\n")
    secret.chmod(0o600)
    provider = ProviderSettings.model_validate(
        {
            "id": "institut",
            "name": "Institut",
            "kind": "keycloak",
            "issuer": keycloak.issuer,
            "client_id": keycloaks.CLIENT,
            "client_secret_file": secret,
            "trust_email": True,
            "enter": {"email_domains": ["institut.example"]},
            "projects": [{"group": "/statistics/(.+)", "project": "stat-{1}", "name": "Statistics: {1}"}],
        }
    )
    async with served(tmp_path / "lab", people=parts.CHEAP.model_copy(update={"providers": [provider]})) as lab:
        await lab.admin()
        _register(keycloak, lab.rooms.identity.outside.redirect_uri("institut"))
        yield lab


@pytest.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@asynccontextmanager
async def device(chromium: Browser, *, locale: str, scripts: bool = True) -> AsyncIterator[Page]:
    """A browser of its own; on a phone where it runs no scripts."""
    size = {} if scripts else {"viewport": PHONE}
    context = await chromium.new_context(locale=locale, java_script_enabled=scripts, **size)  # type: ignore[arg-type] # A size.
    yield await context.new_page()
    await context.close()


async def through(page: Page, lab: Lab, locale: str) -> None:
    """Click on the provider, and sign in on its own page."""
    await page.goto(f"{lab.rooms.lab.origin}/sign-in")
    await page.get_by_role("link", name=SEEN[locale][0]).click()
    await expect(page.locator("html")).to_have_attribute("lang", locale)  # Keycloak speaks the lab's language.
    await page.fill("#username", "grace")
    await page.fill("#password", keycloaks.PASSWORD)
    await page.click("#kc-login")


@pytest.mark.parametrize("locale", ["en", "fr"])
async def test_somebody_comes_in_by_their_institution_and_finds_their_groups(
    lab: Lab, keycloak: Keycloak, chromium: Browser, locale: str
) -> None:
    origin = lab.rooms.lab.origin
    async with device(chromium, locale=locale, scripts=locale == "en") as page:
        await through(page, lab, locale)
        await page.wait_for_url(f"{origin}/sign-in/with/institut/new?*")
        await expect(page.locator("#name")).to_have_value("Grace Hopper")
        await expect(page.locator("#slug")).to_have_value("grace")
        if locale == "en":
            await page.evaluate(AXE.read_text())
            assert await page.evaluate("axe.run().then(found => found.violations.map(one => one.id))") == []
        await page.get_by_role("button", name=SEEN[locale][1]).click()
        await page.wait_for_url(f"{origin}/")
    async with device(chromium, locale=locale) as page:
        await through(page, lab, locale)
        await page.wait_for_url(f"{origin}/")
    grace = await lab.rooms.identity.people.named(slug="grace")
    shared = [one for one in await lab.rooms.identity.projects.list(user_id=grace.id) if one.project.slug != "grace"]
    assert grace.email == "grace@institut.example"
    assert [(one.project.slug, one.project.name, one.role) for one in shared] == [
        ("stat-prices", "Statistics: prices", "member")
    ]


async def test_the_check_of_an_administrator_knows_a_wrong_secret_from_a_good_one(
    lab: Lab, keycloak: Keycloak, tmp_path: Path
) -> None:
    ada = await lab.rooms.identity.people.first_admin()
    (good,) = await lab.rooms.identity.outside.check(by=ada)
    (tmp_path / "secret").write_text("not the secret")
    (wrong,) = await lab.rooms.identity.outside.check(by=ada)
    (tmp_path / "secret").chmod(0o644)
    (readable,) = await lab.rooms.identity.outside.check(by=ada)
    assert (good.well, list(good.problems)) == (True, [])
    assert "does not accept the lab's client id and secret" in wrong.problems[0]
    assert "can be read by others" in readable.problems[0]


def _register(keycloak: Keycloak, redirect_uri: str) -> None:
    (client,) = keycloak.admin("GET", f"/clients?clientId={keycloaks.CLIENT}").json()
    keycloak.admin("PUT", f"/clients/{client['id']}", {**client, "redirectUris": [redirect_uri]})
