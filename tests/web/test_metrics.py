"""What the lab measures of itself: few series, right numbers, and for whom."""

import re

import httpx
import pytest

from etabli.identity import models
from etabli.identity.token_models import Scope
from etabli.kernel.clock import ManualClock
from etabli.kernel.events import Event
from etabli.services.models import State
from etabli.web.measures import Histogram, Measures
from tests.web.lab import Lab, operator

SAMPLE = re.compile(r"^([a-z_]+)(?:\{(.*)\})? ([0-9.e+-]+|NaN|\+Inf)$")


async def scraped(lab: Lab, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=lab.web)
    async with httpx.AsyncClient(transport=transport, base_url="http://portal", headers=headers) as client:
        return await client.get("/metrics")


def samples(text: str) -> dict[str, float]:
    """Every series by its name and labels."""
    found: dict[str, float] = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            matched = SAMPLE.match(line)
            assert matched, line
            found[matched[1] + (f"{{{matched[2]}}}" if matched[2] else "")] = float(matched[3])
    return found


async def test_it_tells_requests_by_route_services_by_state_and_launches(lab: Lab, ada: models.User) -> None:
    service = await lab.launched(ada)
    await lab.until(ada, service.id, State.READY)
    async with lab.browser(await lab.token(ada)) as browser:
        await browser.get(f"/services/{service.id}")
        await browser.get("/services/nope")
        await browser.get("/no/such/page")
    answer = await scraped(lab, dict(operator(lab, "@admin")))
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = samples(answer.text)
    assert found['etabli_http_requests_total{method="GET",route="/services/{service_id}",status="200"}'] == 1
    assert found['etabli_http_requests_total{method="GET",route="/services/{service_id}",status="404"}'] == 1
    assert found['etabli_http_requests_total{method="GET",route="-",status="404"}'] == 1
    assert found['etabli_services{state="ready"}'] == 1
    assert found['etabli_launches_total{outcome="ready"}'] == 1
    assert found["etabli_launch_seconds_count"] == 1
    assert found['etabli_engine_cores{what="total"}'] == 8
    assert found['etabli_component_starts{component="caddy"}'] == 3
    assert found["process_resident_memory_bytes"] > 0
    assert service.id not in answer.text
    assert ada.slug not in answer.text


async def test_it_is_there_for_the_operator_and_for_programs_of_administrators_alone(
    lab: Lab, ada: models.User
) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    tokens = lab.rooms.identity.access_tokens
    good = (await tokens.issue(by=ada, name="x", scopes=(Scope.ADMIN,), days=1)).secret
    narrow = (await tokens.issue(by=ada, name="x", scopes=(Scope.READ,), days=1)).secret
    others = (await tokens.issue(by=bob, name="x", scopes=(Scope.READ,), days=1)).secret
    assert (await scraped(lab, dict(operator(lab, bob.slug)))).status_code == 404
    async with lab.browser() as client:
        for secret, status in ((good, 200), (narrow, 404), (others, 404), ("etabli_wrong", 401)):
            answer = await client.get("/metrics", headers={"Authorization": f"Bearer {secret}"})
            assert answer.status_code == status, secret
        assert (await client.get("/metrics")).status_code == 404
    async with lab.browser(await lab.token(ada)) as client:
        assert (await client.get("/metrics")).status_code == 404


def test_a_launch_is_timed_from_its_click_to_its_first_answer() -> None:
    clock = ManualClock()
    measures = Measures(clock)
    for detail, seconds in (("launched", 3), ("building", 0), ("ready", 10), ("ready", 0), ("failed", 0)):
        measures.hear(Event(topic="service", subject="s1", project="p", detail=detail))
        clock._elapsed += type(clock._elapsed)(seconds=seconds)
    measures.hear(Event(topic="build", subject="x", detail="ready"))
    assert dict(measures.launches) == {"launched": 1, "ready": 1}
    assert dict(measures.builds) == {"building": 1}
    assert measures.launch_seconds.sum == 3


def test_launches_that_never_end_are_not_followed_for_ever() -> None:
    measures = Measures(ManualClock())
    for number in range(2500):
        measures.hear(Event(topic="service", subject=f"s{number}", project="p", detail="launched"))
    assert len(measures._waiting) == 1000


@pytest.mark.parametrize(("value", "place"), [(0.0, 0), (1.0, 0), (1.1, 1), (9.0, 2)])
def test_a_histogram_counts_at_its_bound(value: float, place: int) -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe(value)
    assert histogram.counts[place] == 1
    assert histogram.cumulative()[-1] == ("+Inf", 1.0)
