"""Server-sent events (WHATWG HTML, 9.2): what every stream shares, the streams of programs and those of logs.

A program's stream starts with things as they are now, so that who lost the connection is whole again when it comes back; then it sends
what changed. It reads what is stored: when an event hints that something changed, and every quarter of a minute. It ends after some
minutes: who connects again is asked who they are. Browsers have a stream of their own kind (`hub`).
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from starlette.responses import StreamingResponse

from etabli.engines import contract
from etabli.kernel import errors
from etabli.kernel.events import Events

REFRESH_SECONDS = 15.0
GATHER_SECONDS = 0.15  # Changes come in bursts; a page needs their end.
LIFETIME_SECONDS = 300.0
STILL_HERE = ": still here\n\n"  # A comment: proxies and browsers see that the stream lives.
LOG_LINES = 1000  # Of what was written before; all of it is behind the link to the text.

CHECK_SECONDS = 5.0  # How long a program may go on after its token was revoked.

State = TypeVar("State")


def response(messages: AsyncIterator[str]) -> StreamingResponse:
    """A stream of messages, as a browser takes it."""
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(messages, media_type="text/event-stream", headers=headers)


def message(text: str) -> str:
    """One event without a name."""
    return "".join(f"data: {line}\n" for line in text.splitlines()) + "\n"


async def states(
    events: Events, *, project: str, subject: str | None, read: Callable[[], Awaitable[State]]
) -> AsyncGenerator[State, None]:
    """What `read` gives now, after each burst of changes, and now and then; the end where it is refused."""
    changed = asyncio.Event()
    listening = asyncio.create_task(_listen(events, project=project, subject=subject, changed=changed))
    deadline = asyncio.get_running_loop().time() + LIFETIME_SECONDS
    try:
        while asyncio.get_running_loop().time() < deadline:
            changed.clear()
            try:
                yield await read()
            except errors.Refused:
                return  # It was deleted, or may not be seen any more.
            with suppress(TimeoutError):
                await asyncio.wait_for(changed.wait(), REFRESH_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)
    finally:
        listening.cancel()


async def logs(lines: AsyncIterator[contract.LogLine]) -> AsyncGenerator[str, None]:
    """Log lines as they come, in few messages of `{text, isFirst}`: the first takes the place of what the page shows."""
    waiting: deque[str] = deque(maxlen=LOG_LINES)
    arrived = asyncio.Event()
    reading = asyncio.create_task(_read(lines, waiting=waiting, arrived=arrived))
    is_first = True
    try:
        while not (reading.done() and not waiting):
            with suppress(TimeoutError):
                await asyncio.wait_for(arrived.wait(), REFRESH_SECONDS)
                await asyncio.sleep(GATHER_SECONDS)
            arrived.clear()
            if not waiting:
                yield STILL_HERE
                continue
            text = "".join(f"{line}\n" for line in waiting)
            waiting.clear()
            yield message(json.dumps({"text": text, "isFirst": is_first}))
            is_first = False
    finally:
        reading.cancel()


async def _listen(events: Events, *, project: str, subject: str | None, changed: asyncio.Event) -> None:
    async for event in events.listen():
        if event.project in (project, None) and subject in (event.subject, None):
            changed.set()


async def _read(lines: AsyncIterator[contract.LogLine], *, waiting: deque[str], arrived: asyncio.Event) -> None:
    try:
        async for line in lines:
            waiting.append(line.text)
            arrived.set()
    finally:
        arrived.set()


async def while_good(
    messages: AsyncGenerator[str, None], is_good: Callable[[], Awaitable[bool]], *, every: float = CHECK_SECONDS
) -> AsyncGenerator[str, None]:
    """Those messages until `is_good` says no, which is asked every so many seconds: for streams that a program's token follows."""
    loop = asyncio.get_running_loop()
    coming, asked = asyncio.ensure_future(anext(messages, None)), loop.time()
    try:
        while True:
            await asyncio.wait({coming}, timeout=max(0.0, asked + every - loop.time()))
            if loop.time() - asked >= every:
                if not await is_good():
                    return
                asked = loop.time()
            if not coming.done():
                continue
            if (message := coming.result()) is None:
                return
            yield message
            coming = asyncio.ensure_future(anext(messages, None))
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await messages.aclose()
