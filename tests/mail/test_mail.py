"""Messages handed to a real server, kept while it is away, told once."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from etabli.kernel import errors
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database
from etabli.mail.models import Message, Notice
from etabli.mail.service import Mail
from etabli.mail.settings import MailSettings
from tests.mail.server import PASSWORD, Server

MESSAGE = Message(to="zoe@example.org", subject="Ça s’arrête bientôt", text="Bonjour,\nà bientôt.\n")


async def test_a_message_arrives_whole_and_says_that_no_person_wrote_it(mail: Mail, server: Server) -> None:
    await mail.send(message=MESSAGE)
    (arrived,) = server.messages
    assert (arrived["To"], arrived["Subject"], arrived["From"]) == (
        MESSAGE.to,
        MESSAGE.subject,
        "Etabli <lab@example.org>",
    )
    assert arrived["Auto-Submitted"] == "auto-generated"
    assert arrived["Message-ID"].endswith("@etabli.localhost>")
    assert arrived.get_content().splitlines() == MESSAGE.text.splitlines()


async def test_a_subject_cannot_add_headers(mail: Mail, server: Server) -> None:
    await mail.send(message=Message(to=MESSAGE.to, subject="a\r\nBcc: eve@example.org", text="x"))
    assert server.messages[0]["Bcc"] is None


async def test_an_address_that_is_two_is_refused_and_nothing_is_sent(mail: Mail, server: Server) -> None:
    with pytest.raises(errors.Unavailable):
        await mail.send(message=Message(to="a@example.org\nBcc: eve@example.org", subject="a", text="x"))
    assert server.messages == []


async def test_a_server_that_is_away_is_told_to_who_waits(mail: Mail, server: Server) -> None:
    server.answer = "451 later"
    with pytest.raises(errors.Unavailable, match="did not take"):
        await mail.send(message=MESSAGE)
    assert "later" in await mail.test(to=MESSAGE.to)


async def test_a_lab_without_a_server_keeps_nothing_and_says_so(database: Database, clock: ManualClock) -> None:
    mail = Mail(database=database, clock=clock, settings=MailSettings(), domain="etabli.localhost")
    assert not await mail.keep(key="a", message=MESSAGE)
    assert await mail.waiting() == ()
    assert "[mail]" in await mail.test(to=MESSAGE.to)
    with pytest.raises(errors.Unavailable):
        await mail.send(message=MESSAGE)


async def test_what_is_kept_is_sent_once_whoever_keeps_it_again(mail: Mail, server: Server) -> None:
    assert await mail.keep(key="ends x", message=MESSAGE)
    assert not await mail.keep(key="ends x", message=MESSAGE)
    assert await mail.deliver() == 1
    assert await mail.deliver() == 0
    assert not await mail.keep(key="ends x", message=MESSAGE)
    assert len(server.messages) == 1
    assert await mail.told(keys=["ends x", "ends y"]) == {"ends x"}


async def test_what_is_kept_waits_for_its_server_ever_longer_and_is_given_up_in_the_end(
    mail: Mail, server: Server, clock: ManualClock
) -> None:
    server.answer = "451 later"
    await mail.keep(key="a", message=MESSAGE)
    assert await mail.deliver() == 0
    assert await mail.deliver() == 0
    (waiting,) = await mail.waiting()
    assert (waiting.attempts, "later" in waiting.problem) == (1, True)
    server.answer = "250 taken"
    await clock.advance(timedelta(minutes=2))
    assert await mail.deliver() == 1
    assert await mail.waiting() == ()

    server.answer = "550 no such mailbox"
    await mail.keep(key="b", message=MESSAGE)
    for _ in range(12):
        await mail.deliver()
        await clock.advance(timedelta(days=1, minutes=1))
    (given_up,) = await mail.waiting()
    assert given_up.given_up_at is not None
    assert given_up.attempts == 9


async def test_the_password_is_given_to_the_server_and_to_nobody_else(
    server: Server, database: Database, clock: ManualClock, tmp_path: Path
) -> None:
    file = tmp_path / "mail-password"
    file.write_text("wrong\n")
    told = MailSettings.model_construct(**{**dict(server.settings()), "username": "lab", "password_file": file})
    mail = Mail(database=database, clock=clock, settings=told, domain="etabli.localhost")
    problem = await mail.test(to=MESSAGE.to)
    assert problem == "the server refuses the lab's name or password"
    file.write_text(PASSWORD + "\n")
    assert await mail.test(to=MESSAGE.to) == ""


@pytest.mark.parametrize(
    "wrong",
    [
        {"host": "mail.example.org"},
        {"host": "mail.example.org", "sender": "a@b.fr", "username": "lab"},
        {"host": "m", "sender": "a@b.fr", "username": "lab", "password_file": "/x", "security": "none"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MailSettings.model_validate(wrong)


async def test_people_choose_what_they_are_told(mail: Mail) -> None:
    assert await mail.unwanted(user_id="u") == frozenset()
    await mail.choose(user_id="u", wanted=[Notice.ACCOUNT_ASKED])
    assert await mail.unwanted(user_id="u") == {Notice.SERVICE_ENDS}
    await mail.choose(user_id="u", wanted=list(Notice))
    assert await mail.unwanted(user_id="u") == frozenset()


async def test_what_was_told_long_ago_is_forgotten(mail: Mail, clock: ManualClock) -> None:
    await mail.keep(key="a", message=MESSAGE)
    await mail.deliver()
    await clock.advance(timedelta(days=61))
    await mail.sweep()
    assert await mail.told(keys=["a"]) == frozenset()
