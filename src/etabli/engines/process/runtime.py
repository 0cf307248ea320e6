"""What every part of the engine is given."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TypeVar

from etabli.engines.process import ports
from etabli.engines.process.settings import ProcessSettings
from etabli.engines.process.store import Store
from etabli.kernel.clock import Clock
from etabli.kernel.settings import Layout
from etabli.sandbox.service import Sandboxes


@dataclass(frozen=True)
class Runtime:
    """One engine's surroundings."""

    layout: Layout
    sandboxes: Sandboxes
    trees: ports.Trees
    clock: Clock
    store: Store
    settings: ProcessSettings
    door: ports.Door


Answer = TypeVar("Answer")


async def whole(doing: Coroutine[object, object, Answer]) -> Answer:
    """Let something short come to its end even where we are cancelled meanwhile: half of it could not be undone."""
    task = asyncio.ensure_future(doing)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
