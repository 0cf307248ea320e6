"""A second factor through the pages, as a person goes through them; and each page of it, to be looked at."""

import re
from datetime import timedelta

import httpx
import pyotp

from etabli.identity import models
from tests.web.lab import PASSWORD, Lab, csrf

SECRET = re.compile(r'<pre id="secret"[^>]*>([A-Z2-7 ]+)</pre>')
CODES = re.compile(r'<pre id="recovery"[^>]*>([a-z2-7\-\s]+)</pre>')


async def turned_on(lab: Lab, client: httpx.AsyncClient) -> tuple[pyotp.TOTP, list[str]]:
    """Through the pages, as a person does."""
    page = await client.get("/account/security/codes")
    await client.post("/account/security/codes", data={"csrf": csrf(page.text)})
    page = await client.get("/account/security/codes")
    assert "<svg width" in page.text
    secret = SECRET.search(page.text)
    assert secret is not None
    application = pyotp.TOTP(secret.group(1).replace(" ", ""))
    wrong = await client.post("/account/security/codes/confirm", data={"csrf": csrf(page.text), "code": "x"})
    assert wrong.status_code == 422
    assert secret.group(1) in wrong.text
    # The step before now's, so that now's is not used up.
    code = application.at(lab.rooms.clock.now() - timedelta(seconds=30))
    page = await client.post("/account/security/codes/confirm", data={"csrf": csrf(page.text), "code": code})
    shown = CODES.search(page.text)
    assert shown is not None
    return application, shown.group(1).split()


async def first_step(lab: Lab, client: httpx.AsyncClient, login: str, onward: str = "/") -> httpx.Response:
    token = csrf((await client.get("/sign-in")).text)
    form = {"csrf": token, "login": login, "password": PASSWORD, "next": onward}
    return await client.post("/sign-in", data=form)


async def second_step(client: httpx.AsyncClient, at: httpx.Response, code: str) -> httpx.Response:
    page = await client.get(at.headers["location"])
    onward = re.search(r'name="next" value="([^"]*)"', page.text)
    assert onward is not None
    form = {"csrf": csrf(page.text), "code": code, "next": onward.group(1)}
    return await client.post("/sign-in/second", data=form)


async def pages(lab: Lab, user: models.User, client: httpx.AsyncClient) -> list[str]:
    """Every page of it; `client` is signed in as that person, who has no codes yet, and has none after."""
    identity = lab.rooms.identity
    link = await identity.resets.make(by=user, slug=user.slug, removes_factors=True)
    shown = [(await client.get(path)).text for path in (f"/reset?token={link.token}", "/account/security/codes")]
    _, fresh = await turned_on(lab, client)
    security = await client.get("/account/security")
    token = csrf(security.text)
    shown += [security.text, (await client.post("/account/security/codes/renew", data={"csrf": token})).text]
    async with lab.browser() as other:
        other.headers["Accept-Language"] = user.language
        first = await first_step(lab, other, user.slug)
        shown.append((await other.get(first.headers["location"])).text)
        fresh = list(await identity.codes.renew(user=user))
        shown.append((await second_step(other, first, fresh[0])).text)
    await client.post("/account/security/codes/off", data={"csrf": token})
    await client.post("/account/security/codes", data={"csrf": token})
    shown.append((await client.get("/account/security/codes")).text)
    return shown
