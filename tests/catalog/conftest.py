"""The built-in catalogue, ready, its worker ended with the test."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from etabli.catalog.service import Catalog
from tests.catalog import builders

Make = Callable[..., Awaitable[Catalog]]


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as client:
        yield client


@pytest.fixture
async def make_catalog(tmp_path: Path, http: httpx.AsyncClient) -> AsyncIterator[Make]:
    """Makes catalogues that are loaded, and closes them."""
    made: list[Catalog] = []

    async def make(*locations: Path | str, **options: Any) -> Catalog:
        catalog = builders.a_catalog(tmp_path / "cache", *locations, http=http, **options)
        made.append(catalog)
        await catalog.load()
        return catalog

    yield make
    for catalog in made:
        await catalog.close()


@pytest.fixture
async def catalog(make_catalog: Make) -> Catalog:
    return await make_catalog()
