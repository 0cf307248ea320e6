"""An identity over a real SQLite file, a clock that the test moves, and passwords that cost little."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from etabli.identity import keys, models, service
from etabli.kernel.clock import ManualClock
from etabli.kernel.database import Database, sqlite_url
from etabli.kernel.settings import Layout
from tests.identity.lab import CHEAP, ORIGIN, Lab


@pytest.fixture(scope="session")
def key_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Signing keys made once for all tests: RSA keys are slow to make."""
    folder = tmp_path_factory.mktemp("keys")
    asyncio.run(keys.KeyRing(folder=folder, clock=ManualClock(), period=CHEAP.key_period).open())
    return folder


@pytest.fixture
async def lab(tmp_path: Path, key_folder: Path) -> AsyncIterator[Lab]:
    layout = Layout(data=tmp_path / "data", run=tmp_path / "run")
    layout.make()
    shutil.copy(key_folder / keys.PRIVATE_FILE, layout.keys)
    database, clock = Database(sqlite_url(layout.database)), ManualClock()
    await database.create_tables()
    identity = service.build(database=database, clock=clock, layout=layout, origin=ORIGIN, settings=CHEAP)
    await identity.open()
    yield Lab(identity=identity, clock=clock, database=database, layout=layout)
    await database.close()


@pytest.fixture
async def admin(lab: Lab) -> models.User:
    return await lab.admin()
