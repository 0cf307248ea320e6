"""Taking one's data along, and leaving: what goes, what stays, and that it is finished whatever comes in between."""

import io
import json
import zipfile

import httpx
import pytest
from sqlalchemy import select

from etabli.identity import models
from etabli.kernel import database, errors
from etabli.leaving.store import Store, _is_of_people
from etabli.services.models import State
from tests.web.lab import PASSWORD, Lab, csrf, polled
from tests.web.parts import Remains


def remains(lab: Lab) -> Remains:
    """What the test's lab erases."""
    kept = lab.rooms.leaving._belongings
    assert isinstance(kept, Remains)
    return kept


async def asked(client: httpx.AsyncClient, slug: str) -> httpx.Response:
    """The end of one's account, asked for by the page."""
    page = await client.get("/account/data")
    return await client.post("/account/data/leave", data={"csrf": csrf(page.text), "slug": slug})


async def tended(lab: Lab, slug: str) -> None:
    """The background's turns, until that person's project is gone."""
    async for _ in polled():
        await lab.rooms.leaving.tend()
        if slug in remains(lab).erased:
            return


async def test_what_the_lab_keeps_of_a_person_is_taken_along_and_proves_nothing(lab: Lab, ada: models.User) -> None:
    service = await lab.launched(ada, "Prices")
    await lab.until(ada, service.id, State.READY)
    bob = await lab.person("Bob Martin", by=ada)
    await lab.launched(bob, "Bob's own")
    token = await lab.token(ada)
    async with lab.browser(token) as client:
        answer = await client.get("/account/data/export.zip")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    assert json.loads(texts["profile.json"])["slug"] == ada.slug
    assert [one["name"] for one in json.loads(texts["services.json"])] == ["Prices"]
    assert json.loads(texts["services.json"])[0]["events"]
    kept = json.loads(texts["kept.json"])
    assert kept["sessions"][0]["address"] == "127.0.0.1"
    whole = "".join(texts.values())
    assert token not in whole
    assert "Bob" not in whole
    assert "argon2" not in whole
    for rows in kept.values():
        assert not any("hash" in column or "secret" in column for row in rows for column in row)


async def test_an_account_ends_with_all_that_is_its_own_and_its_name_is_never_given_again(
    lab: Lab, ada: models.User
) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    shared = await lab.rooms.identity.projects.create(by=ada, name="Shared")
    await lab.rooms.identity.projects.set_member(by=ada, project_id=shared.id, slug=bob.slug, role=models.Role.MEMBER)
    service = await lab.launched(bob, "Prices")
    await lab.until(bob, service.id, State.READY)
    token = await lab.token(bob)
    async with lab.browser(token) as client:
        page = (await client.get("/account/data")).text
        assert "Prices" in page
        assert "Shared" in page
        wrong = await asked(client, "somebody-else")
        assert wrong.status_code == 422
        assert 'id="slug-wrong"' in wrong.text
        assert (await asked(client, bob.slug)).headers["location"] == "/"
        assert (await client.get("/account")).headers["location"].startswith("/sign-in")
    async with lab.browser() as client:
        form = {"csrf": csrf((await client.get("/sign-in")).text), "login": bob.slug, "password": PASSWORD}
        assert (await client.post("/sign-in", data=form)).status_code == 401
    await tended(lab, bob.slug)
    gone = await lab.rooms.identity.people.get(user_id=bob.id)
    assert (gone.name, gone.email, gone.slug) == ("—", None, bob.slug)
    members = await lab.rooms.identity.projects.members(by=ada, project_id=shared.id)
    assert [member.user.id for member in members] == [ada.id]
    await lab.rooms.leaving.tend()
    assert remains(lab).erased == [bob.slug]
    async with lab.rooms.leaving._store._database.session() as session:
        for table in filter(_is_of_people, database.Table.metadata.sorted_tables):
            assert not (await session.execute(select(table).where(table.c.user_id == bob.id))).all(), table.name
    again = await lab.person("Bob Martin", by=ada)
    assert again.slug == "bob-martin-2"


async def test_an_end_goes_on_when_the_store_comes_back(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        await asked(client, bob.slug)
    remains(lab).away = True
    await lab.rooms.leaving.tend()
    assert (await lab.rooms.identity.people.get(user_id=bob.id)).name == "Bob Martin"
    remains(lab).away = False
    await tended(lab, bob.slug)
    assert (await lab.rooms.identity.people.get(user_id=bob.id)).name == "—"


async def test_who_is_a_projects_last_owner_hands_it_over_first(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    await lab.rooms.identity.projects.create(by=bob, name="Shared by Bob")
    async with lab.browser(await lab.token(bob)) as client:
        page = (await client.get("/account/data")).text
        assert "would have no owner: Shared by Bob" in page
        assert "/account/data/leave" not in page
        assert (await asked(client, bob.slug)).status_code == 409
    await lab.rooms.leaving.tend()
    assert remains(lab).erased == []


async def test_the_last_administrator_stays(lab: Lab, ada: models.User) -> None:
    with pytest.raises(errors.Conflict):
        await lab.rooms.leaving.leave(user=ada, typed=ada.slug)
    assert await lab.rooms.leaving._store.begun() == ()
    assert isinstance(lab.rooms.leaving._store, Store)
