"""The JSON API: what it answers, and refuses. Who may call which route is in `test_access.py`."""

import httpx
import pytest

from etabli.identity import models
from etabli.services.models import State
from etabli.web.problems import MEDIA_TYPE
from tests.web.lab import Lab


async def headers_of(browser: httpx.AsyncClient) -> dict[str, str]:
    """What an unsafe request of the session carries."""
    return {"X-CSRF-Token": (await browser.get("/api/v1/me")).json()["csrf"]}


async def test_a_service_is_launched_listed_changed_and_deleted(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    headers = await headers_of(browser)
    asked = {"chart": "notebook", "name": "By API", "values": {"resources": {"limits": {"memory": "8Gi"}}}}
    launched = await browser.post("/api/v1/services", json=asked, headers=headers)
    assert launched.status_code == 201
    service_id = launched.json()["id"]
    await lab.until(ada, service_id, State.READY)
    (listed,) = (await browser.get("/api/v1/services")).json()
    assert (listed["name"], listed["state"], listed["project"]) == ("By API", "ready", ada.slug)
    assert listed["limits"]["memory_bytes"] == 8 << 30
    address = f"/api/v1/services/{service_id}"
    changed = await browser.request(
        "PATCH", address, json={"name": "Renamed", "expires_at": "2100-01-01T00:00:00Z"}, headers=headers
    )
    assert changed.json()["name"] == "Renamed"
    assert changed.json()["expires_at"].startswith("2100-01-01")
    history = [event["kind"] for event in (await browser.get(address + "/history")).json()]
    assert history[-1] == "launched"
    assert (await browser.post(address + "/stop", headers=headers)).status_code == 200
    assert (await browser.delete(address, headers=headers)).status_code == 204


async def test_a_refusal_is_a_problem_with_its_hint_and_fields(browser: httpx.AsyncClient) -> None:
    headers = await headers_of(browser)
    asked = {"chart": "notebook", "values": {"resources": {"limits": {"memory": "9000Gi"}}}}
    answer = await browser.post("/api/v1/services", json=asked, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == MEDIA_TYPE
    problem = answer.json()
    assert problem["status"] == 422
    assert problem["hint"]
    assert list(problem["fields"]) == ["resources.limits.memory"]
    assert problem["request"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"chart": 1}', b'{"chart": "notebook", "extra": 1}', b'{"chart": "' + b"x" * 200 + b'"}']
)
async def test_a_body_that_is_no_launch_is_refused(browser: httpx.AsyncClient, body: bytes) -> None:
    headers = {**await headers_of(browser), "Content-Type": "application/json"}
    answer = await browser.post("/api/v1/services", content=body, headers=headers)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == MEDIA_TYPE


async def test_a_moment_without_its_time_zone_is_refused(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada)
    body = {"expires_at": "2100-01-01T00:00:00"}
    answer = await browser.request(
        "PATCH", f"/api/v1/services/{service.id}", json=body, headers=await headers_of(browser)
    )
    assert answer.status_code == 422


async def test_a_session_changes_nothing_without_its_token(browser: httpx.AsyncClient) -> None:
    for headers in ({}, {"X-CSRF-Token": "x"}):
        answer = await browser.post("/api/v1/services", json={"chart": "notebook"}, headers=headers)
        assert answer.status_code == 403
    assert (await browser.get("/api/v1/services")).json() == []


async def test_another_persons_service_and_project_do_not_exist(lab: Lab, ada: models.User) -> None:
    service = await lab.launched(ada)
    bob = await lab.person("Bob Martin", by=ada)
    async with lab.browser(await lab.token(bob)) as client:
        headers = await headers_of(client)
        answers = [
            await client.get(f"/api/v1/services/{service.id}"),
            await client.request("PATCH", f"/api/v1/services/{service.id}", json={"name": "mine"}, headers=headers),
            await client.post(f"/api/v1/services/{service.id}/stop", headers=headers),
            await client.delete(f"/api/v1/services/{service.id}", headers=headers),
            await client.get("/api/v1/services", params={"project": ada.slug}),
            await client.get("/api/v1/events", params={"project": ada.slug}),
            await client.post("/api/v1/services", json={"chart": "notebook", "project": ada.slug}, headers=headers),
        ]
    assert {answer.status_code for answer in answers} == {404}


async def test_the_catalogue_tells_charts_their_schema_and_their_form(browser: httpx.AsyncClient) -> None:
    (catalog,) = (await browser.get("/api/v1/catalogs")).json()
    assert {chart["name"] for chart in catalog["charts"]} == {"notebook", "database", "broken"}
    schema = (await browser.get("/api/v1/catalogs/ide/charts/notebook/schema")).json()
    assert schema["properties"]["resources"]["type"] == "object"
    form = (await browser.get("/api/v1/catalogs/ide/charts/notebook/form")).json()
    assert form["main"]["nodes"]


async def test_the_description_names_every_route_of_the_api(lab: Lab, browser: httpx.AsyncClient) -> None:
    described = (await browser.get("/api/v1/openapi.json")).json()["paths"]
    assert {"/api/v1/me", "/api/v1/services", "/api/v1/services/{service_id}", "/api/v1/catalogs"} <= set(described)
    assert not [path for path in described if not path.startswith("/api/v1/")]
