"""Links that let people in again: good once, for a day, for one person, and for no more than they were made for."""

import asyncio
from datetime import timedelta

import pytest

from etabli.identity import errors, models
from etabli.kernel import errors as kernel_errors
from tests.identity.authenticator import Authenticator
from tests.identity.lab import PASSWORD, Lab

HOME, NEW = "192.0.2.7", "another long phrase"


async def sign_in(lab: Lab, user: models.User, password: str) -> models.Opened:
    return await lab.identity.sessions.sign_in(login=user.slug, password=password, address=HOME)


async def with_passkey(lab: Lab, user: models.User) -> None:
    device, passkeys = Authenticator(), lab.identity.passkeys
    options = await passkeys.offer(user=user, visit="x")
    await passkeys.add(user=user, visit="x", credential=device.create(options), name="A phone")


async def test_a_link_sets_a_password_and_ends_every_session(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    opened = await sign_in(lab, bob, PASSWORD)
    link = await lab.identity.resets.make(by=admin, slug=bob.slug)
    assert (await lab.identity.resets.look(token=link.token)).user == bob
    assert await lab.identity.sessions.find(token=opened.token) is not None  # A link that is not used changes nothing.
    await lab.identity.resets.use(token=link.token, password=NEW)
    assert await lab.identity.sessions.find(token=opened.token) is None
    assert await sign_in(lab, bob, NEW)
    with pytest.raises(errors.WrongCredentials):
        await sign_in(lab, bob, PASSWORD)


async def test_a_link_is_good_once_even_used_five_times_at_once(lab: Lab, admin: models.User) -> None:
    link = await lab.identity.resets.make(by=admin, slug=admin.slug)
    uses = [lab.identity.resets.use(token=link.token, password=f"a long phrase, number {n}") for n in range(5)]
    answers = await asyncio.gather(*uses, return_exceptions=True)
    assert sum(isinstance(one, models.User) for one in answers) == 1
    assert sum(isinstance(one, kernel_errors.NotFound) for one in answers) == 4


async def test_a_link_is_over_after_a_day_and_once_another_is_made(lab: Lab, admin: models.User) -> None:
    first = await lab.identity.resets.make(by=admin, slug=admin.slug)
    second = await lab.identity.resets.make(by=admin, slug=admin.slug)
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.resets.look(token=first.token)
    assert await lab.identity.resets.look(token=second.token)
    await lab.clock.advance(timedelta(days=1))
    for token in (second.token, "", "x" * 1000):
        with pytest.raises(kernel_errors.NotFound):
            await lab.identity.resets.use(token=token, password=NEW)
    assert await sign_in(lab, admin, PASSWORD)


@pytest.mark.parametrize(("allowed", "asked", "left"), [(True, True, 0), (True, False, 1), (False, True, 1)])
async def test_factors_go_only_where_the_link_allows_it_and_its_person_asks(
    lab: Lab, admin: models.User, allowed: bool, asked: bool, left: int
) -> None:
    await with_passkey(lab, admin)
    link = await lab.identity.resets.make(by=admin, slug=admin.slug, removes_factors=allowed)
    await lab.identity.resets.use(token=link.token, password=NEW, remove_factors=asked)
    assert len(await lab.identity.passkeys.list(user_id=admin.id)) == left


async def test_only_administrators_make_links(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    with pytest.raises(kernel_errors.Forbidden):
        await lab.identity.resets.make(by=bob, slug=admin.slug)
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.resets.make(by=admin, slug="nobody-here")
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    with pytest.raises(kernel_errors.Conflict):
        await lab.identity.resets.make(by=admin, slug=bob.slug)


@pytest.mark.parametrize("password", ["", "short", "ada-lovelace", "x" * 600])
async def test_a_password_that_will_not_do_does_not_use_the_link_up(
    lab: Lab, admin: models.User, password: str
) -> None:
    link = await lab.identity.resets.make(by=admin, slug=admin.slug)
    with pytest.raises(kernel_errors.Invalid) as refused:
        await lab.identity.resets.use(token=link.token, password=password)
    assert set(refused.value.fields) == {"password"}
    assert await lab.identity.resets.use(token=link.token, password=NEW)


async def test_no_link_is_stored_as_it_is(lab: Lab, admin: models.User) -> None:
    link = await lab.identity.resets.make(by=admin, slug=admin.slug)
    stored = lab.layout.database.read_bytes() + lab.layout.database.with_name("etabli.db-wal").read_bytes()
    assert link.token.encode() not in stored
