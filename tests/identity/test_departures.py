"""Who lost rights is written down with the change itself, and taken off the list with them."""

from datetime import timedelta

import pytest

from etabli.identity import grants, models
from etabli.identity.models import Role
from etabli.identity.outside.settings import ProjectRule
from tests.identity.lab import Lab


@pytest.fixture
async def project(lab: Lab, admin: models.User) -> models.Project:
    return await lab.identity.projects.create(by=admin, name="Flights")


async def listed(lab: Lab, project: models.Project) -> list[tuple[str, Role | None]]:
    """Who is on the list of that project, with what they kept."""
    found = (await lab.identity.departures.all()).get(project.id, ())
    return [(one.user_id, one.role) for one in found]


async def test_what_a_person_may_no_more_do_is_on_the_list_until_they_may_again(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    projects, bob = lab.identity.projects, await lab.person("Bob", by=admin)

    async def become(role: Role | None) -> list[tuple[str, Role | None]]:
        if role is None:
            await projects.remove_member(by=admin, project_id=project.id, user_id=bob.id)
        else:
            await projects.set_member(by=admin, project_id=project.id, slug=bob.slug, role=role)
        return await listed(lab, project)

    assert await become(Role.VIEWER) == [], "nothing was given to them before"
    assert await become(Role.MEMBER) == []
    assert await become(Role.VIEWER) == [(bob.id, Role.VIEWER)]
    assert await become(None) == [(bob.id, None)]
    assert await become(Role.VIEWER) == [(bob.id, Role.VIEWER)]
    assert await become(Role.OWNER) == []
    assert await become(None) == [(bob.id, None)]


async def test_leaving_is_on_the_list_and_handing_over_is_not(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    bob = await lab.person("Bob", by=admin)
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug=bob.slug, role=Role.MEMBER)
    await lab.identity.projects.hand_over(by=admin, project_id=project.id, user_id=bob.id)
    assert await listed(lab, project) == []
    await lab.identity.projects.remove_member(by=admin, project_id=project.id, user_id=admin.id)
    assert await listed(lab, project) == [(admin.id, None)]


async def test_a_removal_that_is_refused_is_not_on_the_list(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    with pytest.raises(Exception, match="no owner"):
        await lab.identity.projects.remove_member(by=admin, project_id=project.id, user_id=admin.id)
    assert await listed(lab, project) == []


async def test_what_is_old_is_forgotten_and_no_more(lab: Lab, admin: models.User, project: models.Project) -> None:
    people = [await lab.person(name, by=admin) for name in ("Bob", "Eve")]
    for person in people:
        await lab.identity.projects.set_member(by=admin, project_id=project.id, slug=person.slug, role=Role.MEMBER)
        await lab.identity.projects.remove_member(by=admin, project_id=project.id, user_id=person.id)
        lab.clock.jump(timedelta(hours=1))
    await lab.identity.departures.forget(project_id=project.id, before=lab.clock.now() - timedelta(minutes=90))
    assert await listed(lab, project) == [(people[1].id, None)]


async def test_an_archived_project_lets_nobody_write_and_an_opened_one_lets_them_again(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    bob, eve = await lab.person("Bob", by=admin), await lab.person("Eve", by=admin)
    for person, role in ((bob, Role.MEMBER), (eve, Role.VIEWER)):
        await lab.identity.projects.set_member(by=admin, project_id=project.id, slug=person.slug, role=role)
    await lab.identity.projects.archive(by=admin, project_id=project.id)
    assert set(await listed(lab, project)) == {(admin.id, Role.VIEWER), (bob.id, Role.VIEWER)}
    for person in (admin, bob, eve):
        claims = await lab.identity.issuer.person(person.id)
        assert (claims["groups"], claims["reader_groups"]) == ([], [project.slug])
    await lab.identity.projects.reopen(by=admin, project_id=project.id)
    assert await listed(lab, project) == []
    assert (await lab.identity.issuer.person(bob.id))["groups"] == [project.slug]


async def test_who_is_suspended_is_on_the_list_of_each_of_their_projects_until_they_are_let_in_again(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    bob = await lab.person("Bob", by=admin)
    own = await lab.identity.projects.personal(user_id=bob.id)
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug=bob.slug, role=Role.MEMBER)
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    assert [await listed(lab, one) for one in (project, own)] == [[(bob.id, None)], [(bob.id, None)]]
    await lab.identity.people.restore(by=admin, user_id=bob.id)
    assert [await listed(lab, one) for one in (project, own)] == [[], []]


async def test_who_loses_the_group_that_let_them_in_is_on_the_list(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    rules = [ProjectRule(group="prices", project="prices", role=Role.MEMBER)]
    for groups in (["prices"], []):
        async with lab.database.session() as session:
            await grants.apply(
                session, user_id=bob.id, provider_id="insee", rules=rules, groups=groups, now=lab.clock.now()
            )
    assert [[one.user_id for one in rows] for rows in (await lab.identity.departures.all()).values()] == [[bob.id]]
