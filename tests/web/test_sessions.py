"""Sessions: where one is signed in, ended at once and everywhere; and a warning before one that nobody uses ends."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import timedelta

import httpx
import pytest

from etabli.identity import models
from etabli.web import live, visitors
from etabli.web.browsers import device
from tests.web.lab import PASSWORD, Lab, csrf

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile/15E148 Safari/604.1"


async def test_sessions_are_listed_in_words_and_end_at_once(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    sessions = lab.rooms.identity.sessions
    phone = await sessions.open(user_id=ada.id, address="192.0.2.7", user_agent=IPHONE)
    desk = await sessions.open(user_id=ada.id, address="192.0.2.8", user_agent=FIREFOX)
    page = await browser.get("/account/sessions")
    for words in ("Safari, iPhone", "192.0.2.7", "Firefox, Linux", "this one", "Sign out everywhere else"):
        assert words in page.text
    token = csrf(page.text)
    await browser.post(f"/account/sessions/{phone.session.id}/end", data={"csrf": token})
    assert await sessions.find(token=phone.token) is None
    assert await sessions.find(token=desk.token) is not None
    done = await browser.post("/account/sessions/end", data={"csrf": token})
    assert done.headers["location"] == "/account/sessions?done=others"
    assert await sessions.find(token=desk.token) is None
    assert "Firefox" not in (await browser.get("/account/sessions")).text


@pytest.mark.parametrize(
    ("user_agent", "words"), [(FIREFOX, "Firefox, Linux"), (IPHONE, "Safari, iPhone"), ("curl/8.5", ""), ("", "")]
)
def test_a_browser_is_named_in_words(user_agent: str, words: str) -> None:
    assert device(user_agent) == words


async def test_a_session_id_known_before_sign_in_is_worth_nothing_after(lab: Lab, ada: models.User) -> None:
    planted = await lab.rooms.identity.sessions.open(user_id=ada.id, address="")
    await lab.rooms.identity.sessions.end(user_id=ada.id, session_id=planted.session.id)
    visit = "planted-by-somebody"
    async with lab.browser() as client:
        cookies = f"{visitors.VISIT_COOKIE}={visit}; {visitors.SESSION_COOKIE}={planted.token}"
        form = {"csrf": visitors.csrf_token(visit), "login": ada.slug, "password": PASSWORD}
        entered = await client.post("/sign-in", data=form, headers={"Cookie": cookies})
        assert entered.status_code == 303
        fresh = entered.cookies[visitors.SESSION_COOKIE]
        assert fresh not in (planted.token, visit)
        assert (await client.get("/account", headers={"Cookie": cookies})).status_code == 303


async def test_nobody_is_signed_in_as_somebody_else_by_a_form_of_another_visit(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as theirs, lab.browser() as mine:
        token = csrf((await theirs.get("/sign-in")).text)
        await mine.get("/sign-in")
        form = {"csrf": token, "login": ada.slug, "password": PASSWORD}
        assert (await mine.post("/sign-in", data=form)).status_code == 403


@pytest.mark.parametrize(
    "onward", ["//evil.example", "https://evil.example", "/\\evil.example", "\t//evil.example", "javascript:x"]
)
async def test_signing_in_leads_nowhere_else(lab: Lab, ada: models.User, onward: str) -> None:
    async with lab.browser() as client:
        page = await client.get("/sign-in", params={"next": onward})
        form = {"csrf": csrf(page.text), "login": ada.slug, "password": PASSWORD, "next": onward}
        assert (await client.post("/sign-in", data=form)).headers["location"] == "/"


async def test_asking_the_clock_or_following_the_lab_is_no_use_of_a_session(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    await browser.get("/account")
    (session,) = await lab.rooms.identity.sessions.list(user_id=ada.id)
    sessions, used = lab.rooms.identity.sessions, []
    find = sessions.find

    async def watched(*, token: str, is_use: bool = True) -> models.SignedIn | None:
        used.append(is_use)
        return await find(token=token, is_use=is_use)

    sessions.find = watched  # type: ignore[method-assign] # What it is told is what is asked here.
    left = (await browser.get("/session", headers={"Accept": "application/json"})).json()["left"]
    assert 0 < left <= timedelta(hours=24).total_seconds()
    await browser.get("/account", headers={"Etabli-Part": "1"})
    await browser.get("/account")
    token = visitors.csrf_token(browser.headers["Cookie"].partition("=")[2])
    assert (await browser.post("/session", data={"csrf": token})).status_code == 200
    assert (await browser.post("/session")).status_code == 403
    assert used == [False, False, True, True, True]
    assert session.id
    async with lab.browser() as nobody:
        assert (await nobody.get("/session", headers={"Accept": "application/json"})).status_code == 401


async def test_programs_of_the_browser_list_and_end_sessions_too(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    phone = await lab.rooms.identity.sessions.open(user_id=ada.id, address="192.0.2.7", user_agent=IPHONE)
    headers = {"X-CSRF-Token": (await browser.get("/api/v1/me")).json()["csrf"]}
    listed = {one["device"]: one["is_this"] for one in (await browser.get("/api/v1/sessions")).json()}
    assert listed == {"Safari, iPhone": False, "": True}
    assert (await browser.delete(f"/api/v1/sessions/{phone.session.id}", headers=headers)).status_code == 204
    assert await lab.rooms.identity.sessions.find(token=phone.token) is None
    assert (await browser.delete("/api/v1/sessions", headers=headers)).status_code == 204
    assert len((await browser.get("/api/v1/sessions")).json()) == 1


async def test_what_a_program_follows_ends_soon_after_its_token() -> None:
    good = True
    ended = []

    async def lines() -> AsyncGenerator[str, None]:
        try:
            yield "one"
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    async def is_good() -> bool:
        return good

    following = live.while_good(lines(), is_good, every=0.01)
    assert await anext(following) == "one"
    good = False
    assert await anext(following, None) is None
    assert ended == [True]
