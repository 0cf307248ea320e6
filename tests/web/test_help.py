"""The guides, as pages of the lab; the statement on accessibility."""

import re

import httpx
import pytest

from etabli.web.guides import GUIDES
from tests.web.lab import Lab


async def test_a_guide_is_read_by_anybody_in_their_language(lab: Lab) -> None:
    async with lab.browser() as client:
        assert (await client.get("/help")).headers["location"] == "/help/user"
        english = (await client.get("/help/user")).text
        french = (await client.get("/help/user", headers={"Accept-Language": "fr"})).text
        settings = (await client.get("/help/settings", headers={"Accept-Language": "fr"})).text
    assert 'id="your-files-s3"' in english
    assert 'lang="fr"' in french
    assert "Vos fichiers" in french
    assert "Ce guide est en anglais" in settings


@pytest.mark.parametrize("name", sorted(GUIDES))
async def test_no_link_of_a_guide_leads_nowhere(lab: Lab, browser: httpx.AsyncClient, name: str) -> None:
    page = (await browser.get(f"/help/{name}")).text
    for target in set(re.findall(r'href="(/help[^"#]*)', page)):
        assert (await browser.get(target)).status_code in (200, 303), target
    assert ".md" not in "".join(re.findall(r'href="([^":]*)"', page))


async def test_there_is_no_other_guide(browser: httpx.AsyncClient) -> None:
    for name in ("nope", "..%2f..%2fpyproject.toml", "%2e%2e"):
        assert (await browser.get(f"/help/{name}")).status_code == 404


async def test_who_is_stopped_by_something_reads_whom_to_tell(lab: Lab) -> None:
    async with lab.browser() as client:
        page = (await client.get("/accessibility", headers={"Accept-Language": "fr"})).text
    assert "RGAA" in page
    assert "Défenseur des droits" in page
