"""How people come in."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from etabli.identity import accounts, models
from etabli.kernel import errors
from tests.identity.lab import PASSWORD, Lab

DAY = timedelta(days=1)
FORM = accounts.Form(name="Bob", password=PASSWORD)


async def test_the_first_link_makes_an_administrator_with_a_project_of_their_own(lab: Lab) -> None:
    user = await lab.admin()
    assert (user.slug, user.is_admin) == ("ada-lovelace", True)
    project = await lab.identity.projects.personal(user_id=user.id)
    assert (project.slug, project.kind) == ("ada-lovelace", models.ProjectKind.PERSONAL)


async def test_the_first_link_is_the_same_until_somebody_used_it_and_is_none_after(lab: Lab) -> None:
    first = await lab.identity.invitations.first_link()
    assert await (await lab.restarted()).invitations.first_link() == first
    await lab.admin()
    assert await lab.identity.invitations.first_link() is None
    assert not (lab.layout.keys / "first-link").exists()
    with pytest.raises(errors.NotFound):
        await lab.identity.invitations.join(token=first or "", form=FORM)


async def test_the_first_link_is_dead_once_somebody_came_in_another_way(lab: Lab) -> None:
    token = await lab.identity.invitations.first_link()
    async with lab.database.session() as session:
        await accounts.create(session, FORM, password_hash="", is_admin=False, now=lab.clock.now())
    with pytest.raises(errors.NotFound):
        await lab.identity.invitations.join(token=token or "", form=replace(FORM, name="Eve"))


async def test_the_first_link_is_readable_by_its_owner_alone(lab: Lab) -> None:
    await lab.identity.invitations.first_link()
    assert (lab.layout.keys / "first-link").stat().st_mode & 0o777 == 0o600


async def test_a_link_with_one_use_used_twice_at_once_makes_one_account(lab: Lab, admin: models.User) -> None:
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY)
    tries = [
        lab.identity.invitations.join(token=invited.token, form=replace(FORM, name=name))
        for name in ("Bob", "Bea", "Bil")
    ]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["NotFound", "NotFound", "User"]
    assert len(await lab.identity.people.list(by=admin)) == 2


async def test_people_of_one_name_who_come_at_once_get_slugs_of_their_own(lab: Lab, admin: models.User) -> None:
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY, uses=5)
    form = accounts.Form(name="Élodie  Dupont", password=PASSWORD)
    people = await asyncio.gather(*(lab.identity.invitations.join(token=invited.token, form=form) for _ in range(5)))
    assert {person.slug for person in people} == {"elodie-dupont", *(f"elodie-dupont-{n}" for n in range(2, 6))}
    assert {person.name for person in people} == {"Élodie Dupont"}


async def test_an_invitation_past_its_end_stays_closed_when_the_clock_goes_back(lab: Lab, admin: models.User) -> None:
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY)
    lab.clock.jump(2 * DAY)
    await lab.identity.sweep()
    lab.clock.jump(-2 * DAY)
    with pytest.raises(errors.NotFound):
        await lab.identity.invitations.look(token=invited.token)


async def test_an_invitation_taken_back_opens_nothing(lab: Lab, admin: models.User) -> None:
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY)
    await lab.identity.invitations.end(by=admin, invitation_id=invited.invitation.id)
    with pytest.raises(errors.NotFound):
        await lab.identity.invitations.join(token=invited.token, form=FORM)
    assert await lab.identity.invitations.list(by=admin) == ()


async def test_an_owner_s_link_brings_newcomers_and_people_of_the_lab_into_the_project(
    lab: Lab, admin: models.User
) -> None:
    owner = await lab.person("Olga", by=admin)
    project = await lab.identity.projects.create(by=owner, name="Flights")
    invited = await lab.identity.invitations.invite(
        by=owner, lifetime=DAY, uses=2, project_id=project.id, role=models.Role.VIEWER
    )
    assert (await lab.identity.invitations.look(token=invited.token)).project == project
    newcomer = await lab.identity.invitations.join(token=invited.token, form=FORM)
    await lab.identity.invitations.accept(token=invited.token, user=admin)
    for person in (newcomer, admin):
        access = await lab.identity.projects.require(user_id=person.id, project_id=project.id)
        assert access.role is models.Role.VIEWER
    assert not newcomer.is_admin


async def test_accepting_a_lesser_role_keeps_the_better_one_and_takes_no_use(lab: Lab, admin: models.User) -> None:
    project = await lab.identity.projects.create(by=admin, name="Flights")
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY, project_id=project.id)
    await lab.identity.invitations.accept(token=invited.token, user=admin)
    access = await lab.identity.projects.require(user_id=admin.id, project_id=project.id)
    assert access.role is models.Role.OWNER
    assert (await lab.identity.invitations.look(token=invited.token)).uses_left == 1


async def test_a_project_s_link_with_one_use_used_twice_at_once_lets_one_person_in(
    lab: Lab, admin: models.User
) -> None:
    project = await lab.identity.projects.create(by=admin, name="Flights")
    people = [await lab.person(name, by=admin) for name in ("Bob", "Bea", "Bil")]
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY, project_id=project.id)
    tries = [lab.identity.invitations.accept(token=invited.token, user=person) for person in people]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["NotFound", "NotFound", "Project"]
    assert len(await lab.identity.projects.members(by=admin, project_id=project.id)) == 2


async def test_one_person_who_accepts_twice_at_once_takes_one_use(lab: Lab, admin: models.User) -> None:
    project = await lab.identity.projects.create(by=admin, name="Flights")
    bob = await lab.person("Bob", by=admin)
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY, uses=2, project_id=project.id)
    await asyncio.gather(*(lab.identity.invitations.accept(token=invited.token, user=bob) for _ in range(3)))
    assert (await lab.identity.invitations.look(token=invited.token)).uses_left == 1


@pytest.mark.parametrize("makes_admin", [False, True])
async def test_only_administrators_invite_to_the_lab(lab: Lab, admin: models.User, makes_admin: bool) -> None:
    bob = await lab.person("Bob", by=admin)
    with pytest.raises(errors.Forbidden):
        await lab.identity.invitations.invite(by=bob, lifetime=DAY, makes_admin=makes_admin)


async def test_an_owner_s_link_never_makes_an_administrator(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    project = await lab.identity.projects.create(by=bob, name="Flights")
    with pytest.raises(errors.Forbidden):
        await lab.identity.invitations.invite(by=bob, lifetime=DAY, project_id=project.id, makes_admin=True)


async def test_nobody_invites_into_a_personal_project(lab: Lab, admin: models.User) -> None:
    own = await lab.identity.projects.personal(user_id=admin.id)
    with pytest.raises(errors.Forbidden):
        await lab.identity.invitations.invite(by=admin, lifetime=DAY, project_id=own.id)


async def test_two_people_never_have_one_e_mail(lab: Lab, admin: models.User) -> None:
    with pytest.raises(errors.Conflict):
        await lab.person("Eve", by=admin, email="ADA@example.org")


async def test_a_refused_form_takes_no_use(lab: Lab, admin: models.User) -> None:
    invited = await lab.identity.invitations.invite(by=admin, lifetime=DAY)
    with pytest.raises(errors.Conflict):
        await lab.identity.invitations.join(token=invited.token, form=replace(FORM, email="ada@example.org"))
    assert (await lab.identity.invitations.look(token=invited.token)).uses_left == 1
