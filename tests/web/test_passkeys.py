"""Passkeys in Chromium, with an authenticator of its own: made, used, refused, removed; and what another origin of the site can do."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import CDPSession, Page, async_playwright, expect
from sqlalchemy import update

from etabli.identity import models
from etabli.identity.store import SessionRow, UserRow
from etabli.kernel.database import Database, sqlite_url
from tests.web.lab import PASSWORD, Lab, csrf, served

pytestmark = pytest.mark.browser

# What a page's own script answers, whatever page it is.
ANSWER = """async (options) => {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(options));
    return JSON.stringify((await navigator.credentials.get({ publicKey })).toJSON());
}"""
CHROMIUM = "/usr/bin/chromium"


@dataclass(frozen=True)
class Device:
    """A browser that has an authenticator."""

    page: Page
    tools: CDPSession
    authenticator: str
    origin: str

    async def sign_in(self, login: str) -> None:
        """By password."""
        await self.page.goto(f"{self.origin}/sign-in")
        await self.page.fill("#login", login)
        await self.page.fill("#password", PASSWORD)
        await self.page.click("form.card button")
        await self.page.wait_for_url(f"{self.origin}/")

    async def add(self) -> None:
        """Make a passkey, from the account's page."""
        await self.page.goto(f"{self.origin}/account/security")
        await self.page.fill("#passkey-name", "My phone")
        await self.page.click("#new-passkey button")
        await self.page.wait_for_url("**/account/security?done=passkey")

    async def leave(self) -> None:
        """Sign out as by closing the browser; the passkey stays."""
        await self.page.context.clear_cookies()
        await self.page.goto(f"{self.origin}/sign-in")

    async def answer(self, options: str) -> str:
        """What the page that is open gets from the authenticator."""
        said: str = await self.page.evaluate(ANSWER, options)
        return said

    async def credentials(self) -> list[dict[str, Any]]:
        """What the authenticator keeps."""
        asked = {"authenticatorId": self.authenticator}
        found: list[dict[str, Any]] = (await self.tools.send("WebAuthn.getCredentials", asked))["credentials"]
        return found


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with served(tmp_path) as lab:
        yield lab


@pytest.fixture
async def store(lab: Lab, tmp_path: Path) -> AsyncIterator[Database]:
    """The lab's own database: to make time pass, and people as no page makes them yet."""
    database = Database(sqlite_url(tmp_path / "data/etabli.db"))
    yield database
    await database.close()


@pytest.fixture
async def device(lab: Lab) -> AsyncIterator[Device]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = await (await browser.new_context(locale="en")).new_page()
        tools = await page.context.new_cdp_session(page)
        await tools.send("WebAuthn.enable")
        how = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
        how |= {"isUserVerified": True, "automaticPresenceSimulation": True}
        made = await tools.send("WebAuthn.addVirtualAuthenticator", {"options": how})
        yield Device(page=page, tools=tools, authenticator=made["authenticatorId"], origin=lab.rooms.lab.origin)
        await browser.close()


async def test_a_passkey_is_made_signs_in_and_once_removed_opens_nothing(
    lab: Lab, ada: models.User, device: Device
) -> None:
    page = device.page
    await device.sign_in(ada.slug)
    await device.add()
    await expect(page.locator("#passkeys")).to_contain_text("My phone")
    (kept,) = await device.credentials()
    assert kept["rpId"] == "etabli.localhost"
    await device.leave()
    # The browser offers it by itself in the name's field: an authenticator that answers at once needs no click at all.
    await page.wait_for_url(f"{device.origin}/")
    (session, *_) = await lab.rooms.identity.sessions.list(user_id=ada.id)
    assert (session.method, session.factors) == ("passkey", 2)
    await page.goto(f"{device.origin}/account/security")
    await page.click("#passkeys button")
    await page.wait_for_url("**/account/security?done=removed")
    await device.leave()
    await expect(page.locator("[role=alert]")).to_contain_text("This passkey opens nothing here")


