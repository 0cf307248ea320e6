"""The audit log: it only grows, tampering shows, days are copied once, old ones go only after."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from etabli.audit import models
from etabli.audit.service import Audit
from etabli.audit.settings import AuditSettings
from etabli.kernel import errors
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database, sqlite_url

DAY = timedelta(days=1)
ADA = models.Actor(models.ActorKind.PERSON, models.Means.SESSION, id="abc", name="ada")
BOB = models.Actor(models.ActorKind.PERSON, models.Means.TOKEN, id="bcd", name="bob")


@dataclass
class Shelf:
    """A bucket in memory, that may be away."""

    objects: dict[str, bytes] = field(default_factory=dict)
    puts: int = 0
    away: bool = False

    async def put(self, *, key: str, content: bytes, content_type: str) -> None:
        if self.away:
            raise errors.Unavailable("the object store does not answer")
        self.puts += 1
        self.objects[key] = content


@dataclass
class Log:
    """A log, and what it stands on."""

    audit: Audit
    clock: ManualClock
    database: Database
    shelf: Shelf = field(default_factory=Shelf)

    async def did(self, action: str, actor: models.Actor = ADA, **also: object) -> None:
        await self.audit.record(models.Entry(actor=actor, action=action, **also))  # type: ignore[arg-type]

    async def sql(self, statement: str) -> None:
        async with self.database.session() as session:
            await session.execute(text(statement))

    async def actions(self, **query: object) -> list[str]:
        found = await self.audit.search(models.Query(**query))  # type: ignore[arg-type]
        return [record.entry.action for record in found]


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    database, clock = Database(sqlite_url(tmp_path / "log.db")), ManualClock()
    await database.create_tables()
    yield Log(Audit(database=database, clock=clock), clock, database)
    await database.close()


async def test_records_are_found_by_who_what_where_and_when(log: Log) -> None:
    await log.did("services.stop", project="prices", target="s1")
    await log.clock.advance(DAY)
    await log.did("services.delete", BOB, project="wages", outcome=models.Outcome.REFUSED)
    await log.did("account.change_profile")
    assert await log.actions() == ["account.change_profile", "services.delete", "services.stop"]
    assert await log.actions(who="bob") == ["services.delete"]
    assert await log.actions(what="services.") == ["services.delete", "services.stop"]
    assert await log.actions(what="services_") == []
    assert await log.actions(project="prices") == await log.actions(target="s1") == ["services.stop"]
    assert await log.actions(outcome="refused") == ["services.delete"]
    assert await log.actions(until=log.clock.now()) == ["services.stop"]
    assert await log.actions(since=log.clock.now()) == ["account.change_profile", "services.delete"]
    assert await log.actions(before=2) == ["services.stop"]


async def test_a_log_that_nobody_touched_holds(log: Log) -> None:
    assert (await log.audit.verify()).holds
    for number in range(5):
        await log.did(f"a.{number}", detail={"é": "« ü »"})
    assert await log.audit.verify() == models.Verdict(rows=5)


@pytest.mark.parametrize(
    "tampering",
    [
        "update audit_log set actor = 'bob' where number = 3",
        "update audit_log set detail = '{}' where number = 3",
        "update audit_log set at = '2020-01-01 00:00:00.000000' where number = 3",
        "update audit_log set digest = 'x' where number = 3",
        "delete from audit_log where number = 3",
        "delete from audit_log where number <= 3",
    ],
)
async def test_what_is_changed_behind_the_labs_back_shows(log: Log, tampering: str) -> None:
    for number in range(5):
        await log.did(f"a.{number}", detail={"n": str(number)})
    await log.sql(tampering)
    verdict = await log.audit.verify()
    assert verdict.first_wrong in {3, 4}
    assert verdict.reason


async def test_an_end_that_was_cut_off_after_its_copy_shows(log: Log) -> None:
    for number in range(3):
        await log.did(f"a.{number}")
    await log.audit.export(log.shelf, today_too=True)
    await log.sql("delete from audit_log where number = 3")
    verdict = await log.audit.verify()
    assert not verdict.holds
    assert verdict.first_wrong == 3


async def test_a_day_is_copied_once_whole_and_named_by_its_content(log: Log) -> None:
    await log.did("a.first", detail={"browser": "Firefox"})
    await log.did("a.second")
    assert await log.audit.export(log.shelf) == ()  # The day is not over.
    await log.clock.advance(DAY)
    await log.did("a.third")
    (export,) = await log.audit.export(log.shelf)
    content = log.shelf.objects[export.object_key]
    assert export.object_key == f"audit/2026/01/01/{hashlib.sha256(content).hexdigest()}.jsonl"
    lines = [json.loads(line) for line in content.decode().splitlines()]
    assert [line["action"] for line in lines] == ["a.first", "a.second"]
    assert lines[1]["previous"] == lines[0]["digest"]
    assert await log.audit.export(log.shelf) == ()
    assert log.shelf.puts == 1


async def test_old_days_go_only_once_they_are_copied_and_the_rest_still_holds(log: Log) -> None:
    settings = AuditSettings(keep_days=10)
    await log.did("a.old")
    await log.clock.advance(30 * DAY)
    await log.did("a.new")
    log.shelf.away = True
    with pytest.raises(errors.Unavailable):
        await log.audit.tend(log.shelf, settings)
    assert await log.actions() == ["a.new", "a.old"]
    log.shelf.away = False
    await log.audit.tend(log.shelf, settings)
    assert await log.actions() == ["a.new"]
    assert await log.audit.verify() == models.Verdict(rows=1)
    await log.clock.advance(30 * DAY)
    await log.audit.tend(log.shelf, settings)
    assert await log.actions() == []
    await log.did("a.newest")
    assert await log.audit.verify() == models.Verdict(rows=1)
    assert (await log.audit.search(models.Query()))[0].number == 3
    assert len(log.shelf.objects) == 2


async def test_zero_days_is_for_good(log: Log) -> None:
    await log.did("a.old")
    await log.clock.advance(5000 * DAY)
    await log.audit.tend(log.shelf, AuditSettings(keep_days=0))
    assert await log.actions() == ["a.old"]


async def test_nothing_that_is_named_as_a_secret_is_kept_and_nothing_is_long(log: Log) -> None:
    detail = {"password": "hunter2", "csrf": "x", "api_token": "y", "secretKey": "z", "name": "n" * 5000}
    await log.did("a" * 500, detail=detail, target="t" * 500, project="p" * 500)
    (record,) = await log.audit.search(models.Query())
    assert list(record.entry.detail) == ["name"]
    assert len(record.entry.detail["name"]) == models.LONGEST_DETAIL
    assert len(record.entry.action) == models.LONGEST_NAME
    assert (await log.audit.verify()).holds
