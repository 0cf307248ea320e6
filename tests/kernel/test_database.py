"""The database."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Mapped, mapped_column

from etabli.kernel import database, errors


class _Moment(database.Table):
    __tablename__ = "test_moments"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


async def test_moments_come_back_aware_and_in_utc(tmp_path: Path) -> None:
    db = database.Database(database.sqlite_url(tmp_path / "x.db"))
    await db.create_tables()
    paris = datetime(2026, 7, 14, 12, tzinfo=timezone(timedelta(hours=2)))
    async with db.session() as session:
        session.add(_Moment(id=1, at=paris))
    async with db.session() as session:
        moment = await session.get_one(_Moment, 1)
    assert moment.at == paris
    assert moment.at.tzinfo is UTC
    await db.close()


async def test_units_of_work_come_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    db = database.Database(database.sqlite_url(tmp_path / "x.db"))
    await db.create_tables()
    written: list[int] = []

    async def write(number: int) -> None:
        async with db.session() as session:
            session.add(_Moment(id=number, at=datetime.now(UTC)))
            await session.flush()
            await asyncio.sleep(0)
            written.append(number)

    await asyncio.gather(*(write(number) for number in range(40)))
    assert written == list(range(40))
    await db.close()


async def test_a_session_inside_a_session_is_refused_and_does_not_wait_for_itself(tmp_path: Path) -> None:
    db = database.Database(database.sqlite_url(tmp_path / "x.db"))
    with pytest.raises(RuntimeError, match="inside a session"):
        async with db.session(), db.session():
            raise AssertionError("never")
    async with db.session() as session:
        await session.execute(text("select 1"))
    await db.close()


async def test_a_unit_of_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    db = database.Database(database.sqlite_url(tmp_path / "x.db"))
    await db.create_tables()
    with pytest.raises(RuntimeError, match="half-way"):
        await _fail_half_way(db)
    async with db.session() as session:
        assert (await session.scalars(select(_Moment))).all() == []
    await db.close()


async def test_what_is_acknowledged_is_on_the_disk(tmp_path: Path) -> None:
    db = database.Database(database.sqlite_url(tmp_path / "x.db"))
    async with db.session() as session:
        modes = [
            await session.scalar(text(f"PRAGMA {name}")) for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert modes == ["wal", 2, 1]
    await db.close()


async def _fail_half_way(db: database.Database) -> None:
    async with db.session() as session:
        session.add(_Moment(id=1, at=datetime.now(UTC)))
        await session.flush()
        raise RuntimeError("half-way")


async def test_a_full_disk_is_a_sentence_and_the_unit_of_work_is_undone(tmp_path: Path) -> None:
    db = database.Database(database.sqlite_url(tmp_path / "x.db"))
    await db.create_tables()

    async def write_much() -> None:
        async with db.session() as session:
            await session.execute(text("PRAGMA max_page_count = 1"))  # SQLite answers as where no byte is left.
            await session.execute(text("CREATE TABLE wide (words TEXT)"))
            await session.execute(text("INSERT INTO wide VALUES (hex(zeroblob(1000000)))"))

    with pytest.raises(errors.Unavailable, match="the lab's disk is full"):
        await write_much()
    async with db.session() as session:
        found = await session.execute(text("SELECT count(*) FROM sqlite_schema WHERE name = 'wide'"))
        assert found.scalar() == 0
    await db.close()
