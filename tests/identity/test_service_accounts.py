"""Service accounts: who makes them, what they may do, and when they no longer may."""

import pytest

from etabli.identity import errors, models
from etabli.identity.models import Role
from etabli.identity.token_models import Scope, ServiceAccount
from etabli.kernel import errors as kernel_errors
from tests.identity.lab import Lab

HERE = "192.0.2.7"


@pytest.fixture
async def project(lab: Lab, admin: models.User) -> models.Project:
    return await lab.identity.projects.create(by=admin, name="Prices")


async def made(lab: Lab, by: models.User, project: models.Project, role: Role = Role.MEMBER) -> ServiceAccount:
    return await lab.identity.service_accounts.create(by=by, project_id=project.id, name="nightly", role=role)


async def secret_of(lab: Lab, by: models.User, account: ServiceAccount) -> str:
    issued = await lab.identity.service_accounts.issue(
        by=by, project_id=account.project_id, account_id=account.id, name="cron", days=30
    )
    return issued.secret


async def is_good(lab: Lab, secret: str) -> bool:
    try:
        await lab.identity.access_tokens.find(secret=secret, address=HERE)
    except errors.WrongToken:
        return False
    return True


@pytest.mark.parametrize(
    ("role", "scopes"), [(Role.VIEWER, (Scope.READ,)), (Role.MEMBER, (Scope.READ, Scope.SERVICES, Scope.FILES))]
)
async def test_it_acts_as_itself_in_its_project_alone(
    lab: Lab, admin: models.User, project: models.Project, role: Role, scopes: tuple[Scope, ...]
) -> None:
    account = await made(lab, admin, project, role)
    secret = await secret_of(lab, admin, account)
    assert secret.startswith("etabli_sat_")
    found = await lab.identity.access_tokens.find(secret=secret, address=HERE)
    assert (found.user.slug, found.token.scopes, found.is_service_account) == ("nightly.prices", scopes, True)
    assert found.user.id != admin.id
    (access,) = await lab.identity.projects.list(user_id=found.user.id)
    assert (access.project.id, access.role) == (project.id, role)
    other = await lab.identity.projects.create(by=admin, name="Wages")
    for hidden in (other.id, (await lab.identity.projects.personal(user_id=admin.id)).id):
        with pytest.raises(kernel_errors.NotFound):
            await lab.identity.projects.require(user_id=found.user.id, project_id=hidden)


async def test_it_is_nobody_among_people(lab: Lab, admin: models.User, project: models.Project) -> None:
    account = await made(lab, admin, project)
    assert account.slug not in {user.slug for user in await lab.identity.people.list(by=admin)}
    members = await lab.identity.projects.members(by=admin, project_id=project.id)
    assert [member.user.id for member in members] == [admin.id]
    with pytest.raises(errors.WrongCredentials):
        await lab.identity.sessions.sign_in(login=account.slug, password="", address=HERE)


async def test_its_tokens_end_with_it_and_its_name_is_not_used_again(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    account = await made(lab, admin, project)
    secret = await secret_of(lab, admin, account)
    await lab.identity.service_accounts.end(by=admin, project_id=project.id, account_id=account.id)
    assert not await is_good(lab, secret)
    assert await lab.identity.service_accounts.list(by=admin, project_id=project.id) == ()
    assert await lab.identity.projects.list(user_id=account.id) == ()
    with pytest.raises(kernel_errors.Conflict):
        await made(lab, admin, project)
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.service_accounts.end(by=admin, project_id=project.id, account_id=account.id)


async def test_it_can_do_nothing_while_its_project_is_archived(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    secret = await secret_of(lab, admin, await made(lab, admin, project))
    await lab.identity.projects.archive(by=admin, project_id=project.id)
    assert not await is_good(lab, secret)
    await lab.identity.projects.reopen(by=admin, project_id=project.id)
    assert await is_good(lab, secret)


async def test_one_token_of_it_ends_alone(lab: Lab, admin: models.User, project: models.Project) -> None:
    account = await made(lab, admin, project)
    first, second = await secret_of(lab, admin, account), await secret_of(lab, admin, account)
    found = await lab.identity.access_tokens.find(secret=first, address=HERE)
    named = {"project_id": project.id, "account_id": account.id}
    await lab.identity.service_accounts.end_token(by=admin, token_id=found.token.id, **named)
    assert (await is_good(lab, first), await is_good(lab, second)) == (False, True)
    mine = await lab.identity.access_tokens.issue(by=admin, name="x", scopes=[Scope.READ], days=1)
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.service_accounts.end_token(by=admin, token_id=mine.token.id, **named)


async def test_owners_alone_make_them_and_members_see_them(
    lab: Lab, admin: models.User, project: models.Project
) -> None:
    account = await made(lab, admin, project)
    bob = await lab.person("Bob", by=admin)
    with pytest.raises(kernel_errors.NotFound):
        await made(lab, bob, project)
    await lab.identity.projects.set_member(by=admin, project_id=project.id, slug=bob.slug, role=Role.MEMBER)
    with pytest.raises(kernel_errors.Forbidden):
        await made(lab, bob, project)
    with pytest.raises(kernel_errors.Forbidden):
        await secret_of(lab, bob, account)
    assert await lab.identity.service_accounts.list(by=bob, project_id=project.id) == (account,)


@pytest.mark.parametrize(
    ("name", "role", "field"),
    [
        ("", Role.MEMBER, "name"),
        ("Nightly", Role.MEMBER, "name"),
        ("a..b", Role.MEMBER, "name"),
        ("a", Role.OWNER, "role"),
    ],
)
async def test_a_wrong_field_is_named(
    lab: Lab, admin: models.User, project: models.Project, name: str, role: Role, field: str
) -> None:
    with pytest.raises(kernel_errors.Invalid) as refused:
        await lab.identity.service_accounts.create(by=admin, project_id=project.id, name=name, role=role)
    assert list(refused.value.fields) == [field]