async def entering(client: httpx.AsyncClient) -> tuple[str, str]:
    """The token of the sign-in page's forms, and what it asks a browser; the visit is kept, whatever comes after."""
    page = await client.get("/sign-in")
    if "set-cookie" in page.headers:  # Over http, which this client sends none of our cookies to by itself.
        client.headers["Cookie"] = page.headers["set-cookie"].partition(";")[0]
    token = csrf(page.text)
    return token, (await client.post("/sign-in/passkey/options", data={"csrf": token})).text


async def send(client: httpx.AsyncClient, token: str, answer: str) -> httpx.Response:
    return await client.post("/sign-in/passkey", data={"csrf": token, "credential": answer})


async def test_an_answer_is_good_once_in_its_own_visit_and_from_the_portals_own_page(
    lab: Lab, ada: models.User, device: Device
) -> None:
    await device.sign_in(ada.slug)
    await device.add()
    async with lab.browser() as client, lab.browser() as other:
        token, options = await entering(client)
        answer = await device.answer(options)
        others, _ = await entering(other)
        assert (await send(other, others, answer)).status_code == 401
        assert (await send(client, token, answer)).status_code == 303
        again = await send(client, token, answer)
        assert again.status_code in (401, 403)
        assert "set-cookie" not in again.headers
        # A page of a service is same-site, and a browser lets it ask for the portal's own passkeys: its origin tells.
        host = device.origin.replace("etabli.localhost", "evil-abcdefghij.svc.etabli.localhost")
        await device.page.route(
            f"{host}/**", lambda route: route.fulfill(body="<h1>a service</h1>", content_type="text/html")
        )
        await device.page.goto(f"{host}/")
        _, options = await entering(client)
        stolen = await device.answer(options)
        assert json.loads(stolen)["id"] == json.loads(answer)["id"]
        assert (await send(client, token, stolen)).status_code == 401


async def test_a_copied_passkey_is_told_from_the_one_that_was_copied(
    lab: Lab, ada: models.User, device: Device
) -> None:
    await device.sign_in(ada.slug)
    await device.add()
    (kept,) = await device.credentials()
    async with lab.browser() as client:
        token, options = await entering(client)
        assert (await send(client, token, await device.answer(options))).status_code == 303
    await device.tools.send("WebAuthn.clearCredentials", {"authenticatorId": device.authenticator})
    copied = {"authenticatorId": device.authenticator, "credential": {**kept, "signCount": 0}}
    await device.tools.send("WebAuthn.addCredential", copied)
    await device.leave()
    await expect(device.page.locator("[role=alert]")).to_contain_text("may have been copied")


async def test_what_lets_one_in_changes_only_for_who_has_just_proved_who_they_are(
    lab: Lab, ada: models.User, device: Device, store: Database
) -> None:
    await device.sign_in(ada.slug)
    await device.add()
    await long_ago(lab, store)
    await device.page.goto(f"{device.origin}/account/security")
    await device.page.click("#passkeys button")
    await device.page.wait_for_url("**/prove?next=%2Faccount%2Fsecurity")
    await device.page.click("#passkey button")
    await device.page.wait_for_url("**/account/security")
    await device.page.click("#passkeys button")
    await device.page.wait_for_url("**/account/security?done=removed")


async def test_the_last_way_in_is_removed_only_by_who_says_so_twice(
    lab: Lab, ada: models.User, device: Device, store: Database
) -> None:
    await device.sign_in(ada.slug)
    await device.add()
    async with store.session() as session:
        await session.execute(update(UserRow).values(password_hash=None))
    await device.page.goto(f"{device.origin}/account/security")
    await device.page.click("#passkeys button")
    await expect(device.page.locator("#passkeys [role=alert]")).to_contain_text("only way in")
    await device.page.click("#passkeys button.danger")
    await device.page.wait_for_url("**/account/security?done=removed")


async def long_ago(lab: Lab, store: Database) -> None:
    """Every session was opened an hour ago."""
    async with store.session() as session:
        past = lab.rooms.clock.now() - timedelta(hours=1)
        await session.execute(update(SessionRow).values(created_at=past, proved_at=past))
