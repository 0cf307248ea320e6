"""Signing keys and their rotation, clocks that jump included."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.identity import keys, models
from etabli.kernel import errors
from etabli.kernel.clock import ManualClock
from tests.identity.lab import Lab

HOUR, DAY, YEAR = timedelta(hours=1), timedelta(days=1), timedelta(days=365)


def published(lab: Lab) -> list[str]:
    return [key["kid"] for key in json.loads((lab.layout.keys / keys.PUBLIC_FILE).read_text())["keys"]]


async def test_private_keys_are_readable_by_their_owner_alone_and_never_published(lab: Lab) -> None:
    assert (lab.layout.keys / keys.PRIVATE_FILE).stat().st_mode & 0o777 == 0o600
    (key,) = json.loads((lab.layout.keys / keys.PUBLIC_FILE).read_text())["keys"]
    assert set(key) == {"kty", "use", "alg", "kid", "n", "e"}


async def test_a_restart_keeps_the_keys(lab: Lab) -> None:
    before = lab.identity.keys.signing().kid
    assert (await lab.restarted()).keys.signing().kid == before


async def test_a_new_key_is_published_before_it_signs_and_the_old_one_until_its_last_token_ends(lab: Lab) -> None:
    old = lab.identity.keys.signing().kid
    await lab.clock.advance(90 * DAY)
    await lab.identity.keys.tend()
    new = published(lab)[-1]
    assert (published(lab), lab.identity.keys.signing().kid) == ([old, new], old)
    await lab.clock.advance(keys.PUBLISH_AHEAD)
    assert lab.identity.keys.signing().kid == new
    await lab.clock.advance(keys.LONGEST_TOKEN)
    await lab.identity.keys.tend()
    assert published(lab) == [old, new]
    await lab.clock.advance(keys.PUBLISH_AHEAD)
    await lab.identity.keys.tend()
    assert published(lab) == [new]


async def test_a_token_of_the_old_key_is_good_until_it_ends(lab: Lab, admin: models.User) -> None:
    await lab.clock.advance(90 * DAY)
    await lab.identity.keys.tend()
    await lab.clock.advance(keys.PUBLISH_AHEAD - timedelta(seconds=1))
    token = await lab.identity.issuer.issue(subject=admin, audience=models.Audience.API, lifetime=keys.LONGEST_TOKEN)
    await lab.clock.advance(keys.LONGEST_TOKEN - timedelta(seconds=1))
    await lab.identity.keys.tend()
    assert lab.identity.issuer.verify(token).subject == admin.id


async def test_tending_twice_makes_one_key(lab: Lab) -> None:
    await lab.clock.advance(90 * DAY)
    await lab.identity.keys.tend()
    await lab.identity.keys.tend()
    assert len(published(lab)) == 2


@pytest.mark.parametrize("away", [YEAR, -DAY])
async def test_a_clock_that_jumps_and_comes_back_leaves_a_key_that_everyone_knows(lab: Lab, away: timedelta) -> None:
    old = lab.identity.keys.signing().kid
    lab.clock.jump(away)
    await lab.identity.keys.tend()
    assert lab.identity.keys.signing().kid == old
    lab.clock.jump(-away)
    await lab.identity.keys.tend()
    assert lab.identity.keys.signing().kid == old
    await lab.clock.advance(2 * HOUR)
    assert lab.identity.keys.signing().kid == published(lab)[-1]
    await lab.clock.advance(keys.LONGEST_TOKEN + HOUR)
    await lab.identity.keys.tend()
    assert len(published(lab)) == 1


async def test_a_killed_writer_leaves_what_was_there(lab: Lab) -> None:
    (lab.layout.keys / f".{keys.PRIVATE_FILE}.deadbeef").write_text('{"version": 1, "ke')
    before = lab.identity.keys.signing().kid
    assert (await lab.restarted()).keys.signing().kid == before


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"keys": [{"key": {"kty": "RSA"}}]}', "\x00"])
async def test_keys_that_cannot_be_read_are_said_and_not_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / keys.PRIVATE_FILE).write_text(content)
    with pytest.raises(errors.Refused, match="holds no keys"):
        await keys.KeyRing(folder=tmp_path, clock=ManualClock(), period=DAY).open()
    assert (tmp_path / keys.PRIVATE_FILE).read_text() == content
