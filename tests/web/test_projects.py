"""Projects as their people meet them: pages, links, roles, the switcher, and what each role is shown."""

import asyncio
import re

import httpx
import pytest

from etabli.identity import keys, models
from etabli.identity.models import Role
from etabli.services import models as services
from etabli.web import markdown, visitors
from tests.web.lab import Lab, csrf, polled

LINK = re.compile(r"/welcome\?token=([\w-]+)")


async def token_of(client: httpx.AsyncClient) -> str:
    """The token of the forms of that session."""
    return csrf((await client.get("/account")).text)


async def post(client: httpx.AsyncClient, path: str, **fields: str) -> httpx.Response:
    """Send a form of that session."""
    return await client.post(path, data={"csrf": await token_of(client), **fields})


@pytest.fixture
async def project(lab: Lab, ada: models.User) -> models.Project:
    return await lab.rooms.identity.projects.create(by=ada, name="Prices of bread", slug="bread")


async def member(lab: Lab, ada: models.User, project: models.Project, role: Role, name: str = "Bob") -> models.User:
    """Somebody in the project."""
    user = await lab.person(name, by=ada)
    await lab.rooms.identity.projects.set_member(by=ada, project_id=project.id, slug=user.slug, role=role)
    return user


async def test_a_project_is_made_chosen_and_described(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    made = await post(
        browser,
        "/projects",
        name="Prix du « pain »",
        slug="pain",
        data_class="personal",
        description="# Why\n\n*Bread*",
    )
    assert (made.status_code, made.headers["location"]) == (303, "/projects/pain?done=created")
    assert f"{visitors.PROJECT_COOKIE}=pain" in made.headers["set-cookie"]
    page = await browser.get("/projects/pain?done=created")
    assert "<h2>Why</h2>" in page.text
    assert "<em>Bread</em>" in page.text
    assert 'class="holds said"' in page.text
    assert "s3://pain" in page.text
    changed = await post(browser, "/projects/pain/settings", name="Pain", data_class="open", description="")
    assert changed.headers["location"] == "/projects/pain?done=described"
    project = (await lab.rooms.identity.projects.require_slug(user_id=ada.id, slug="pain")).project
    assert (project.name, project.data_class, project.description) == ("Pain", "open", "")


async def test_a_project_that_cannot_be_made_keeps_what_was_typed(browser: httpx.AsyncClient) -> None:
    for fields, fault in (
        ({"name": ""}, "name-wrong"),
        ({"name": "x" * 300}, "name-wrong"),
        ({"name": "Bread", "slug": "Not A Slug"}, "slug-wrong"),
        ({"name": "Bread", "slug": "new"}, "slug-wrong"),
        ({"name": "Bread", "slug": "ada-lovelace"}, "slug-wrong"),
        ({"name": "Bread", "data_class": "secret"}, "data_class-wrong"),
        ({"name": "Bread", "description": "x" * 10_001}, "description-wrong"),
    ):
        refused = await post(browser, "/projects", **fields)
        assert refused.status_code in (409, 422), fields
        assert f'id="{fault}"' in refused.text, fields
        assert f'value="{fields["name"]}"' in refused.text


async def test_a_link_brings_a_person_of_the_lab_into_the_project_once(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, project: models.Project
) -> None:
    made = await post(browser, "/projects/bread/invitations", role="viewer", days="7", uses="1")
    found = LINK.search(made.text)
    assert found is not None
    link = f"/welcome?token={found[1]}"
    assert found[1] not in (await browser.get("/projects/bread")).text, "it is shown this once"
    bob, eve = await lab.person("Bob", by=ada), await lab.person("Eve", by=ada)
    async with lab.browser(await lab.token(bob)) as his, lab.browser(await lab.token(eve)) as hers:
        assert "Prices of bread" in (await his.get(link)).text
        joined = await post(his, "/welcome/join", token=found[1])
        assert joined.headers["location"] == "/projects/bread?done=joined"
        assert f"{visitors.PROJECT_COOKIE}=bread" in joined.headers["set-cookie"]
        assert (await his.get("/projects/bread")).status_code == 200
        assert (await post(hers, "/welcome/join", token=found[1])).status_code == 404
        assert (await hers.get("/projects/bread")).status_code == 404


async def test_a_newcomer_by_a_projects_link_lands_in_the_project(
    lab: Lab, ada: models.User, project: models.Project
) -> None:
    invited = await lab.rooms.identity.invitations.invite(by=ada, lifetime=keys.LONGEST_TOKEN, project_id=project.id)
    async with lab.browser() as client:
        page = await client.get("/welcome", params={"token": invited.token})
        assert f"/sign-in?next=%2Fwelcome%3Ftoken%3D{invited.token}" in page.text
        form = {"csrf": csrf(page.text), "token": invited.token, "name": "Bob", "password": "une phrase assez longue"}
        answer = await client.post("/welcome", data=form)
        assert answer.headers["location"] == "/projects/bread?done=joined"
        cookies = answer.headers.get_list("set-cookie")
        assert any(one.startswith(f"{visitors.PROJECT_COOKIE}=bread") for one in cookies)


async def test_a_link_that_was_taken_back_opens_nothing(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, project: models.Project
) -> None:
    made = await post(browser, "/projects/bread/invitations", role="member", days="1", uses="3")
    token = LINK.search(made.text)
    (invitation,) = await lab.rooms.identity.invitations.list(by=ada, project_id=project.id)
    assert invitation.uses_left == 3
    assert token is not None
    other = await lab.rooms.identity.projects.create(by=ada, name="Other", slug="other")
    elsewhere = await post(browser, f"/projects/{other.slug}/invitations/{invitation.id}/end")
    assert elsewhere.status_code == 404
    await post(browser, f"/projects/bread/invitations/{invitation.id}/end")
    assert (await browser.get(f"/welcome?token={token[1]}")).status_code == 404


@pytest.mark.parametrize("fields", [{"uses": "0"}, {"uses": "9999999"}, {"uses": "x"}, {"role": "king"}])
async def test_a_link_out_of_bounds_is_refused_at_its_field(
    browser: httpx.AsyncClient, project: models.Project, fields: dict[str, str]
) -> None:
    given = {"role": "member", "days": "7", "uses": "1", **fields}
    refused = await post(browser, "/projects/bread/invitations", **given)
    assert refused.status_code == 422
    assert "/welcome?token=" not in refused.text


async def test_a_member_removed_finds_nothing_there_any_more(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, project: models.Project
) -> None:
    bob = await member(lab, ada, project, Role.MEMBER)
    launch = services.Launch(project_id=project.id, catalog="ide", chart="notebook", name="Ours")
    service = await lab.rooms.services.launch(user_id=bob.id, launch=launch)
    async with lab.browser(await lab.token(bob)) as his:
        his.headers["Cookie"] += f"; {visitors.PROJECT_COOKIE}=bread"
        assert "Ours" in (await his.get("/services")).text
        assert (await post(browser, f"/projects/bread/members/{bob.id}/remove")).status_code == 303
        gone = [await his.get(path) for path in ("/projects/bread", f"/services/{service.id}", "/projects/never")]
        assert {answer.status_code for answer in gone} == {404}
        assert "Ours" not in (await his.get("/services")).text
        assert (await his.get("/api/v1/services?project=bread")).status_code == 404
    assert await lab.until(ada, service.id, services.State.READY)


async def test_logs_that_a_member_follows_end_when_they_are_removed(
    lab: Lab, ada: models.User, project: models.Project
) -> None:
    bob = await member(lab, ada, project, Role.VIEWER)
    launch = services.Launch(project_id=project.id, catalog="ide", chart="notebook", name="Ours")
    service = await lab.rooms.services.launch(user_id=ada.id, launch=launch)
    await lab.until(ada, service.id, services.State.READY)
    heard: list[str] = []

    async def follow() -> None:
        async for line in lab.rooms.services.logs(user_id=bob.id, service_id=service.id, follow=True):
            heard.append(line.text)  # noqa: PERF401 - Read while it is filled.

    following = asyncio.create_task(follow())
    await lab.engine.write(service.id, "before")
    async for _ in polled():
        if "before" in heard:
            break
    await lab.rooms.identity.projects.remove_member(by=ada, project_id=project.id, user_id=bob.id)
    await asyncio.wait_for(following, 20)
    await lab.engine.write(service.id, "after")
    assert "after" not in heard


async def test_the_last_owner_cannot_leave_and_is_told_to_hand_over(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, project: models.Project
) -> None:
    bob = await member(lab, ada, project, Role.MEMBER)
    refused = await post(browser, "/projects/bread/leave")
    assert refused.status_code == 409
    assert "hand it over" in refused.text.lower()
    handed = await post(browser, "/projects/bread/hand-over", user=bob.id)
    assert handed.headers["location"] == "/projects/bread?done=handed-over"
    assert (await post(browser, "/projects/bread/settings", name="Mine")).status_code == 403
    assert (await post(browser, "/projects/bread/leave")).headers["location"] == "/projects?done=left"
    assert (await browser.get("/projects/bread")).status_code == 404


async def test_an_archived_project_is_read_and_no_more_until_it_is_opened_again(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, project: models.Project
) -> None:
    launch = services.Launch(project_id=project.id, catalog="ide", chart="notebook", name="Ours")
    service = await lab.rooms.services.launch(user_id=ada.id, launch=launch)
    await lab.until(ada, service.id, services.State.READY)
    await post(browser, "/projects/bread/archive")
    await lab.until(ada, service.id, services.State.STOPPED)
    page = await browser.get("/projects/bread?done=archived")
    assert "Ours" in page.text
    assert "/projects/bread/invitations" not in page.text
    assert (await browser.get(f"/services/{service.id}")).status_code == 200
    assert (await post(browser, f"/services/{service.id}/resume")).status_code == 403
    assert (await post(browser, "/project", project="bread")).headers.get("set-cookie") is None
    assert "Archived" in (await browser.get("/projects")).text
    await post(browser, "/projects/bread/reopen")
    await post(browser, f"/services/{service.id}/resume")
    assert await lab.until(ada, service.id, services.State.READY)


async def test_who_only_looks_is_shown_nothing_that_would_be_refused(
    lab: Lab, ada: models.User, project: models.Project
) -> None:
    bob = await member(lab, ada, project, Role.VIEWER)
    launch = services.Launch(project_id=project.id, catalog="ide", chart="notebook", name="Ours")
    service = await lab.rooms.services.launch(user_id=ada.id, launch=launch)
    async with lab.browser(await lab.token(bob)) as his:
        his.headers["Cookie"] += f"; {visitors.PROJECT_COOKIE}=bread"
        for path in ("/", "/services", "/catalog", "/projects/bread", f"/services/{service.id}"):
            page = await his.get(path)
            assert page.status_code == 200, path
            for never in ("/launcher/", 'href="/catalog" class="button', f"/services/{service.id}/stop", '/settings"'):
                assert never not in page.text, (path, never)
            assert "/members/" not in page.text
        assert (await his.get("/launcher/ide/notebook")).status_code == 403
        for path in ("settings", "archive", "reopen", "hand-over", f"members/{ada.id}/remove", "invitations"):
            refused = await post(his, f"/projects/bread/{path}", user=bob.id, role="owner", name="Mine")
            assert refused.status_code in (403, 422), path


@pytest.mark.parametrize(
    ("here", "there"),
    [
        ("/catalog?search=x", "/catalog?search=x"),
        ("/", "/"),
        ("/projects", "/projects"),
        ("/projects/ada-lovelace", "/projects/bread"),
        ("/projects/ada-lovelace/settings", "/projects/bread"),
        ("/services/abc", "/services"),
        ("/launcher/ide/notebook", "/launcher/ide/notebook"),
        ("//evil.example", "/"),
    ],
)
async def test_the_switcher_keeps_the_page_where_the_other_project_has_it(
    browser: httpx.AsyncClient, project: models.Project, here: str, there: str
) -> None:
    answer = await post(browser, "/project", project="bread", next=here)
    assert answer.headers["location"] == there
    assert f"{visitors.PROJECT_COOKIE}=bread" in answer.headers["set-cookie"]


async def test_the_switcher_changes_the_services_and_the_launch_form_at_once(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient, project: models.Project
) -> None:
    await lab.launched(ada, "Mine alone")
    assert "Mine alone" in (await browser.get("/services")).text
    browser.headers["Cookie"] += f"; {visitors.PROJECT_COOKIE}=bread"
    assert "Mine alone" not in (await browser.get("/services")).text
    page = (await browser.get("/launcher/ide/notebook")).text
    assert "In the project Prices of bread" in page
    assert "--project bread" in page
    assert 'class="holds"' in page


async def test_another_persons_project_answers_as_one_that_does_not_exist(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob", by=ada)
    hers = await lab.rooms.identity.projects.create(by=ada, name="Hers", slug="hers")
    async with lab.browser(await lab.token(bob)) as client:
        for path in ("hers", "never", ada.slug):
            assert (await client.get(f"/projects/{path}")).status_code == 404
            assert (await client.get(f"/projects/{path}/settings")).status_code == 404
            for act in ("settings", "archive", "reopen", "hand-over", "leave", f"members/{ada.id}/remove"):
                assert (await post(client, f"/projects/{path}/{act}", name="x")).status_code == 404, act
            api = f"/api/v1/projects/{path}"
            assert {(await client.get(api + part)).status_code for part in ("", "/members", "/invitations")} == {404}
    assert hers


async def test_programs_do_all_that_pages_do(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    headers = {"X-CSRF-Token": (await browser.get("/api/v1/me")).json()["csrf"]}
    await lab.person("Bob", by=ada)
    made = await browser.post("/api/v1/projects", json={"name": "Bread", "data_class": "open"}, headers=headers)
    assert (made.status_code, made.json()["data_class"]["name"]) == (201, "Open data")
    api = "/api/v1/projects/bread"
    changed = await browser.patch(api, json={"description": "All of it"}, headers=headers)
    assert (changed.json()["name"], changed.json()["description"]) == ("Bread", "All of it")
    assert (await browser.put(f"{api}/members/bob", json={"role": "viewer"}, headers=headers)).status_code == 204
    assert [one["role"] for one in (await browser.get(f"{api}/members")).json()] == ["owner", "viewer"]
    link = (await browser.post(f"{api}/invitations", json={"uses": 2}, headers=headers)).json()
    (listed,) = (await browser.get(f"{api}/invitations")).json()
    assert (listed["id"], listed["link"], listed["uses_left"]) == (link["id"], None, 2)
    assert (await browser.delete(f"{api}/invitations/{link['id']}", headers=headers)).status_code == 204
    handed = await browser.post(f"{api}/hand-over", json={"member": "bob"}, headers=headers)
    assert handed.json()["role"] == "member"
    assert (await browser.post(f"{api}/archive", headers=headers)).status_code == 403
    assert (await browser.delete(f"{api}/members/{ada.slug}", headers=headers)).status_code == 204
    assert (await browser.get(api)).status_code == 404
    assert {one["id"] for one in (await browser.get("/api/v1/data-classes")).json()} >= {"open", "personal"}


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "[x](javascript:alert(1))",
        "![x](http://evil.example/a.png)",
        '<img src=x onerror="alert(1)">',
        "[x](data:text/html,<script>1</script>)",
        '<a href="#" style="position:fixed">x</a>',
    ],
)
def test_a_description_carries_no_script_no_style_and_no_image(attack: str) -> None:
    shown = markdown.html(attack)
    assert not re.search(r"<(script|img)|<a[^>]*(javascript|data):|<[^>]*(style|onerror)=", shown)
