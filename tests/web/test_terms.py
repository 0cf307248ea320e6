"""Terms of use on pages and in the API: before anything else, for everybody but the operator; and never a script in them."""

import re

import httpx
import pytest

from etabli.identity import models
from etabli.web import markdown
from tests.web.lab import Lab, csrf, operator

TEXTS = {"en": "# Rules\n\nBe **kind**.\n", "fr": "# Règles\n\nSoyez *aimable*.\n"}


async def test_nobody_goes_on_before_the_terms_are_accepted(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    page = await browser.get("/admin/terms")
    form = {"csrf": csrf(page.text), **TEXTS}
    preview = await browser.post("/admin/terms", data={**form, "preview": "true"})
    assert "<strong>kind</strong>" in preview.text
    assert lab.rooms.identity.terms.current is None
    assert (await browser.post("/admin/terms", data=form)).headers["location"] == "/admin/terms?done=published"
    for path in ("/", "/catalog?search=x", "/account", "/account/security", "/admin/terms", "/oidc/authorize"):
        assert (await browser.get(path)).headers["location"].startswith("/terms"), path
    refused = await browser.get("/api/v1/services", headers={"Accept": "application/json"})
    assert (refused.status_code, refused.headers["content-type"]) == (403, "application/problem+json")
    assert "terms" in refused.json()["detail"]
    asked = await browser.get("/terms?next=/catalog")
    assert "<h2>Rules</h2>" in asked.text
    wrong = await browser.post("/terms", data={"csrf": form["csrf"], "version": "7"})
    assert wrong.status_code == 409
    done = await browser.post("/terms", data={"csrf": form["csrf"], "version": "1", "next": "/catalog"})
    assert done.headers["location"] == "/catalog"
    assert (await browser.get("/catalog")).status_code == 200
    page = await browser.get("/admin/terms")
    assert "accepted by 1 person" in page.text
    assert "I accept" not in (await browser.get("/terms")).text


async def test_anybody_reads_the_terms_in_their_language_and_a_program_accepts_them(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    await lab.rooms.identity.terms.publish(by=ada, texts=TEXTS)
    async with lab.browser() as anyone:
        page = await anyone.get("/terms", headers={"Accept-Language": "fr"})
        assert "<em>aimable</em>" in page.text
        assert "J’accepte" not in page.text
        assert 'href="/terms"' in (await anyone.get("/sign-in")).text
        held = await anyone.get("/api/v1/terms", headers={"Accept": "application/json"})
        assert held.json()["texts"] == TEXTS
    token = csrf((await browser.get("/terms")).text)
    headers = {"Accept": "application/json", "X-CSRF-Token": token}
    done = await browser.post("/api/v1/terms/acceptance", headers=headers, json={"version": 1})
    assert done.status_code == 204
    assert (await browser.get("/services")).status_code == 200


async def test_the_operator_is_not_asked_and_sees_who_accepted(lab: Lab, ada: models.User) -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=lab.web), base_url="http://portal") as socket:
        headers = operator(lab, "@admin")
        made = await socket.post("/api/v1/admin/terms", headers=headers, json={"texts": TEXTS})
        assert (made.status_code, made.json()["version"]) == (201, 1)
        assert (await socket.get("/api/v1/services", headers=headers)).status_code == 200
        await lab.rooms.identity.terms.accept(user=ada, version=1)
        (accepted,) = (await socket.get("/api/v1/admin/terms/acceptances?version=1", headers=headers)).json()
        assert (accepted["slug"], accepted["version"]) == (ada.slug, 1)
        assert (await socket.delete("/api/v1/admin/terms", headers=headers)).status_code == 204
        (version,) = (await socket.get("/api/v1/admin/terms", headers=headers)).json()
        assert version["withdrawn_at"] is not None


async def test_a_service_that_runs_goes_on_while_its_person_has_terms_to_read(lab: Lab, ada: models.User) -> None:
    service = await lab.launched(ada)
    await lab.rooms.identity.terms.publish(by=ada, texts=TEXTS)
    assert (await lab.rooms.services.get(user_id=ada.id, service_id=service.id)).id == service.id


@pytest.mark.parametrize(
    "hostile",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[x](javascript:alert(1))",
        "[x](data:text/html,<script>alert(1)</script>)",
        "![x](https://tracker.example/x.png)",
        '<a href="https://x" onclick="alert(1)">x</a>',
        "<style>*{display:none}</style>",
        "<form action=/sign-out method=post><button>x</button></form>",
    ],
)
def test_no_text_of_an_administrator_becomes_more_than_prose(hostile: str) -> None:
    shown = str(markdown.html(hostile))
    assert not re.search(r"<(script|img|style|form|button)|<[^>]*(onclick|onerror|javascript:|data:)", shown), shown


def test_prose_is_shown_as_prose_under_the_pages_own_heading() -> None:
    shown = markdown.html(
        "# One\n\n#### Deep\n\n- a\n- b\n\n| x | y |\n|---|---|\n| 1 | 2 |\n\n[in](/account) <b>no</b>\n"
    )
    for part in ("<h2>One</h2>", "<h4>Deep</h4>", "<li>a</li>", "<td>1</td>", 'href="/account"', "&lt;b&gt;no"):
        assert part in shown
