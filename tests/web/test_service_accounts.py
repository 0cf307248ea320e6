"""A project's service accounts on their page, and what their programs do by the API, as themselves."""

import re

import httpx

from etabli.identity import models
from etabli.services.models import State
from tests.web.lab import Lab, csrf
from tests.web.test_tokens import program


async def test_a_nightly_job_works_in_its_project_as_itself(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    project = await lab.rooms.identity.projects.create(by=ada, name="Prices")
    page = f"/projects/{project.slug}/service-accounts"
    token = csrf((await browser.get(page)).text)
    refused = await browser.post(page, data={"csrf": token, "name": "No Spaces", "role": "member"})
    assert (refused.status_code, 'value="No Spaces"' in refused.text) == (422, True)
    assert (await browser.post(page, data={"csrf": token, "name": "x", "role": "owner"})).status_code == 422
    assert (await browser.post(page, data={"csrf": token, "name": "nightly", "role": "member"})).status_code == 303
    listed = (await browser.get(page)).text
    (account_id,) = re.findall(r"service-accounts/(\w+)/end", listed)
    made = await browser.post(f"{page}/{account_id}/tokens", data={"csrf": token, "name": "cron", "days": "30"})
    secret = re.search(r"etabli_sat_\w{49}", made.text)
    assert secret is not None
    assert secret[0] not in (await browser.get(page)).text
    async with program(lab, secret[0]) as client:
        me = (await client.get("/api/v1/me")).json()
        assert (me["slug"], [one["slug"] for one in me["projects"]]) == ("nightly.prices", ["prices"])
        launched = (await client.post("/api/v1/services", json={"chart": "notebook", "name": "Nightly"})).json()
        assert launched["project"] == "prices"
        await lab.until(ada, launched["id"], State.READY)
        assert (await client.get("/api/v1/services")).json()[0]["id"] == launched["id"]
        assert (await client.get("/api/v1/services", params={"project": ada.slug})).status_code == 404
        assert (await client.post("/api/v1/projects", json={"name": "Mine"})).status_code == 403
        assert (await browser.post(f"{page}/{account_id}/end", data={"csrf": token})).status_code == 303
        assert (await client.get("/api/v1/services")).status_code == 401
    assert (await lab.rooms.services.get(user_id=ada.id, service_id=launched["id"])).name == "Nightly"
