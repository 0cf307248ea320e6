"""One's own account: what it looks like, a photo, Git names."""

import ast
import html
import io

import httpx
import pytest
from PIL import Image

from etabli.identity import models, profiles
from etabli.web import visitors
from etabli.web.pages import account_storage
from tests.web.lab import PASSWORD, Lab, csrf


def photo(kind: str = "JPEG", size: tuple[int, int] = (640, 480), **how: object) -> bytes:
    """A picture as a telephone makes it."""
    made = io.BytesIO()
    Image.new("RGB", size, "teal").save(made, kind, **how)
    return made.getvalue()


async def sent(browser: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """A form of the account, as the page sends it."""
    token = csrf((await browser.get("/account")).text)
    return await browser.post(path, data={"csrf": token, **fields})


async def upload(browser: httpx.AsyncClient, content: bytes) -> httpx.Response:
    """A photo, as the page sends it."""
    token = csrf((await browser.get("/account")).text)
    files = {"picture": ("../../x.svg", content, "image/svg+xml")}
    return await browser.post("/account/picture", data={"csrf": token}, files=files)


async def test_a_theme_and_a_density_hold_on_every_page_and_before_the_next_sign_in(lab: Lab, ada: models.User) -> None:
    async with lab.browser() as client:
        page = await client.get("/sign-in")
        assert "data-theme" not in page.text
        await client.post("/look", data={"csrf": csrf(page.text), "theme": "dark", "next": "/sign-in"})
        page = await client.get("/sign-in")
        assert '<html lang="en" data-theme="dark">' in page.text
    async with lab.browser(await lab.token(ada)) as client:
        assert "data-theme" not in (await client.get("/services")).text
        answer = await sent(client, "/look", density="compact", theme="light", next="/account?done=look")
        assert answer.headers["location"] == "/account?done=look"
        assert '<html lang="en" data-theme="light" data-density="compact">' in (await client.get("/services")).text
        await sent(client, "/look", theme="dark")
        assert '<html lang="en" data-theme="dark" data-density="compact">' in (await client.get("/services")).text
    async with lab.browser() as client:
        page = await client.get("/sign-in")
        await client.post("/sign-in", data={"csrf": csrf(page.text), "login": ada.slug, "password": PASSWORD})
        await sent(client, "/sign-out")
        assert 'data-theme="dark"' in (await client.get("/sign-in")).text


@pytest.mark.parametrize("given", ["x", 'dark" onload="', "auto.", ""])
async def test_a_look_that_is_none_is_the_usual_one(lab: Lab, browser: httpx.AsyncClient, given: str) -> None:
    await sent(browser, "/look", theme=given)
    assert '<html lang="en">' in (await browser.get("/services")).text


@pytest.mark.parametrize("kind", profiles.FORMATS)
async def test_a_photo_is_served_as_we_made_it_and_not_as_it_was_sent(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, kind: str
) -> None:
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    content = photo(kind, exif=exif) + b"<script>alert(1)</script>"
    assert (await upload(browser, content)).headers["location"] == "/account?done=picture"
    user = await lab.rooms.identity.people.get(user_id=ada.id)
    assert f'src="/pictures/{user.picture}"' in (await browser.get("/services")).text
    answer = await browser.get(f"/pictures/{user.picture}")
    assert answer.headers["content-type"] == "image/webp"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("private")
    assert b"taken at home" not in answer.content
    assert b"<script>" not in answer.content
    with Image.open(io.BytesIO(answer.content)) as made:
        assert made.size == (profiles.PICTURE_SIDE, profiles.PICTURE_SIDE)
    async with lab.browser() as anyone:
        assert (await anyone.get(f"/pictures/{user.picture}")).status_code == 303
    await sent(browser, "/account/picture/remove")
    assert (await browser.get(f"/pictures/{user.picture}")).status_code == 404


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        photo("GIF"),
        photo()[:400],
        photo("PNG", (9000, 9000)),
        photo() + b"x" * profiles.PICTURE_BYTES,
    ],
    ids=["nothing", "svg", "gif", "cut", "a bomb", "too large"],
)
async def test_what_is_no_photo_is_refused_at_its_field(lab: Lab, browser: httpx.AsyncClient, content: bytes) -> None:
    answer = await upload(browser, content)
    assert answer.status_code == 422
    assert 'id="picture-wrong"' in answer.text


async def test_a_file_is_taken_by_no_other_form(browser: httpx.AsyncClient) -> None:
    token = csrf((await browser.get("/account")).text)
    answer = await browser.post("/account/git", data={"csrf": token}, files={"git_name": ("x", b"y")})
    assert answer.status_code == 422


async def test_git_names_are_kept_or_refused_at_their_field(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    assert (await sent(browser, "/account/git", git_name="Ada L.", git_email="ada@work.example")).status_code == 303
    user = await lab.rooms.identity.people.get(user_id=ada.id)
    assert user.git == models.GitNames(name="Ada L.", email="ada@work.example")
    wrong = await sent(browser, "/account/git", git_name="Ada", git_email="nowhere")
    assert wrong.status_code == 422
    assert 'id="git_email-wrong"' in wrong.text
    assert 'value="nowhere"' in wrong.text


async def test_the_api_changes_what_the_pages_change(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    headers = {"X-CSRF-Token": (await browser.get("/api/v1/me")).json()["csrf"], "Accept": "application/json"}
    change = {"theme": "dark", "git_name": "Ada L.", "language": "fr"}
    answer = await browser.patch("/api/v1/me", json=change, headers=headers)
    assert answer.json() == {
        "name": ada.name,
        "email": ada.email,
        "language": "fr",
        "theme": "dark",
        "density": "comfortable",
        "git_name": "Ada L.",
        "git_email": None,
        "picture": None,
    }
    binary = headers | {"Content-Type": "application/octet-stream"}
    answer = await browser.put("/api/v1/me/picture", content=photo(), headers=binary)
    address = answer.json()["picture"]
    assert (await browser.get(address)).status_code == 200
    assert (await browser.delete("/api/v1/me/picture", headers=headers)).status_code == 204
    assert (await browser.get(address)).status_code == 404
    assert (await browser.patch("/api/v1/me", json={"theme": "pink"}, headers=headers)).status_code == 422


async def test_storage_says_where_the_chosen_project_is(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    page = (await browser.get("/account/storage")).text
    assert "s3://ada-lovelace" in page
    assert "kv/ada-lovelace/" in page
    assert lab.rooms.lab.s3_origin in page
    assert lab.rooms.s3_region in page
    assert 'href="/account/storage" aria-current="page"' in page
    await lab.rooms.identity.projects.create(by=ada, name="Prices", slug="prices")
    browser.headers["Cookie"] += f"; {visitors.PROJECT_COOKIE}=prices"
    chosen = (await browser.get("/account/storage")).text
    assert "s3://prices" in chosen
    assert "kv/prices/" in chosen


async def test_what_storage_tells_people_to_type_is_python(browser: httpx.AsyncClient) -> None:
    for code in (account_storage.TABLES, account_storage.FILES, account_storage.VAULT, account_storage.HANDED):
        ast.parse(code)
        assert code.splitlines()[-1] in html.unescape((await browser.get("/account/storage")).text)
