"""Codes by time and for recovery: taken once, in their window, under limits, and by their own person alone."""

import asyncio
from datetime import timedelta

import pyotp
import pytest
from sqlalchemy import update

from etabli.identity import codes, errors, models
from etabli.identity.factor_store import TotpRow
from etabli.kernel import errors as kernel_errors
from tests.identity.lab import CHEAP, PASSWORD, Lab

HOME, ELSEWHERE = "192.0.2.7", "198.51.100.9"
STEP = timedelta(seconds=codes.STEP)


async def begun(lab: Lab, user: models.User) -> pyotp.TOTP:
    """An application that was told the secret."""
    await lab.identity.codes.begin(user=user)
    waiting = await lab.identity.codes.waiting(user=user)
    assert waiting is not None
    return pyotp.TOTP(waiting.secret.replace(" ", ""))


def now(lab: Lab, application: pyotp.TOTP, *, later: timedelta = timedelta()) -> str:
    return application.at(lab.clock.now() + later)


async def turned_on(lab: Lab, user: models.User) -> tuple[pyotp.TOTP, list[str]]:
    application = await begun(lab, user)
    opened = await lab.identity.sessions.open(user_id=user.id, address=HOME)
    code = now(lab, application)
    fresh = await lab.identity.codes.confirm(user=user, session_id=opened.session.id, code=code, address=HOME)
    await lab.clock.advance(STEP)
    return application, list(fresh)


async def step(lab: Lab, user: models.User) -> str:
    """Where a sign-in by password waits."""
    with pytest.raises(errors.SecondFactorNeeded) as needed:
        await lab.identity.sessions.sign_in(login=user.slug, password=PASSWORD, address=HOME)
    return needed.value.step


async def finish(lab: Lab, waiting: str, code: str, *, address: str = HOME) -> models.Recovered:
    return await lab.identity.codes.finish(step=waiting, code=code, address=address)


async def test_a_password_then_a_code_open_a_session_of_two_factors(lab: Lab, admin: models.User) -> None:
    application, _ = await turned_on(lab, admin)
    entered = await finish(lab, await step(lab, admin), now(lab, application))
    assert (entered.opened.user, entered.recovery_left) == (admin, None)
    assert (entered.opened.session.method, entered.opened.session.factors) == ("password", 2)


async def test_codes_are_asked_only_once_a_first_one_was_typed(lab: Lab, admin: models.User) -> None:
    application = await begun(lab, admin)
    opened = await lab.identity.sessions.sign_in(login=admin.slug, password=PASSWORD, address=HOME)
    assert opened.session.factors == 1
    again = await lab.identity.codes.waiting(user=admin)
    assert again is not None
    assert again.secret.replace(" ", "") == application.secret  # A page loaded twice shows one secret.
    with pytest.raises(kernel_errors.Invalid):
        await lab.identity.codes.confirm(user=admin, session_id=opened.session.id, code="000000", address=HOME)
    await lab.identity.codes.confirm(user=admin, session_id=opened.session.id, code=now(lab, application), address=HOME)
    found = await lab.identity.sessions.find(token=opened.token)
    assert found is not None
    assert found.session.factors == 2
    assert await lab.identity.codes.waiting(user=admin) is None
    with pytest.raises(kernel_errors.Conflict):
        await lab.identity.codes.begin(user=admin)


async def test_a_code_is_good_once_even_sent_five_times_at_once(lab: Lab, admin: models.User) -> None:
    application, _ = await turned_on(lab, admin)
    steps = [await step(lab, admin) for _ in range(5)]
    code = now(lab, application)
    answers = await asyncio.gather(*(finish(lab, one, code) for one in steps), return_exceptions=True)
    assert sum(isinstance(one, models.Recovered) for one in answers) == 1
    assert sum(isinstance(one, kernel_errors.Invalid) for one in answers) == 4


