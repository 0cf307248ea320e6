"""What happened, told to whoever in this process listens: pages that follow a service, background work that waits for it.

Events are hints, not state: a listener that falls behind loses the oldest, and reads the state itself when it matters.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

BACKLOG = 256  # Events a slow listener may fall behind before the oldest are dropped.


@dataclass(frozen=True)
class Event:
    """Something happened to one thing of one project."""

    topic: str  # What kind: `service`, `build`, `component`…
    subject: str  # The id of the thing.
    project: str | None = None  # The id of the project it belongs to; None for what is the lab's, or a person's.
    detail: str = ""  # A word on what happened, for logs and tests; never state.
    user: str | None = None  # The id of the one person whom it concerns; None for all who see the project, or the lab.


class Events:
    """One bus for the process."""

    def __init__(self) -> None:
        self._listeners: set[_Listener] = set()
        self._subscribed: list[Callable[[Event], None]] = []

    def publish(self, event: Event) -> None:
        """Tell every listener. Never blocks, never fails."""
        for listener in tuple(self._listeners):
            listener.put(event)
        for hear in self._subscribed:
            hear(event)

    def subscribe(self, hear: Callable[[Event], None]) -> None:
        """Have `hear` called with every event from now on, for as long as the bus is there; it may neither wait nor fail."""
        self._subscribed.append(hear)

    async def listen(self) -> AsyncIterator[Event]:
        """Events from now on, until the caller stops iterating."""
        listener = _Listener()
        self._listeners.add(listener)
        try:
            while True:
                yield await listener.get()
        finally:
            self._listeners.discard(listener)


class _Listener:
    def __init__(self) -> None:
        self._waiting: deque[Event] = deque(maxlen=BACKLOG)
        self._arrived = asyncio.Event()

    def put(self, event: Event) -> None:
        self._waiting.append(event)
        self._arrived.set()

    async def get(self) -> Event:
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        return self._waiting.popleft()
