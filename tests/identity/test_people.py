"""People: what they change of themselves, and what an administrator may do."""

import asyncio

import pytest

from etabli.identity import models
from etabli.identity.people import Profile
from etabli.kernel import errors
from tests.identity.lab import Lab


async def test_a_person_renamed_keeps_slug_and_project(lab: Lab, admin: models.User) -> None:
    profile = Profile(name="Ada King", email="King@Example.org", language="fr")
    changed = await lab.identity.people.change_profile(user_id=admin.id, profile=profile)
    assert (changed.name, changed.email, changed.language, changed.slug) == (
        "Ada King",
        "king@example.org",
        "fr",
        "ada-lovelace",
    )


async def test_a_profile_names_each_wrong_field(lab: Lab, admin: models.User) -> None:
    with pytest.raises(errors.Invalid) as refused:
        await lab.identity.people.change_profile(user_id=admin.id, profile=Profile(name="", email="x", language="!"))
    assert set(refused.value.fields) == {"name", "email", "language"}


async def test_nobody_takes_the_e_mail_of_another(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    with pytest.raises(errors.Conflict):
        await lab.identity.people.change_profile(
            user_id=bob.id, profile=Profile(name="Bob", email="ADA@example.org", language="en")
        )


async def test_administration_is_for_administrators(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    for asked in (
        lab.identity.people.list(by=bob),
        lab.identity.people.suspend(by=bob, user_id=admin.id),
        lab.identity.people.restore(by=bob, user_id=admin.id),
        lab.identity.clients.list(by=bob),
        lab.identity.clients.register(by=bob, name="X", redirect_uris=["https://x.example"]),
        lab.identity.invitations.list(by=bob),
    ):
        with pytest.raises(errors.Forbidden):
            await asked


async def test_the_last_administrator_stays(lab: Lab, admin: models.User) -> None:
    with pytest.raises(errors.Conflict):
        await lab.identity.people.suspend(by=admin, user_id=admin.id)


async def test_a_suspended_person_s_project_gets_no_new_token_in_their_name(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    with pytest.raises(errors.Forbidden):
        await lab.identity.issuer.person(bob.id)


async def test_everybody_at_once_reads_the_same_empty_lab(lab: Lab) -> None:
    assert await asyncio.gather(*(lab.identity.people.is_empty() for _ in range(5))) == [True] * 5
    await lab.admin()
    assert not await lab.identity.people.is_empty()
