"""Asking for an account from outside."""

import asyncio
from datetime import timedelta

import pytest

from etabli.identity import accounts, models
from etabli.identity.requests import MOST_WAITING, Asking
from etabli.identity.service import Identity
from etabli.identity.settings import IdentitySettings
from etabli.identity.store import UserRow
from etabli.kernel import errors
from tests.identity.lab import CHEAP, PASSWORD, Lab

ZOE = Asking(name="Zoé", email="Zoe@Example.org", message="Prices", language="fr")


async def asking(lab: Lab, **settings: object) -> Identity:
    """The lab, started again with these settings."""
    return await lab.restarted(
        settings=IdentitySettings.model_validate({**CHEAP.model_dump(), "requests": True, **settings})
    )


async def ask(identity: Identity, given: Asking = ZOE, address: str = "192.0.2.1") -> models.Invited | None:
    return await identity.requests.ask(asking=given, address=address)


async def test_a_lab_takes_no_requests_unless_told(lab: Lab) -> None:
    with pytest.raises(errors.NotFound):
        await lab.identity.requests.ask(asking=ZOE, address="192.0.2.1")


async def test_a_request_waits_until_an_administrator_lets_in_that_address_and_no_other(lab: Lab) -> None:
    admin, identity = await lab.admin(), await asking(lab)
    assert await ask(identity) is None
    (waiting,) = await identity.requests.list(by=admin)
    assert (waiting.name, waiting.email, waiting.message) == ("Zoé", "zoe@example.org", "Prices")
    asked, invited = await identity.requests.approve(by=admin, request_id=waiting.id)
    assert asked.language == "fr"
    form = accounts.Form(name="Zoé", password=PASSWORD, email="eve@example.org")
    user = await identity.invitations.join(token=invited.token, form=form)
    assert user.email == "zoe@example.org"
    assert not await email_is_proved(lab, user)  # An administrator saw the link too.
    assert await identity.requests.list(by=admin) == ()
    with pytest.raises(errors.NotFound):
        await identity.invitations.join(token=invited.token, form=form)


async def test_asking_twice_is_one_request_with_the_last_words(lab: Lab) -> None:
    admin, identity = await lab.admin(), await asking(lab)
    await ask(identity)
    await ask(identity, Asking(name="Zoé Z", email="zoe@example.org", message="Please"))
    (waiting,) = await identity.requests.list(by=admin)
    assert (waiting.name, waiting.message) == ("Zoé Z", "Please")


async def test_two_administrators_who_answer_at_once_make_one_invitation(lab: Lab) -> None:
    admin, identity = await lab.admin(), await asking(lab)
    await ask(identity)
    (waiting,) = await identity.requests.list(by=admin)
    tries = [identity.requests.approve(by=admin, request_id=waiting.id) for _ in range(2)]
    answers = await asyncio.gather(*tries, return_exceptions=True)
    assert sorted(type(answer).__name__ for answer in answers) == ["NotFound", "tuple"]
    assert len(await identity.invitations.list(by=admin)) == 1


async def test_an_address_that_has_an_account_is_answered_like_any_other(lab: Lab) -> None:
    admin = await lab.admin()
    identity = await asking(lab, open_domains=["example.org"])
    assert admin.email
    assert await ask(identity, Asking(name="Somebody", email=admin.email)) is None
    assert await identity.requests.list(by=admin) == ()


async def test_an_open_domain_gets_a_link_for_that_address_and_its_neighbours_wait(lab: Lab) -> None:
    admin = await lab.admin()
    identity = await asking(lab, open_domains=["example.org"])
    invited = await ask(identity)
    assert invited is not None
    assert invited.invitation.email == "zoe@example.org"
    form = accounts.Form(name="Zoé", password=PASSWORD)
    user = await identity.invitations.join(token=invited.token, form=form)
    assert await email_is_proved(lab, user)
    for near in ("zoe@sub.example.org", "zoe@example.org.eve.net", "zoe@notexample.org"):
        assert await ask(identity, Asking(name="Zoé", email=near)) is None
    assert len(await identity.requests.list(by=admin)) == 3


async def test_where_only_domains_are_open_nobody_else_is_noted(lab: Lab) -> None:
    admin = await lab.admin()
    identity = await asking(lab, requests=False, open_domains=["insee.fr"])
    assert await ask(identity) is None
    assert await identity.requests.list(by=admin) == ()


async def test_one_mailbox_cannot_be_filled_and_an_institution_is_not_kept_out(lab: Lab) -> None:
    await lab.admin()
    identity = await asking(lab)
    for turn in range(3):
        await ask(identity, address=f"192.0.2.{turn}")
    with pytest.raises(errors.Unavailable):
        await ask(identity, address="192.0.2.200")
    for turn in range(15):
        await ask(identity, Asking(name="One of many", email=f"person{turn}@example.org"), address="198.51.100.1")


async def test_what_is_wrong_is_said_by_field(lab: Lab) -> None:
    identity = await asking(lab)
    with pytest.raises(errors.Invalid) as raised:
        await ask(identity, Asking(name="", email="no", message="x" * 2000))
    assert set(raised.value.fields) == {"name", "email", "message"}


async def test_a_flood_of_requests_is_bounded(lab: Lab) -> None:
    await lab.admin()
    identity = await asking(lab, asks_at_once=10_000)
    for turn in range(MOST_WAITING):
        await identity.requests.note(asking=Asking(name="x", email=f"p{turn}@example.org"))
    with pytest.raises(errors.Unavailable):
        await identity.requests.note(asking=ZOE)


async def test_only_administrators_see_and_answer(lab: Lab) -> None:
    admin, identity = await lab.admin(), await asking(lab)
    invited = await identity.invitations.invite(by=admin, lifetime=timedelta(days=1))
    bob = await identity.invitations.join(token=invited.token, form=accounts.Form(name="Bob", password=PASSWORD))
    await ask(identity)
    (waiting,) = await identity.requests.list(by=admin)
    for use in (
        identity.requests.list(by=bob),
        identity.requests.approve(by=bob, request_id=waiting.id),
        identity.requests.refuse(by=bob, request_id=waiting.id),
    ):
        with pytest.raises(errors.Forbidden):
            await use
    await identity.requests.refuse(by=admin, request_id=waiting.id)
    assert await identity.requests.list(by=admin) == ()


async def test_an_invitation_that_names_an_address_is_good_once(lab: Lab, admin: models.User) -> None:
    invited = await lab.identity.invitations.invite(
        by=admin, lifetime=timedelta(days=1), uses=50, email="Bob@Example.org"
    )
    assert (invited.invitation.uses_left, invited.invitation.email) == (1, "bob@example.org")


async def email_is_proved(lab: Lab, user: models.User) -> bool:
    """Whether the lab knows that the person holds the mailbox."""
    async with lab.database.session() as session:
        return (await session.get_one(UserRow, user.id)).email_verified_at is not None
