"""The newcomer's story, from the first link to a lab killed whole: one lab, two people, real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from playwright.sync_api import Browser, Page, expect, sync_playwright

from etabli.components import seaweedfs
from etabli.kernel import settings
from tests import lab as labs
from tests import newcomer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(1200)]
RESULT = "start-here/delays-by-month.parquet"


@pytest.fixture(scope="module")
def lab() -> Iterator[labs.Lab]:
    with labs.lab() as made:
        made.up()
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright, labs.chromium(playwright) as opened:
        yield opened


def test_a_newcomer_reads_real_data_in_a_notebook_and_nothing_is_lost(
    lab: labs.Lab, browser: Browser, tmp_path: Path
) -> None:
    context, page = labs.join(lab, browser, lab.link, "Alice Martin")
    newcomer.open_the_form(lab, page, name="start here")
    service_id = newcomer.launch(page)
    notebook = newcomer.open_the_notebook(context, page)
    assert re.match(rf"http://[a-z0-9-]*{service_id}-0\.svc\.etabli\.localhost:{lab.port}/lab.*", notebook.url)
    newcomer.run_all_cells(notebook)
    assert RESULT in _bucket(lab, "alice-martin")

    _a_second_person_sees_nothing(lab, browser, notebook, service_id)

    page.goto(f"{lab.origin}/services/{service_id}/delete")
    page.get_by_role("button", name="Delete").click()
    page.wait_for_url(f"{lab.origin}/services*")
    expect(page.get_by_text("start here")).to_have_count(0, timeout=30_000)
    assert RESULT in _bucket(lab, "alice-martin")

    kept = lab.launch("--name", "kept")
    assert lab.kill_everything() > 8
    lab.up()
    lab.until_state(kept, "ready")
    page.goto(f"{lab.origin}/services")
    expect(page.get_by_role("link", name="kept", exact=True)).to_be_visible()
    assert RESULT in _bucket(lab, "alice-martin")
    context.close()


def _a_second_person_sees_nothing(lab: labs.Lab, browser: Browser, alices: Page, service_id: str) -> None:
    context, page = labs.join(lab, browser, lab.etabli("--as", "alice-martin", "invite").strip(), "Bob")
    page.goto(f"{lab.origin}/services")
    expect(page.get_by_text("start here")).to_have_count(0)
    answers = []
    for unknown in (service_id, "abcdefghij"):
        response = page.goto(f"{lab.origin}/services/{unknown}")
        assert response is not None
        answers.append((response.status, page.inner_text("main").replace(unknown, "")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    response = page.goto(alices.url)
    assert response is not None
    assert response.status == 404
    context.close()


def _bucket(lab: labs.Lab, name: str) -> list[str]:
    """What a bucket holds, asked by the lab's own key."""
    keys = seaweedfs.keys(settings.Layout(data=lab.data, run=lab.run))
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{lab.port}",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name="eu-west-3",
        config=Config(s3={"addressing_style": "path"}),
    )
    client.meta.events.register(
        "before-sign.s3", lambda request, **_: request.headers.__setitem__("Host", f"s3.etabli.localhost:{lab.port}")
    )
    return [item["Key"] for item in client.list_objects_v2(Bucket=name).get("Contents", [])]
