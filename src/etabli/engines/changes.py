"""The stream behind `Engine.watch`: every engine tells changes through one of these.

A listener that is slow is told of each service once, however often it changed meanwhile: nothing is lost, and nothing piles up.
"""

import asyncio
from collections.abc import AsyncIterator
from weakref import WeakSet

from etabli.engines import contract


class Changes:
    """Tells whoever listens in this process."""

    def __init__(self) -> None:
        self._listeners: WeakSet[_Listener] = WeakSet()

    def publish(self, service_id: str) -> None:
        """Tell that something of a service may have changed. Never blocks."""
        for listener in tuple(self._listeners):
            listener.tell(service_id)

    def listen(self) -> AsyncIterator[contract.Change]:
        """Every change from this call on, until the iterator is dropped."""
        listener = _Listener()
        self._listeners.add(listener)
        return listener


class _Listener(AsyncIterator[contract.Change]):
    def __init__(self) -> None:
        self._waiting: dict[str, None] = {}
        self._arrived = asyncio.Event()

    def tell(self, service_id: str) -> None:
        self._waiting[service_id] = None
        self._arrived.set()

    async def __anext__(self) -> contract.Change:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        service_id = next(iter(self._waiting))
        del self._waiting[service_id]
        return contract.Change(service_id)
