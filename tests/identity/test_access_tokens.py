"""Tokens of programs: their form, what they open, and all the ways in which they stop opening it."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from etabli.identity import access_tokens, errors, models, token_models, tokens
from etabli.identity.token_models import Scope
from etabli.identity.token_store import AccessTokenRow
from etabli.kernel import errors as kernel_errors
from tests.identity.lab import CHEAP, Lab

HERE = "192.0.2.7"


async def issued(lab: Lab, user: models.User, *scopes: Scope, days: int = 30) -> token_models.Issued:
    """A token of that person."""
    return await lab.identity.access_tokens.issue(by=user, name="Nightly", scopes=scopes or (Scope.READ,), days=days)


async def is_good(lab: Lab, secret: str) -> bool:
    try:
        await lab.identity.access_tokens.find(secret=secret, address=HERE)
    except errors.WrongToken:
        return False
    return True


def test_a_scanner_tells_a_token_from_what_only_looks_like_one() -> None:
    secret = tokens.new(tokens.Kind.PERSONAL)
    assert re.fullmatch(r"etabli_pat_[0-9A-Za-z]{49}", secret)
    assert tokens.is_well_formed(secret)
    typo = secret[:20] + ("a" if secret[20] != "a" else "b") + secret[21:]
    for wrong in (typo, secret[:-1], secret + "0", secret.replace("pat", "sat"), "", "etabli_pat_é", secret.upper()):
        assert not tokens.is_well_formed(wrong)
    assert len({tokens.new(tokens.Kind.SERVICE_ACCOUNT) for _ in range(100)}) == 100


async def test_a_token_speaks_for_its_owner_and_its_use_is_written_once_a_minute(lab: Lab, admin: models.User) -> None:
    made = await issued(lab, admin, Scope.SERVICES, Scope.READ)
    found = await lab.identity.access_tokens.find(secret=made.secret, address=HERE)
    assert (found.user.id, found.token.scopes, found.is_service_account) == (
        admin.id,
        (Scope.READ, Scope.SERVICES),
        False,
    )
    first = (await lab.identity.access_tokens.list(user_id=admin.id))[0]
    assert (first.last_used_at, first.last_address) == (lab.clock.now(), HERE)
    await lab.clock.advance(timedelta(seconds=59))
    await lab.identity.access_tokens.find(secret=made.secret, address="192.0.2.8")
    assert (await lab.identity.access_tokens.list(user_id=admin.id))[0] == first
    await lab.clock.advance(timedelta(seconds=1))
    await lab.identity.access_tokens.find(secret=made.secret, address="192.0.2.8")
    assert (await lab.identity.access_tokens.list(user_id=admin.id))[0].last_address == "192.0.2.8"


async def test_nothing_that_is_stored_opens_anything(lab: Lab, admin: models.User) -> None:
    made = await issued(lab, admin)
    async with lab.database.session() as session:
        row = (await session.scalars(select(AccessTokenRow))).one()
    assert made.secret not in str(vars(row))
    assert not await is_good(lab, row.token_hash)


async def test_a_token_that_was_ended_is_replayed_in_vain(lab: Lab, admin: models.User) -> None:
    made = await issued(lab, admin)
    bob = await lab.person("Bob", by=admin)
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.access_tokens.end(user_id=bob.id, token_id=made.token.id)
    assert await is_good(lab, made.secret)
    await lab.identity.access_tokens.end(user_id=admin.id, token_id=made.token.id)
    assert not await is_good(lab, made.secret)
    assert not await lab.identity.access_tokens.is_open(token_id=made.token.id)
    assert await lab.identity.access_tokens.list(user_id=admin.id) == ()


async def test_a_token_that_expired_stays_so_when_the_clock_goes_back(lab: Lab, admin: models.User) -> None:
    made = await issued(lab, admin, days=1)
    await lab.clock.advance(timedelta(days=1))
    assert not await is_good(lab, made.secret)
    lab.clock.jump(timedelta(days=-1))
    assert not await is_good(lab, made.secret)
    other = await issued(lab, admin, days=1)
    await lab.clock.advance(timedelta(days=1))
    await lab.identity.sweep()
    lab.clock.jump(timedelta(days=-1))
    assert not await is_good(lab, other.secret)


async def test_who_is_suspended_has_no_program_left(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    made = await issued(lab, bob)
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    assert not await is_good(lab, made.secret)


@pytest.mark.parametrize(
    ("name", "scopes", "days", "field"),
    [
        ("", (Scope.READ,), 30, "name"),
        ("x" * 101, (Scope.READ,), 30, "name"),
        ("x", (), 30, "scopes"),
        ("x", (Scope.ADMIN,), 30, "scopes"),
        ("x", (Scope.READ,), 0, "days"),
        ("x", (Scope.READ,), CHEAP.token_days + 1, "days"),
    ],
)
async def test_a_wrong_field_is_named(
    lab: Lab, admin: models.User, name: str, scopes: tuple[Scope, ...], days: int, field: str
) -> None:
    bob = await lab.person("Bob", by=admin)
    with pytest.raises(kernel_errors.Invalid) as refused:
        await lab.identity.access_tokens.issue(by=bob, name=name, scopes=scopes, days=days)
    assert list(refused.value.fields) == [field]


async def test_forgotten_tokens_do_not_pile_up(lab: Lab, admin: models.User) -> None:
    for _ in range(access_tokens.MOST):
        await issued(lab, admin)
    with pytest.raises(kernel_errors.QuotaExceeded):
        await issued(lab, admin)
    assert await lab.identity.access_tokens.end_all(user_id=admin.id) == access_tokens.MOST
    await issued(lab, admin)


async def test_wrong_tokens_are_limited_and_lock_nobody_out_of_the_same_address(lab: Lab, admin: models.User) -> None:
    made = await issued(lab, admin)
    wrong = tokens.new(tokens.Kind.PERSONAL)
    for _ in range(CHEAP.address_failures):
        assert not await is_good(lab, wrong)
    with pytest.raises(errors.TooManyAttempts):
        await lab.identity.access_tokens.find(secret=wrong, address=HERE)
    assert await is_good(lab, made.secret)
    opened = await lab.identity.sessions.sign_in(login=admin.slug, password="une phrase assez longue", address=HERE)
    assert opened.user.id == admin.id
