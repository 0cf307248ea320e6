"""Passkeys: what opens a session, and every answer that must not."""

import asyncio
import json
from datetime import timedelta

import pytest

from etabli.identity import errors, models, passkeys, sealing
from etabli.kernel import errors as kernel_errors
from tests.identity.authenticator import Authenticator
from tests.identity.lab import PASSWORD, Lab

VISIT = "a visit"
HOME = "192.0.2.7"
BROKEN: tuple[object, ...] = (None, 1, [], "", "!", "A", "AAAA", "A" * 1000)
SERVICE = "http://evil-abc.svc.etabli.localhost:8000"


async def added(lab: Lab, user: models.User, device: Authenticator) -> models.Passkey:
    options = await lab.identity.passkeys.offer(user=user, visit=VISIT)
    return await lab.identity.passkeys.add(user=user, visit=VISIT, credential=device.create(options), name="A phone")


async def sign_in(lab: Lab, device: Authenticator, *, visit: str = VISIT) -> models.Opened:
    asked = await lab.identity.passkeys.ask(visit=VISIT)
    return await lab.identity.passkeys.sign_in(visit=visit, credential=device.get(asked), address=HOME)


async def test_a_passkey_signs_in_with_two_factors(lab: Lab, admin: models.User) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    opened = await sign_in(lab, device)
    assert opened.user == admin
    assert (opened.session.method, opened.session.factors) == ("passkey", 2)
    (kept,) = await lab.identity.passkeys.list(user_id=admin.id)
    assert (kept.name, kept.last_used_at, kept.synced) == ("A phone", lab.clock.now(), False)


async def test_the_browser_is_asked_for_this_very_host_and_a_verified_user(lab: Lab, admin: models.User) -> None:
    asked = json.loads(await lab.identity.passkeys.ask(visit=VISIT))
    offered = json.loads(await lab.identity.passkeys.offer(user=admin, visit=VISIT))
    assert (asked["rpId"], asked["userVerification"]) == ("etabli.localhost", "required")
    assert offered["rp"]["id"] == "etabli.localhost"
    assert offered["authenticatorSelection"]["residentKey"] == "required"
    assert offered["authenticatorSelection"]["userVerification"] == "required"
    assert admin.id not in offered["user"]["id"]


async def test_all_passkeys_of_a_person_know_them_by_one_handle_that_nobody_elses_has(
    lab: Lab, admin: models.User
) -> None:
    one, two, three = Authenticator(), Authenticator(), Authenticator()
    await added(lab, admin, one)
    await added(lab, admin, two)
    await added(lab, await lab.person("Bob", by=admin), three)
    assert one.handle == two.handle != three.handle


@pytest.mark.parametrize(
    "lie",
    [
        {"origin": SERVICE},
        {"origin": SERVICE, "host": "etabli.localhost"},
        {"origin": "http://etabli.localhost:8001"},
        {"origin": "https://etabli.localhost:8000"},
        {"host": "localhost"},
        {"cross_origin": True},
        {"verifies": False},
    ],
)
async def test_an_answer_of_another_origin_or_of_nobody_verified_opens_nothing(
    lab: Lab, admin: models.User, lie: dict[str, object]
) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    for name, value in lie.items():
        setattr(device, name, value)
    with pytest.raises(errors.WrongPasskey):
        await sign_in(lab, device)
    with pytest.raises(errors.WrongPasskey):
        await added(lab, admin, Authenticator(**lie))  # type: ignore[arg-type] # Each of its own type.


async def test_an_answer_is_good_once(lab: Lab, admin: models.User) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    answer = device.get(await lab.identity.passkeys.ask(visit=VISIT))
    assert await lab.identity.passkeys.sign_in(visit=VISIT, credential=answer, address=HOME)
    with pytest.raises(kernel_errors.Refused):
        await lab.identity.passkeys.sign_in(visit=VISIT, credential=answer, address=HOME)


async def test_an_answer_without_a_counter_is_good_once_too_and_sent_twice_at_once(
    lab: Lab, admin: models.User
) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    device.count = -1  # As those that are copied between devices: it says 0 each time.
    answer = device.get(await lab.identity.passkeys.ask(visit=VISIT))
    sent = [lab.identity.passkeys.sign_in(visit=VISIT, credential=answer, address=HOME) for _ in range(5)]
    answers = await asyncio.gather(*sent, return_exceptions=True)
    assert sum(isinstance(one, models.Opened) for one in answers) == 1
    assert sum(isinstance(one, errors.WrongPasskey) for one in answers) == 4


async def test_a_challenge_is_bound_to_its_visit_its_purpose_and_five_minutes(lab: Lab, admin: models.User) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    with pytest.raises(errors.WrongPasskey):
        await sign_in(lab, device, visit="another visit")
    proof = await lab.identity.passkeys.ask(visit=VISIT, purpose=passkeys.PROVE)
    with pytest.raises(errors.WrongPasskey):
        await lab.identity.passkeys.sign_in(visit=VISIT, credential=device.get(proof), address=HOME)
    asked = await lab.identity.passkeys.ask(visit=VISIT)
    await lab.clock.advance(sealing.CHALLENGE)
    with pytest.raises(errors.WrongPasskey):
        await lab.identity.passkeys.sign_in(visit=VISIT, credential=device.get(asked), address=HOME)


async def test_a_challenge_of_our_own_making_only(lab: Lab, admin: models.User) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    for challenge in ("", "AAAA", "A" * 75, "A" * 5000):
        forged = device.get(json.dumps({"challenge": challenge}))
        with pytest.raises(errors.WrongPasskey):
            await lab.identity.passkeys.sign_in(visit=VISIT, credential=forged, address=HOME)


