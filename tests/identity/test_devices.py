"""The device flow: what the program is told, what its person agrees to, and whoever guesses, repeats, or comes too late."""

import asyncio
import re
from datetime import timedelta

import pytest

from etabli.identity import devices, errors, models
from etabli.identity.token_models import Scope
from etabli.kernel import errors as kernel_errors
from tests.identity.lab import CHEAP, Lab

HERE = "192.0.2.7"
FORM = {"client_id": devices.CLIENT, "scope": "services read", "name": "etabli on ada's laptop"}


async def asked(lab: Lab, **form: str) -> devices.Asked:
    return await lab.identity.devices.ask(form={**FORM, **form}, address=HERE)


async def answer(lab: Lab, device_code: str) -> str:
    """The protocol's word for what asking for the token comes to; `token` where there is one."""
    form = {"client_id": devices.CLIENT, "device_code": device_code}
    try:
        await lab.identity.devices.redeem(form=form)
    except errors.ProtocolError as error:
        return error.code
    return "token"


async def decide(lab: Lab, by: models.User, code: str, *, agreed: bool = True) -> None:
    await lab.identity.devices.decide(code=code, by=by, agreed=agreed, address=HERE)


async def test_a_program_gets_its_token_once_its_person_agreed_and_once_only(lab: Lab, admin: models.User) -> None:
    given = await asked(lab)
    assert re.fullmatch(r"[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}", given.user_code)
    assert await answer(lab, given.device_code) == "authorization_pending"
    question = await lab.identity.devices.look(code=given.user_code, by=admin, address=HERE)
    assert (question.name, question.address) == ("etabli on ada's laptop", HERE)
    await decide(lab, admin, given.user_code)
    form = {"client_id": devices.CLIENT, "device_code": given.device_code}
    issued = await lab.identity.devices.redeem(form=form)
    found = await lab.identity.access_tokens.find(secret=issued.secret, address=HERE)
    assert (found.user.id, found.token.scopes) == (admin.id, (Scope.READ, Scope.SERVICES))
    assert issued.token.name == "etabli on ada's laptop"
    assert await answer(lab, given.device_code) == "invalid_grant"
    with pytest.raises(kernel_errors.NotFound):
        await decide(lab, admin, given.user_code)


async def test_a_code_is_read_however_it_is_typed(lab: Lab, admin: models.User) -> None:
    code = (await asked(lab)).user_code
    for typed in (code, code.lower(), code.replace("-", ""), f" {' '.join(code)} ", code.replace("-", "–")):
        assert (await lab.identity.devices.look(code=typed, by=admin, address=HERE)).name


async def test_of_two_programs_that_ask_at_once_one_gets_the_token(lab: Lab, admin: models.User) -> None:
    given = await asked(lab)
    await decide(lab, admin, given.user_code)
    outcomes = await asyncio.gather(*(answer(lab, given.device_code) for _ in range(5)))
    assert sorted(outcomes) == ["invalid_grant"] * 4 + ["token"]
    assert len(await lab.identity.access_tokens.list(user_id=admin.id)) == 1


async def test_who_asks_too_often_is_told_to_slow_down(lab: Lab) -> None:
    given = await asked(lab)
    assert await answer(lab, given.device_code) == "authorization_pending"
    assert await answer(lab, given.device_code) == "slow_down"
    await lab.clock.advance(devices.INTERVAL)
    assert await answer(lab, given.device_code) == "slow_down"
    await lab.clock.advance(devices.INTERVAL + 2 * devices.SLOWER)
    assert await answer(lab, given.device_code) == "authorization_pending"


async def test_a_refusal_and_a_late_answer_buy_nothing(lab: Lab, admin: models.User) -> None:
    refused = await asked(lab)
    await decide(lab, admin, refused.user_code, agreed=False)
    assert await answer(lab, refused.device_code) == "access_denied"
    late = await asked(lab)
    await lab.clock.advance(devices.LIFETIME)
    with pytest.raises(kernel_errors.NotFound):
        await decide(lab, admin, late.user_code)
    assert await answer(lab, late.device_code) == "expired_token"
    await lab.clock.advance(timedelta(days=2))
    await lab.identity.sweep()
    assert await answer(lab, late.device_code) == "invalid_grant"


async def test_who_was_suspended_after_agreeing_gives_nothing(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    given = await asked(lab)
    await decide(lab, bob, given.user_code)
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    assert await answer(lab, given.device_code) == "access_denied"


async def test_codes_are_not_guessed(lab: Lab, admin: models.User) -> None:
    given = await asked(lab)
    for _ in range(CHEAP.pair_failures):
        with pytest.raises(kernel_errors.NotFound):
            await lab.identity.devices.look(code="BBBB-BBBB", by=admin, address=HERE)
    with pytest.raises(errors.TooManyAttempts):
        await lab.identity.devices.look(code=given.user_code, by=admin, address=HERE)
    with pytest.raises(errors.TooManyAttempts):
        await decide(lab, admin, given.user_code)
    await lab.clock.advance(timedelta(seconds=CHEAP.pair_pause_seconds))
    assert await lab.identity.devices.look(code=given.user_code, by=admin, address=HERE)


async def test_nobody_grants_what_they_have_not(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    given = await asked(lab, scope="read admin")
    assert (await lab.identity.devices.look(code=given.user_code, by=bob, address=HERE)).scopes == (Scope.READ,)
    await decide(lab, bob, given.user_code)
    issued = await lab.identity.devices.redeem(form={"client_id": devices.CLIENT, "device_code": given.device_code})
    assert issued.token.scopes == (Scope.READ,)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"client_id": "other"}, "invalid_client"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "read root"}, "invalid_scope"),
    ],
)
async def test_a_wrong_request_is_refused_in_the_protocols_words(lab: Lab, form: dict[str, str], code: str) -> None:
    with pytest.raises(errors.ProtocolError) as refused:
        await asked(lab, **form)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("name", "shown"),
    [("", "etabli"), ("  ada   laptop ", "ada laptop"), ("a\u202eb\x00c", "abc"), ("x" * 500, "x" * 60)],
)
async def test_a_programs_name_of_itself_forges_nothing(lab: Lab, admin: models.User, name: str, shown: str) -> None:
    given = await asked(lab, name=name)
    assert (await lab.identity.devices.look(code=given.user_code, by=admin, address=HERE)).name == shown


async def test_a_token_is_given_up_by_who_holds_it(lab: Lab, admin: models.User) -> None:
    issued = await lab.identity.access_tokens.issue(by=admin, name="x", scopes=[Scope.READ], days=1)
    await lab.identity.access_tokens.revoke(secret="unknown")
    await lab.identity.access_tokens.revoke(secret=issued.secret)
    with pytest.raises(errors.WrongToken):
        await lab.identity.access_tokens.find(secret=issued.secret, address=HERE)
