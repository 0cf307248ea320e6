"""A lab for each test, and a browser of somebody signed in."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from etabli.identity import models
from tests.web.lab import Lab, opened


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    async with opened(tmp_path) as lab:
        yield lab


@pytest.fixture
async def ada(lab: Lab) -> models.User:
    """The administrator."""
    return await lab.admin()


@pytest.fixture
async def browser(lab: Lab, ada: models.User) -> AsyncIterator[httpx.AsyncClient]:
    """Her browser, signed in."""
    async with lab.browser(await lab.token(ada)) as client:
        yield client
