"""Projects by rule: what a provider's groups give, what they take back, and what they may never enter."""

import pytest
from pydantic import ValidationError
from sqlalchemy import delete

from etabli.identity import grants, models
from etabli.identity.models import Role
from etabli.identity.outside.settings import ProjectRule
from etabli.identity.store import MembershipRow
from etabli.kernel import errors
from tests.identity.lab import Lab

RULE = ProjectRule(group="/lab/([a-z-]+)", project="lab-{1}", name="The lab of {1}")


async def enter(
    lab: Lab, user: models.User, *groups: str, rules: tuple[ProjectRule, ...] = (RULE,), by: str = "one"
) -> None:
    """A sign-in by the provider `by`, which says these groups."""
    async with lab.database.session() as session:
        await grants.apply(session, user_id=user.id, provider_id=by, rules=rules, groups=groups, now=lab.clock.now())


async def shared(lab: Lab, user: models.User) -> dict[str, Role]:
    """The shared projects of somebody, and their role there."""
    accesses = await lab.identity.projects.list(user_id=user.id)
    return {one.project.slug: one.role for one in accesses if one.project.kind is models.ProjectKind.SHARED}


@pytest.fixture
async def bob(lab: Lab, admin: models.User) -> models.User:
    return await lab.person("Bob", by=admin)


async def test_a_group_makes_its_project_once_and_lets_its_people_in(
    lab: Lab, admin: models.User, bob: models.User
) -> None:
    for _ in range(2):
        await enter(lab, bob, "/lab/prices", "/other")
        await enter(lab, admin, "/lab/prices")
    (access,) = [one for one in await lab.identity.projects.list(user_id=bob.id) if one.project.slug != bob.slug]
    assert (access.project.slug, access.project.name, access.role) == ("lab-prices", "The lab of prices", Role.MEMBER)
    assert await shared(lab, admin) == {"lab-prices": Role.MEMBER}


async def test_a_group_that_is_gone_takes_back_what_it_gave_and_nothing_else(
    lab: Lab, admin: models.User, bob: models.User
) -> None:
    own = await lab.identity.projects.create(by=admin, name="By hand")
    await lab.identity.projects.set_member(by=admin, project_id=own.id, slug="bob", role=Role.VIEWER)
    rules = (RULE, ProjectRule(group="staff", project=own.slug, role=Role.OWNER))
    await enter(lab, bob, "/lab/prices", "staff", rules=rules)
    assert await shared(lab, bob) == {"by-hand": Role.OWNER, "lab-prices": Role.MEMBER}
    await enter(lab, bob, rules=rules)
    assert await shared(lab, bob) == {"by-hand": Role.VIEWER}


async def test_what_a_person_gave_since_stays_when_the_group_is_gone(
    lab: Lab, admin: models.User, bob: models.User
) -> None:
    rules = (RULE, ProjectRule(group="heads", project="lab-prices", role=Role.OWNER))
    await enter(lab, admin, "/lab/prices", "heads", rules=rules)
    await enter(lab, bob, "/lab/prices", rules=rules)
    (project,) = [one.project for one in await lab.identity.projects.list(user_id=bob.id) if one.role is Role.MEMBER]
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug="bob", role=Role.OWNER)
    await enter(lab, bob, rules=rules)
    assert await shared(lab, bob) == {"lab-prices": Role.OWNER}


async def test_two_providers_give_the_same_and_the_first_to_leave_takes_nothing(lab: Lab, bob: models.User) -> None:
    named = (ProjectRule(group="staff", project="common"),)
    await enter(lab, bob, "staff", rules=named)
    await enter(lab, bob, "staff", rules=named, by="two")
    await enter(lab, bob, rules=named)
    assert await shared(lab, bob) == {"common": Role.MEMBER}
    await enter(lab, bob, rules=named, by="two")
    assert await shared(lab, bob) == {}


async def test_who_was_taken_out_by_a_person_comes_back_with_the_group(lab: Lab, bob: models.User) -> None:
    await enter(lab, bob, "/lab/prices")
    own = await lab_project(lab, bob)
    async with lab.database.session() as session:
        await session.execute(
            delete(MembershipRow).where(MembershipRow.user_id == bob.id, MembershipRow.project_id != own)
        )
    await enter(lab, bob, "/lab/prices")
    assert await shared(lab, bob) == {"lab-prices": Role.MEMBER}
    await enter(lab, bob)
    assert await shared(lab, bob) == {}


@pytest.mark.parametrize("group", ["/lab/by-hand", "/lab/bob", "/lab/admin"])
async def test_a_name_chosen_elsewhere_opens_no_project_that_is_here(
    lab: Lab, admin: models.User, bob: models.User, group: str
) -> None:
    await lab.identity.projects.create(by=admin, name="By hand")
    mallory = await lab.person("Mallory", by=admin)
    await enter(lab, mallory, group, rules=(ProjectRule(group="/lab/(.+)", project="{1}"),))
    got = await shared(lab, mallory)
    assert len(got) <= 1
    assert not got.keys() & {"by-hand", "bob", "admin"}


async def test_a_rule_that_names_somebodys_own_project_gives_nothing(
    lab: Lab, admin: models.User, bob: models.User
) -> None:
    await enter(lab, admin, "staff", rules=(ProjectRule(group="staff", project="bob"),))
    assert await shared(lab, admin) == {}
    with pytest.raises(errors.NotFound):
        await lab.identity.projects.require_slug(user_id=admin.id, slug="bob")


async def test_hostile_groups_are_bounded(lab: Lab, bob: models.User) -> None:
    await enter(
        lab,
        bob,
        *(f"/lab/a{number}" for number in range(300)),
        rules=(ProjectRule(group="/lab/(.+)", project="g-{1}"),),
    )
    assert len(await shared(lab, bob)) == grants.MOST_PROJECTS


@pytest.mark.parametrize(
    "wrong",
    [{"group": "(", "project": "x"}, {"group": "x", "project": "{1}"}, {"group": "(x)", "project": "x", "name": "{2}"}],
)
def test_a_rule_that_cannot_hold_is_refused_when_it_is_read(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ProjectRule.model_validate(wrong)


async def lab_project(lab: Lab, user: models.User) -> str:
    """The id of somebody's own project."""
    return (await lab.identity.projects.personal(user_id=user.id)).id