@pytest.mark.parametrize(("late", "good"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
async def test_a_code_may_be_one_step_early_or_late(lab: Lab, admin: models.User, late: int, good: bool) -> None:
    application, _ = await turned_on(lab, admin)
    await lab.clock.advance(10 * STEP)
    waiting, code = await step(lab, admin), now(lab, application, later=late * STEP)
    if good:
        assert await finish(lab, waiting, code)
    else:
        with pytest.raises(kernel_errors.Invalid):
            await finish(lab, waiting, code)


async def test_an_older_code_is_not_taken_after_a_newer_one(lab: Lab, admin: models.User) -> None:
    application, _ = await turned_on(lab, admin)
    older = now(lab, application, later=-STEP)
    await finish(lab, await step(lab, admin), now(lab, application))
    with pytest.raises(kernel_errors.Invalid):
        await finish(lab, await step(lab, admin), older)


async def test_a_clock_that_was_ahead_keeps_nobody_out_once_it_is_right(lab: Lab, admin: models.User) -> None:
    application, _ = await turned_on(lab, admin)
    lab.clock.jump(timedelta(days=365))
    await finish(lab, await step(lab, admin), now(lab, application))
    lab.clock.jump(-timedelta(days=365))
    code = now(lab, application)
    assert await finish(lab, await step(lab, admin), code)
    with pytest.raises(kernel_errors.Invalid):
        await finish(lab, await step(lab, admin), code)


async def test_guesses_are_slowed_by_person_wherever_they_come_from(lab: Lab, admin: models.User) -> None:
    application, fresh = await turned_on(lab, admin)
    waiting = await step(lab, admin)
    for place in range(CHEAP.code_failures):
        with pytest.raises(kernel_errors.Invalid):
            await finish(lab, waiting, f"{place:06d}", address=f"203.0.113.{place}")
    for code in (now(lab, application), fresh[0]):
        with pytest.raises(errors.TooManyAttempts) as refused:
            await finish(lab, waiting, code, address=ELSEWHERE)
    assert refused.value.retry_after == timedelta(seconds=CHEAP.code_pause_seconds)
    await lab.clock.advance(refused.value.retry_after)
    assert await finish(lab, waiting, now(lab, application))


async def test_a_recovery_code_is_good_once_however_it_is_typed_and_says_how_many_are_left(
    lab: Lab, admin: models.User
) -> None:
    _, fresh = await turned_on(lab, admin)
    assert len(set(fresh)) == 10
    entered = await finish(lab, await step(lab, admin), f"  {fresh[0].upper().replace('-', ' ')} ")
    assert entered.recovery_left == 9
    with pytest.raises(kernel_errors.Invalid):
        await finish(lab, await step(lab, admin), fresh[0])
    assert (await finish(lab, await step(lab, admin), fresh[1].replace("-", ""))).recovery_left == 8
    renewed = await lab.identity.codes.renew(user=admin)
    with pytest.raises(kernel_errors.Invalid):
        await finish(lab, await step(lab, admin), fresh[2])
    assert (await finish(lab, await step(lab, admin), renewed[0])).recovery_left == 9


async def test_a_sign_in_waits_ten_minutes_and_is_finished_once(lab: Lab, admin: models.User) -> None:
    application, fresh = await turned_on(lab, admin)
    waiting = await step(lab, admin)
    await finish(lab, waiting, now(lab, application))
    late = await step(lab, admin)
    await lab.clock.advance(timedelta(minutes=10))
    for over in (waiting, late, "", "x" * 1000):
        with pytest.raises(kernel_errors.NotFound):
            await finish(lab, over, fresh[0])
    await lab.identity.sweep()
    assert (await finish(lab, await step(lab, admin), fresh[0])).recovery_left == 9  # None was used up meanwhile.


async def test_codes_of_one_person_open_nothing_of_another(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    hers, fresh = await turned_on(lab, admin)
    await turned_on(lab, bob)
    waiting = await step(lab, bob)
    for code in (now(lab, hers), fresh[0]):
        with pytest.raises(kernel_errors.Invalid):
            await finish(lab, waiting, code)
    async with lab.database.session() as session:
        stolen = (await session.get_one(TotpRow, admin.id)).secret
        await session.execute(update(TotpRow).where(TotpRow.user_id == bob.id).values(secret=stolen))
    with pytest.raises(kernel_errors.Refused):
        await finish(lab, waiting, now(lab, hers))


async def test_nothing_that_opens_is_stored_as_it_is(lab: Lab, admin: models.User) -> None:
    application, fresh = await turned_on(lab, admin)
    waiting = await step(lab, admin)
    stored = lab.layout.database.read_bytes() + lab.layout.database.with_name("etabli.db-wal").read_bytes()
    for secret in (application.secret, *fresh, *(code.replace("-", "") for code in fresh), waiting):
        assert secret.encode() not in stored


@pytest.mark.parametrize("code", ["", "x", "12345", "1234567", "١٢٣٤٥٦", "\ud800", "x" * 100_000, "0" * 100_000])
async def test_any_text_in_place_of_a_code_is_a_wrong_one(lab: Lab, admin: models.User, code: str) -> None:
    await turned_on(lab, admin)
    with pytest.raises(kernel_errors.Invalid) as refused:
        await finish(lab, await step(lab, admin), code)
    assert set(refused.value.fields) == {"code"}


async def test_codes_turned_off_are_asked_no_more(lab: Lab, admin: models.User) -> None:
    await turned_on(lab, admin)
    await lab.identity.codes.turn_off(user=admin)
    assert await lab.identity.sessions.sign_in(login=admin.slug, password=PASSWORD, address=HOME)
    assert (await lab.identity.codes.state(user=admin)).recovery_left == 0


@pytest.mark.parametrize(
    ("setting", "admins", "others"),
    [("off", False, False), ("optional", False, False), ("administrators", True, False), ("everyone", True, True)],
)
async def test_the_lab_says_of_whom_it_asks_a_second_factor(
    lab: Lab, admin: models.User, setting: str, admins: bool, others: bool
) -> None:
    bob = await lab.person("Bob", by=admin)
    identity = await lab.restarted(settings=CHEAP.model_copy(update={"second_factor": setting}))
    assert (identity.codes.is_required(admin), identity.codes.is_required(bob)) == (admins, others)
    assert identity.codes.is_offered is (setting != "off")


async def test_a_lost_key_of_the_lab_closes_codes_with_a_word_and_a_link_opens_again(
    lab: Lab, admin: models.User
) -> None:
    application, _ = await turned_on(lab, admin)
    (lab.layout.keys / "factors-key").unlink()
    identity = await lab.restarted()
    with pytest.raises(errors.SecondFactorNeeded) as needed:
        await identity.sessions.sign_in(login=admin.slug, password=PASSWORD, address=HOME)
    with pytest.raises(kernel_errors.Refused) as refused:
        await identity.codes.finish(step=needed.value.step, code=now(lab, application), address=HOME)
    assert "key" in refused.value.message
    link = await identity.resets.make(by=admin, slug=admin.slug, removes_factors=True)
    await identity.resets.use(token=link.token, password="another long phrase", remove_factors=True)
    assert await identity.sessions.sign_in(login=admin.slug, password="another long phrase", address=HOME)
