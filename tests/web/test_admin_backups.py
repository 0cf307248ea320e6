"""How backups stand, told to administrators' programs and to nobody else's."""

import json

import httpx

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


async def test_a_standing_that_was_cut_while_written_is_none(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    folder = lab.rooms.backups._folder
    folder.mkdir()
    (folder / STATUS).write_text(json.dumps({"last_id": "x"})[:7])
    assert (await browser.get(ROUTE)).status_code == 200
