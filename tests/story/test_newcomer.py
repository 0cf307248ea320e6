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
    service_id = _launch_from_the_catalogue(lab, page)
    with context.expect_page() as opened:
        page.get_by_role("link", name="Open (new tab)").click()
    notebook = opened.value
    notebook.wait_for_url(re.compile(rf"http://[a-z0-9-]*{service_id}-0\.svc\.etabli\.localhost:{lab.port}/lab.*"))
    _run_the_notebook(notebook)
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


def _launch_from_the_catalogue(lab: labs.Lab, page: Page) -> str:
    page.goto(f"{lab.origin}/catalog")
    page.get_by_role("link", name=re.compile("jupyter-python", re.IGNORECASE)).first.click()
    page.get_by_label("Name").first.fill("start here")
    page.get_by_label("At most").first.fill("2")
    page.locator("#launch").get_by_role("button", name="Launch", exact=True).click()
    page.wait_for_url(re.compile(r".*/services/[a-z0-9]+$"))
    service_id = page.url.rpartition("/")[2]
    expect(page.get_by_role("link", name="Open (new tab)")).to_be_visible(timeout=labs.BUILD_SECONDS * 1000)
    return service_id


def _run_the_notebook(page: Page) -> None:
    """Every cell of the notebook that is there at the first launch, as a person runs them."""
    page.goto(page.url.partition("/lab")[0] + "/lab/tree/start-here.ipynb")
    expect(page.get_by_text(re.compile("ipykernel.*Idle"))).to_be_visible(timeout=60_000)  # Earlier, nothing is run.
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.get_by_role("menuitem", name="Run").first.click()
    page.get_by_text("Run All Cells", exact=True).click()
    done = page.locator(".jp-CodeCell .jp-InputPrompt", has_text=re.compile(r"\[\d+\]:"))
    expect(done).to_have_count(page.locator(".jp-CodeCell").count(), timeout=120_000)
    assert page.locator(".jp-RenderedText[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0


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
