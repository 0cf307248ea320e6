"""How backups stand, told to administrators' programs and to nobody else's."""

import json

import httpx

from etabli.backup.settings import BackupSettings
from etabli.backup.standing import STATUS
from etabli.identity import models
from tests.web.lab import Lab

ROUTE = "/api/v1/admin/backups"


async def test_an_administrators_program_reads_how_backups_stand(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    answer = (await browser.get(ROUTE)).json()
    assert (answer["configured"], answer["last_at"], answer["counts"]) == (False, None, None)
    assert "no backups are made" in answer["trouble"]
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        assert (await client.get(ROUTE)).status_code == 404


async def test_the_page_says_what_the_last_backup_holds_and_what_is_wrong(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    assert "No backups are made" in (await browser.get("/admin/backups")).text
    folder = lab.rooms.backups._folder
    folder.mkdir()
    counts = {"objects": 12, "objects_read": 3, "bytes_total": 5 << 20, "bytes_written": 1 << 20}
    noted = {"last_id": "x-y", "last_at": lab.rooms.clock.now().isoformat(), "counts": counts}
    (folder / STATUS).write_text(json.dumps({**noted, "failed_at": None, "failure": "the place went away"}))
    lab.rooms.backups._settings = BackupSettings(to="/elsewhere")
    page = (await browser.get("/admin/backups")).text
    assert "The last backup failed: the place went away" in page
    assert "5\N{NO-BREAK SPACE}MiB" in page
    assert "/elsewhere" in page


async def test_a_standing_that_was_cut_while_written_is_none(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    folder = lab.rooms.backups._folder
    folder.mkdir()
    (folder / STATUS).write_text(json.dumps({"last_id": "x"})[:7])
    assert (await browser.get(ROUTE)).status_code == 200