async def test_a_counter_that_went_back_closes_the_passkey_and_its_copy_with_a_word(
    lab: Lab, admin: models.User
) -> None:
    device = Authenticator(count=10)
    await added(lab, admin, device)
    await sign_in(lab, device)
    for count in (4, 11, 100):  # The copy, the first one, a copy that caught up.
        device.count = count
        with pytest.raises(kernel_errors.Forbidden) as refused:
            await sign_in(lab, device)
        assert "may have been copied" in refused.value.message
    (kept,) = await lab.identity.passkeys.list(user_id=admin.id)
    assert kept.copied_at == lab.clock.now()


async def test_a_forged_counter_says_nothing_of_a_copy(lab: Lab, admin: models.User) -> None:
    device = Authenticator(count=10)
    await added(lab, admin, device)
    forger = Authenticator(credential_id=device.credential_id, handle=device.handle, count=0)
    with pytest.raises(errors.WrongPasskey):
        await sign_in(lab, forger)


async def test_a_removed_passkey_and_one_that_never_was_answer_alike(lab: Lab, admin: models.User) -> None:
    device = Authenticator()
    kept = await added(lab, admin, device)
    await lab.identity.passkeys.remove(user_id=admin.id, passkey_id=kept.id)
    texts = []
    for one in (device, Authenticator()):
        with pytest.raises(errors.WrongPasskey) as refused:
            await sign_in(lab, one)
        texts.append((refused.value.message, refused.value.hint))
    assert texts[0] == texts[1]


async def test_nobody_removes_or_uses_a_passkey_of_somebody_else(lab: Lab, admin: models.User) -> None:
    bob, device = await lab.person("Bob", by=admin), Authenticator()
    kept = await added(lab, admin, device)
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.passkeys.remove(user_id=bob.id, passkey_id=kept.id)
    opened = await lab.identity.sessions.open(user_id=bob.id, address=HOME)
    asked = await lab.identity.passkeys.ask(visit=VISIT, purpose=passkeys.PROVE)
    with pytest.raises(errors.WrongPasskey):
        await lab.identity.passkeys.prove(
            user_id=bob.id, session_id=opened.session.id, visit=VISIT, credential=device.get(asked)
        )
    device.handle = "Ym9i"
    with pytest.raises(errors.WrongPasskey):
        await sign_in(lab, device)


async def test_a_passkey_of_somebody_cannot_be_added_again_by_another(lab: Lab, admin: models.User) -> None:
    device, bob = Authenticator(), await lab.person("Bob", by=admin)
    await added(lab, admin, device)
    for who in (admin, bob):
        with pytest.raises(kernel_errors.Conflict):
            await added(lab, who, device)


async def test_a_suspended_person_is_not_let_in_by_a_passkey(lab: Lab, admin: models.User) -> None:
    bob, device = await lab.person("Bob", by=admin), Authenticator()
    await added(lab, bob, device)
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    with pytest.raises(kernel_errors.Forbidden):
        await sign_in(lab, device)


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "null",
        "[]",
        "{}",
        "0",
        '{"response": 1}',
        '{"rawId": 1, "response": {}}',
        "[" * 5000,
        '"\ud800"',
        "x" * 200_000,
    ],
)
async def test_any_text_in_place_of_an_answer_opens_nothing(lab: Lab, admin: models.User, answer: str) -> None:
    with pytest.raises(errors.WrongPasskey):
        await lab.identity.passkeys.sign_in(visit=VISIT, credential=answer, address=HOME)


async def test_every_broken_piece_of_an_answer_opens_nothing(lab: Lab, admin: models.User) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    for name in ("clientDataJSON", "authenticatorData", "signature", "userHandle"):
        for broken in BROKEN:
            answer = json.loads(device.get(await lab.identity.passkeys.ask(visit=VISIT)))
            answer["response"][name] = broken
            with pytest.raises(errors.WrongPasskey):
                await lab.identity.passkeys.sign_in(visit=VISIT, credential=json.dumps(answer), address=HOME)


async def test_a_passkey_outlives_a_restart_and_the_loss_of_the_labs_key(lab: Lab, admin: models.User) -> None:
    device = Authenticator()
    await added(lab, admin, device)
    (lab.layout.keys / sealing.KEY_FILE).unlink()
    again = await lab.restarted()
    asked = await again.passkeys.ask(visit=VISIT)
    assert await again.passkeys.sign_in(visit=VISIT, credential=device.get(asked), address=HOME)
    assert json.loads(await again.passkeys.offer(user=admin, visit=VISIT))["user"]["id"] == device.handle


async def test_spent_challenges_are_forgotten_once_they_have_ended(lab: Lab, admin: models.User) -> None:
    await added(lab, admin, Authenticator())
    await lab.clock.advance(sealing.CHALLENGE + timedelta(seconds=1))
    await lab.identity.sweep()
    async with lab.database.session() as session:
        spent = (await session.connection()).exec_driver_sql("select count(*) from spent_challenges")
        assert (await spent).scalar_one() == 0


async def test_a_password_typed_again_is_a_fresh_proof_for_ten_minutes(lab: Lab, admin: models.User) -> None:
    opened = await lab.identity.sessions.sign_in(login=admin.slug, password=PASSWORD, address=HOME)
    sessions = lab.identity.sessions
    assert sessions.is_fresh(opened.session)
    await lab.clock.advance(timedelta(minutes=10))
    assert not sessions.is_fresh(opened.session)
    with pytest.raises(errors.WrongCredentials):
        await sessions.prove(user_id=admin.id, session_id=opened.session.id, password="a guess", address=HOME)
    await sessions.prove(user_id=admin.id, session_id=opened.session.id, password=PASSWORD, address=HOME)
    found = await sessions.find(token=opened.token)
    assert found is not None
    assert sessions.is_fresh(found.session)
