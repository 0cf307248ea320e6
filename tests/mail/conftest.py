"""A lab's mail, and a real SMTP server that takes its messages."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database, sqlite_url
from etabli.mail.service import Mail
from tests.mail.server import Server, serving


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as served:
        yield served


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    made = Database(sqlite_url(tmp_path / "lab.db"))
    await made.create_tables()
    yield made
    await made.close()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def mail(server: Server, database: Database, clock: ManualClock) -> Mail:
    return Mail(database=database, clock=clock, settings=server.settings(), domain="etabli.localhost")
