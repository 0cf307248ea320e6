"""Hosts, codes and cookies, over a real database."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from etabli.door import models, store
from etabli.door.service import Door
from etabli.engines import contract
from etabli.kernel import database, errors
from etabli.kernel.clock import ManualClock
from etabli.kernel.settings import LabSettings

HOST = "jupyter-abc.svc.etabli.localhost"
WHO = {"user_id": "u", "session_id": "s"}


@pytest.fixture
async def tables(tmp_path: Path) -> AsyncIterator[database.Database]:
    opened = database.Database(database.sqlite_url(tmp_path / "etabli.db"))
    await opened.create_tables()
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def door(tables: database.Database, clock: ManualClock) -> Door:
    made = Door(database=tables, clock=clock, lab=LabSettings())
    await publish(made)
    return made


async def publish(
    door: Door, *, service: str = "one", host: str = HOST, path: str = "/", upstream: str = "key-1"
) -> None:
    route = contract.Route(host=host, path=path, upstream=upstream)
    await door.publish(service_id=service, project_id="p", routes=[route], ready=True)


async def test_a_code_is_good_once(door: Door) -> None:
    code = await door.mint_code(**WHO, host=HOST)
    assert await door.redeem(code=code, host=HOST)
    with pytest.raises(errors.Forbidden):
        await door.redeem(code=code, host=HOST)


async def test_of_many_that_present_one_code_at_once_one_enters(door: Door) -> None:
    code = await door.mint_code(**WHO, host=HOST)
    tried = await asyncio.gather(*(door.redeem(code=code, host=HOST) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(one, str) for one in tried) == 1
    assert sum(isinstance(one, errors.Forbidden) for one in tried) == 7


async def test_a_code_lives_half_a_minute(door: Door, clock: ManualClock) -> None:
    code = await door.mint_code(**WHO, host=HOST)
    await clock.advance(models.CODE_LIFETIME)
    with pytest.raises(errors.Forbidden):
        await door.redeem(code=code, host=HOST)


async def test_a_code_is_good_on_its_host_alone_and_trying_elsewhere_spends_it(door: Door) -> None:
    other = "other-def.svc.etabli.localhost"
    await publish(door, service="two", host=other)
    code = await door.mint_code(**WHO, host=HOST)
    with pytest.raises(errors.Forbidden):
        await door.redeem(code=code, host=other)
    with pytest.raises(errors.Forbidden):
        await door.redeem(code=code, host=HOST)


async def test_what_is_stored_opens_nothing(door: Door, tables: database.Database) -> None:
    code = await door.mint_code(**WHO, host=HOST)
    async with tables.session() as session:
        kept = await session.get(store.CodeRow, models.digest(code))
    assert kept is not None
    with pytest.raises(errors.Forbidden):
        await door.redeem(code=kept.code_hash, host=HOST)


async def test_entering_leads_to_the_host_of_the_service_and_a_local_path(door: Door) -> None:
    url = urlsplit(await door.enter(**WHO, host=f"{HOST}:8000", to="/lab?x=1#é".replace("é", "e")))
    assert (url.netloc, url.path) == (f"{HOST}:8000", "/.etabli/enter")
    asked = parse_qs(url.query)
    assert asked["to"] == ["/lab?x=1#e"]
    assert await door.redeem(code=asked["code"][0], host=HOST)


@pytest.mark.parametrize(
    "to",
    [
        "",
        "lab",
        "//evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "https://evil.example",
        "/\t/evil.example",
        "/a\r\nSet-Cookie: x",
        "javascript:x",
        " /",
    ],
)
async def test_a_way_that_leads_elsewhere_is_refused(door: Door, to: str) -> None:
    with pytest.raises(errors.Invalid):
        await door.enter(**WHO, host=HOST, to=to)


async def test_an_unknown_host_has_no_codes(door: Door) -> None:
    with pytest.raises(errors.NotFound):
        await door.mint_code(**WHO, host="nobody.svc.etabli.localhost")
    assert not await door.known_host("nobody.svc.etabli.localhost")
    assert await door.known_host(HOST.upper())


async def test_a_host_is_never_given_to_another_service(door: Door) -> None:
    with pytest.raises(errors.Conflict):
        await publish(door, service="two")
    assert await door.service_of(host=HOST) == "one"


async def test_publishing_again_replaces_what_was_known(door: Door) -> None:
    await publish(door, host="new-abc.svc.etabli.localhost")
    assert await door.service_of(host=HOST) is None
    assert await door.service_of(host="new-abc.svc.etabli.localhost") == "one"


@pytest.mark.parametrize(
    "host",
    [
        "etabli.localhost",
        "s3.etabli.localhost",
        "a.b.svc.etabli.localhost",
        "evil.example",
        "-a.svc.etabli.localhost",
        "*.svc.etabli.localhost",
    ],
)
async def test_a_service_gets_no_host_but_a_label_of_its_own(door: Door, host: str) -> None:
    with pytest.raises(errors.Invalid):
        await publish(door, host=host)


@pytest.mark.parametrize("upstream", ["", "../portal.sock", "a/b", "A", ".", "{x}", "a" * 101])
async def test_an_upstream_is_a_plain_name(door: Door, upstream: str) -> None:
    with pytest.raises(errors.Invalid):
        await publish(door, upstream=upstream)


async def test_withdrawing_forgets_hosts_codes_and_cookies_and_may_be_repeated(
    door: Door, tables: database.Database
) -> None:
    token = await door.redeem(code=await door.mint_code(**WHO, host=HOST), host=HOST)
    code = await door.mint_code(**WHO, host=HOST)
    for _ in range(2):
        await door.withdraw(service_id="one")
    async with tables.session() as session:
        assert await session.get(store.DoorSessionRow, models.digest(token)) is None
    await publish(door)
    with pytest.raises(errors.Forbidden):
        await door.redeem(code=code, host=HOST)


async def test_signing_out_ends_what_the_session_bought(door: Door, tables: database.Database) -> None:
    token = await door.redeem(code=await door.mint_code(**WHO, host=HOST), host=HOST)
    kept = await door.redeem(code=await door.mint_code(user_id="u", session_id="t", host=HOST), host=HOST)
    await door.end_session(session_id="s")
    async with tables.session() as session:
        assert await session.get(store.DoorSessionRow, models.digest(token)) is None
        assert await session.get(store.DoorSessionRow, models.digest(kept)) is not None


async def test_pruning_removes_what_has_expired_and_nothing_else(
    door: Door, tables: database.Database, clock: ManualClock
) -> None:
    old = await door.redeem(code=await door.mint_code(**WHO, host=HOST), host=HOST)
    await clock.advance(models.SESSION_LIFETIME - timedelta(seconds=1))
    new = await door.redeem(code=await door.mint_code(**WHO, host=HOST), host=HOST)
    await clock.advance(timedelta(seconds=1))
    await door.prune()
    async with tables.session() as session:
        assert await session.get(store.DoorSessionRow, models.digest(old)) is None
        assert await session.get(store.DoorSessionRow, models.digest(new)) is not None


def test_the_cookie_is_bound_to_its_host_and_hidden_from_scripts() -> None:
    header = models.set_cookie("t")
    assert header.startswith("__Host-etabli-service=t; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert "Domain" not in header
