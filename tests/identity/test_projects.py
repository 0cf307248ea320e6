"""Who may do what in which project."""

import asyncio

import pytest

from etabli.identity import models, projects
from etabli.identity.models import Role
from etabli.kernel import errors
from tests.identity.lab import Lab


@pytest.fixture
async def project(lab: Lab, admin: models.User) -> models.Project:
    return await lab.identity.projects.create(by=admin, name="Flights of 2013")


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("at_least", list(Role))
async def test_a_role_opens_what_it_covers(
    lab: Lab, admin: models.User, project: models.Project, role: Role, at_least: Role
) -> None:
    bob = await lab.person("Bob", by=admin)
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug="bob", role=role)
    asked = lab.identity.projects.require(user_id=bob.id, project_id=project.id, at_least=at_least)
    if list(Role).index(role) >= list(Role).index(at_least):
        assert (await asked).role is role
    else:
        with pytest.raises(errors.Forbidden):
            await asked


async def test_a_project_of_others_answers_as_one_that_does_not_exist(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    hers = await lab.identity.projects.create(by=bob, name="Hers")
    said = []
    for asked in (
        lab.identity.projects.require(user_id=admin.id, project_id=hers.id),
        lab.identity.projects.require(user_id=admin.id, project_id="nowhere"),
        lab.identity.projects.require_slug(user_id=admin.id, slug="hers"),
        lab.identity.projects.require_slug(user_id=admin.id, slug="bob"),
        lab.identity.projects.require_slug(user_id=admin.id, slug="nowhere"),
        lab.identity.projects.members(by=admin, project_id=hers.id),
        lab.identity.projects.describe(by=admin, project_id=hers.id, details=projects.Details(name="Mine")),
        lab.identity.projects.archive(by=admin, project_id=hers.id),
        lab.identity.projects.set_member(by=admin, project_id=hers.id, slug="ada-lovelace", role=Role.OWNER),
        lab.identity.projects.remove_member(by=admin, project_id=hers.id, user_id=bob.id),
        lab.identity.projects.remove_member(by=admin, project_id=hers.id, user_id=admin.id),
    ):
        with pytest.raises(errors.NotFound) as refused:
            await asked
        said.append((refused.value.message, refused.value.hint))
    assert len(set(said)) == 1


async def test_people_see_their_own_project_first_then_those_they_are_in(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    bob = await lab.person("Bob", by=admin)
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug="bob", role=Role.VIEWER)
    seen = await lab.identity.projects.list(user_id=bob.id)
    assert [(access.project.slug, access.role) for access in seen] == [
        ("bob", Role.OWNER),
        ("flights-of-2013", Role.VIEWER),
    ]
    members = await lab.identity.projects.members(by=bob, project_id=project.id)
    assert [(member.user.slug, member.role) for member in members] == [
        ("ada-lovelace", Role.OWNER),
        ("bob", Role.VIEWER),
    ]


async def test_nobody_else_ever_enters_a_personal_project(lab: Lab, admin: models.User) -> None:
    await lab.person("Bob", by=admin)
    own = await lab.identity.projects.personal(user_id=admin.id)
    for asked in (
        lab.identity.projects.set_member(by=admin, project_id=own.id, slug="bob", role=Role.VIEWER),
        lab.identity.projects.archive(by=admin, project_id=own.id),
    ):
        with pytest.raises(errors.Forbidden):
            await asked
    with pytest.raises(errors.Conflict):
        await lab.identity.projects.remove_member(by=admin, project_id=own.id, user_id=admin.id)


async def test_two_owners_who_leave_at_once_do_not_leave_the_project_alone(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    bob = await lab.person("Bob", by=admin)
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug="bob", role=Role.OWNER)
    answers = await asyncio.gather(
        *(
            lab.identity.projects.remove_member(by=person, project_id=project.id, user_id=person.id)
            for person in (admin, bob)
        ),
        return_exceptions=True,
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Conflict", "NoneType"]


async def test_the_last_owner_cannot_step_down(lab: Lab, admin: models.User, project: models.Project) -> None:
    with pytest.raises(errors.Conflict):
        await lab.identity.projects.set_member(by=admin, project_id=project.id, slug=admin.slug, role=Role.MEMBER)


async def test_an_archived_project_can_be_read_and_no_more(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    await lab.identity.projects.archive(by=admin, project_id=project.id)
    assert await lab.identity.projects.require(user_id=admin.id, project_id=project.id)
    with pytest.raises(errors.Forbidden):
        await lab.identity.projects.require(user_id=admin.id, project_id=project.id, at_least=Role.MEMBER)
    assert [access.project.slug for access in await lab.identity.projects.list(user_id=admin.id)] == [admin.slug]


async def test_renaming_keeps_the_slug(lab: Lab, admin: models.User, project: models.Project) -> None:
    renamed = await lab.identity.projects.describe(
        by=admin, project_id=project.id, details=projects.Details(name="Vols « 2013 »")
    )
    assert (renamed.name, renamed.slug) == ("Vols « 2013 »", project.slug)
