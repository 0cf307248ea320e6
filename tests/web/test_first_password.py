"""Who came in another way chooses a first password; an account that has ended stays ended."""

from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from sqlalchemy import update

from etabli.identity import models
from etabli.identity.store import SessionRow, UserRow
from etabli.kernel import errors
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.settings import Layout
from tests.web.lab import PASSWORD, Lab, csrf

NEW = "another phrase, as long"


async def changed(folder: Path, **values: object) -> None:
    """The account, as if it had come in by a provider."""
    database = Database(sqlite_url(Layout(data=folder / "data", run=folder / "run").database))
    async with database.session() as session:
        await session.execute(update(UserRow).values(**values))
    await database.close()


async def test_a_first_password_is_chosen_without_another_and_lets_in(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    await changed(tmp_path, password_hash=None)
    page = await browser.get("/account/security")
    assert 'id="current"' not in page.text
    wrong = await browser.post("/account/password", data={"csrf": csrf(page.text), "new": "short"})
    assert 'id="new-wrong"' in wrong.text
    answer = await browser.post("/account/password", data={"csrf": csrf(page.text), "new": NEW})
    assert answer.headers["location"].endswith("done=password")
    await lab.rooms.identity.sessions.sign_in(login=ada.slug, password=NEW, address="192.0.2.1")
    assert 'id="current"' in (await browser.get("/account/security")).text
    with pytest.raises(errors.Conflict):
        await lab.rooms.identity.people.choose_password(user_id=ada.id, new=PASSWORD, session_id=None)


async def test_a_session_that_somebody_left_open_cannot_choose_one(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, tmp_path: Path
) -> None:
    await changed(tmp_path, password_hash=None)
    page = await browser.get("/account/security")
    database = Database(sqlite_url(Layout(data=tmp_path / "data", run=tmp_path / "run").database))
    async with database.session() as session:
        await session.execute(update(SessionRow).values(proved_at=lab.rooms.clock.now() - timedelta(hours=1)))
    await database.close()
    answer = await browser.post("/account/password", data={"csrf": csrf(page.text), "new": NEW})
    assert answer.headers["location"].startswith("/prove")
    assert not (await lab.rooms.identity.people.ways(user_id=ada.id)).password


async def test_an_account_that_has_ended_is_not_let_in_again(lab: Lab, ada: models.User, tmp_path: Path) -> None:
    bob = await lab.person("Bob", by=ada)
    database = Database(sqlite_url(Layout(data=tmp_path / "data", run=tmp_path / "run").database))
    async with database.session() as session:
        await session.execute(update(UserRow).where(UserRow.id == bob.id).values(name="—"))
    await database.close()
    with pytest.raises(errors.Conflict, match="ended"):
        await lab.rooms.identity.people.restore(by=ada, user_id=bob.id)
