"""Sign-in, sessions and their end; clocks that jump."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from etabli.identity import errors, models
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import SessionRow, UserRow
from etabli.kernel import errors as kernel_errors
from tests.identity.lab import CHEAP, PASSWORD, Lab

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)
HOME = "192.0.2.7"


async def sign_in(lab: Lab, *, login: str = "ada-lovelace", password: str = PASSWORD) -> models.Opened:
    return await lab.identity.sessions.sign_in(login=login, password=password, address=HOME, user_agent="Firefox")


@pytest.mark.parametrize("login", ["ada-lovelace", "ADA-Lovelace ", "ada@example.org", "Ada@Example.org"])
async def test_people_sign_in_by_slug_or_e_mail(lab: Lab, admin: models.User, login: str) -> None:
    opened = await sign_in(lab, login=login)
    found = await lab.identity.sessions.find(token=opened.token)
    assert found is not None
    assert found.user == admin
    assert (found.session.user_agent, found.session.address) == ("Firefox", HOME)


async def test_the_same_keys_typed_on_two_systems_are_the_same_password(lab: Lab, admin: models.User) -> None:
    await lab.identity.people.change_password(
        user_id=admin.id, current=PASSWORD, new="un été à la mer", address=HOME, session_id=None
    )
    assert await sign_in(lab, password="un e\u0301te\u0301 a\u0300\u00a0la mer")


@pytest.mark.parametrize(
    ("login", "password"),
    [("ada-lovelace", "wrong"), ("nobody", PASSWORD), ("", ""), ("*", PASSWORD), ("ada-lovelace", "x" * 100_000)],
)
async def test_a_wrong_password_and_an_unknown_name_answer_alike(
    lab: Lab, admin: models.User, login: str, password: str
) -> None:
    with pytest.raises(errors.WrongCredentials) as refused:
        await sign_in(lab, login=login, password=password)
    assert refused.value.message == "the name or the password is wrong"


async def test_no_token_and_no_password_is_stored_as_it_is(lab: Lab, admin: models.User) -> None:
    opened = await sign_in(lab)
    stored = lab.layout.database.read_bytes() + lab.layout.database.with_name("etabli.db-wal").read_bytes()
    assert opened.token.encode() not in stored
    assert PASSWORD.encode() not in stored


@pytest.mark.parametrize("token", ["", "x", "x" * 100_000, "\ud800", "' or 1=1 --"])
async def test_what_is_no_token_opens_nothing(lab: Lab, admin: models.User, token: str) -> None:
    assert await lab.identity.sessions.find(token=token) is None


async def test_a_session_lives_while_it_is_used_and_not_past_its_absolute_end(lab: Lab, admin: models.User) -> None:
    opened = await sign_in(lab)
    for _ in range(14 * 2 - 1):
        await lab.clock.advance(DAY / 2)
        assert await lab.identity.sessions.find(token=opened.token) is not None
    await lab.clock.advance(DAY / 2)
    assert await lab.identity.sessions.find(token=opened.token) is None


async def test_a_session_that_nobody_uses_ends(lab: Lab, admin: models.User) -> None:
    opened = await sign_in(lab)
    await lab.clock.advance(DAY)
    assert await lab.identity.sessions.find(token=opened.token) is None


async def test_use_is_written_once_a_minute_at_most(lab: Lab, admin: models.User) -> None:
    opened = await sign_in(lab)
    for seconds, seen in ((30, 0), (29, 0), (1, 60), (59, 60), (1, 120)):
        await lab.clock.advance(timedelta(seconds=seconds))
        found = await lab.identity.sessions.find(token=opened.token)
        assert found is not None
        assert found.session.last_seen_at - opened.session.created_at == timedelta(seconds=seen)


async def test_people_end_one_session_or_all_the_others(lab: Lab, admin: models.User) -> None:
    one, two, three = [await sign_in(lab) for _ in range(3)]
    await lab.identity.sessions.end(user_id=admin.id, session_id=one.session.id)
    assert await lab.identity.sessions.find(token=one.token) is None
    assert await lab.identity.sessions.end_all(user_id=admin.id, keep=two.session.id) == 1
    assert await lab.identity.sessions.find(token=three.token) is None
    assert [session.id for session in await lab.identity.sessions.list(user_id=admin.id)] == [two.session.id]


async def test_nobody_ends_a_session_of_somebody_else(lab: Lab, admin: models.User) -> None:
    opened, bob = await sign_in(lab), await lab.person("Bob", by=admin)
    with pytest.raises(kernel_errors.NotFound):
        await lab.identity.sessions.end(user_id=bob.id, session_id=opened.session.id)
    assert await lab.identity.sessions.find(token=opened.token) is not None


async def test_changing_the_password_ends_the_other_sessions(lab: Lab, admin: models.User) -> None:
    mine, other = await sign_in(lab), await sign_in(lab)
    new = "another long phrase"
    await lab.identity.people.change_password(
        user_id=admin.id, current=PASSWORD, new=new, address=HOME, session_id=mine.session.id
    )
    assert await lab.identity.sessions.find(token=mine.token) is not None
    assert await lab.identity.sessions.find(token=other.token) is None
    with pytest.raises(errors.WrongCredentials):
        await sign_in(lab)
    assert await sign_in(lab, password=new)


async def test_a_suspended_person_is_out_at_once_and_only_they_learn_why(lab: Lab, admin: models.User) -> None:
    bob = await lab.person("Bob", by=admin)
    opened = await sign_in(lab, login="bob")
    await lab.identity.people.suspend(by=admin, user_id=bob.id)
    assert await lab.identity.sessions.find(token=opened.token) is None
    with pytest.raises(kernel_errors.Forbidden):
        await sign_in(lab, login="bob")
    with pytest.raises(errors.WrongCredentials):
        await sign_in(lab, login="bob", password="a guess")
    await lab.identity.people.restore(by=admin, user_id=bob.id)
    assert await lab.identity.sessions.find(token=opened.token) is None
    assert await sign_in(lab, login="bob")


async def test_stronger_parameters_renew_the_stored_hash_at_the_next_sign_in(lab: Lab, admin: models.User) -> None:
    stronger = await lab.restarted(settings=CHEAP.model_copy(update={"hash_passes": 2}))
    await stronger.sessions.sign_in(login=admin.slug, password=PASSWORD, address=HOME)
    async with lab.database.session() as session:
        stored = await session.scalar(select(UserRow.password_hash))
    assert stored is not None
    assert "t=2" in stored
    assert await stronger.sessions.sign_in(login=admin.slug, password=PASSWORD, address=HOME)


async def test_an_expired_session_stays_closed_when_the_clock_goes_back(lab: Lab, admin: models.User) -> None:
    opened = await sign_in(lab)
    lab.clock.jump(YEAR)
    await lab.identity.sweep()
    lab.clock.jump(-YEAR)
    assert await lab.identity.sessions.find(token=opened.token) is None
    async with lab.database.session() as session:
        assert (await session.get_one(SessionRow, opened.session.id)).ended_at is not None  # What the door reads.


async def test_a_session_seen_expired_stays_closed_without_a_sweep(lab: Lab, admin: models.User) -> None:
    opened = await sign_in(lab)
    lab.clock.jump(2 * DAY)
    assert await lab.identity.sessions.find(token=opened.token) is None
    lab.clock.jump(-2 * DAY)
    assert await lab.identity.sessions.find(token=opened.token) is None


@pytest.mark.parametrize("swept", [True, False])
async def test_a_session_of_a_clock_that_was_ahead_lives_no_longer_than_one_of_now(
    lab: Lab, admin: models.User, swept: bool
) -> None:
    lab.clock.jump(YEAR)
    opened = await sign_in(lab)
    lab.clock.jump(-YEAR)
    if swept:
        await lab.identity.sweep()
    found = await lab.identity.sessions.find(token=opened.token)
    assert found is not None
    assert found.session.expires_at == lab.clock.now() + DAY
    for _ in range(14 * 2 - 1):
        await lab.clock.advance(DAY / 2)
        assert await lab.identity.sessions.find(token=opened.token) is not None
    await lab.clock.advance(DAY / 2)
    assert await lab.identity.sessions.find(token=opened.token) is None


async def test_a_clock_that_goes_back_a_day_signs_nobody_out_and_prolongs_nothing(lab: Lab, admin: models.User) -> None:
    await lab.clock.advance(10 * DAY)
    opened = await sign_in(lab)
    lab.clock.jump(-DAY)
    found = await lab.identity.sessions.find(token=opened.token)
    assert found is not None
    assert found.session.expires_at <= lab.clock.now() + IdentitySettings().session_idle


async def test_what_a_browser_says_of_itself_is_cut_and_printable(lab: Lab, admin: models.User) -> None:
    opened = await lab.identity.sessions.open(user_id=admin.id, address="x" * 999, user_agent="a\x1b[31m" + "x" * 999)
    assert opened.session.user_agent == "a[31m" + "x" * 194
    assert len(opened.session.address) == 64


async def test_a_page_that_asks_by_itself_keeps_nobody_signed_in(lab: Lab, admin: models.User) -> None:
    opened = await lab.identity.sessions.open(user_id=admin.id, address="")
    half = lab.settings.session_idle / 2
    for _ in range(2):
        await lab.clock.advance(half - timedelta(seconds=1))
        found = await lab.identity.sessions.find(token=opened.token, is_use=False)
        assert found is not None
        left = lab.identity.sessions.left(found.session)
    assert left == timedelta(seconds=2)
    await lab.clock.advance(timedelta(seconds=2))
    assert await lab.identity.sessions.find(token=opened.token) is None


async def test_work_at_a_services_origin_keeps_the_session_and_opens_none_again(lab: Lab, admin: models.User) -> None:
    opened = await lab.identity.sessions.open(user_id=admin.id, address="")
    for _ in range(5):
        await lab.clock.advance(lab.settings.session_idle - timedelta(minutes=1))
        await lab.identity.sessions.used(opened.session.id, False)
    assert await lab.identity.sessions.find(token=opened.token, is_use=False) is not None
    await lab.clock.advance(lab.settings.session_idle)
    await lab.identity.sessions.used(opened.session.id, True)
    await lab.identity.sessions.used("nothing", True)
    assert await lab.identity.sessions.find(token=opened.token) is None


async def test_where_minutes_count_a_forgotten_notebook_is_no_use_and_a_hand_is(lab: Lab, admin: models.User) -> None:
    sessions = (await lab.restarted(settings=CHEAP.model_copy(update={"session_idle_minutes": 30}))).sessions
    assert sessions.warns
    opened = await sessions.open(user_id=admin.id, address="")
    await lab.clock.advance(timedelta(minutes=29))
    await sessions.used(opened.session.id, True)
    await lab.clock.advance(timedelta(minutes=29))
    await sessions.used(opened.session.id, False)
    assert await sessions.find(token=opened.token, is_use=False) is not None
    await lab.clock.advance(timedelta(minutes=1))
    assert await sessions.find(token=opened.token) is None
