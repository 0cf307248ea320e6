"""Following something for as long as one may: what stays open is asked again whenever people's standing may have changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from etabli.identity.standing import TOPIC
from etabli.kernel.events import Events

Item = TypeVar("Item")


async def while_allowed(
    items: AsyncIterator[Item], *, events: Events, allowed: Callable[[], Awaitable[bool]]
) -> AsyncIterator[Item]:
    """`items` until they end, or until `allowed` says no: asked after every change of who may see what, an item waiting or not."""
    doubt = asyncio.Event()
    listening = asyncio.ensure_future(_listen(events, doubt))
    doubting = asyncio.ensure_future(doubt.wait())
    coming = asyncio.ensure_future(anext(items))
    try:
        while True:
            await asyncio.wait((coming, doubting), return_when=asyncio.FIRST_COMPLETED)
            if doubting.done():
                doubt.clear()
                if not await allowed():
                    return
                doubting = asyncio.ensure_future(doubt.wait())
                continue
            try:
                item = coming.result()
            except StopAsyncIteration:
                return
            yield item
            coming = asyncio.ensure_future(anext(items))
    finally:
        for task in (listening, doubting, coming):
            task.cancel()
        await asyncio.gather(listening, doubting, coming, return_exceptions=True)


async def _listen(events: Events, doubt: asyncio.Event) -> None:
    async for event in events.listen():
        if event.topic == TOPIC:
            doubt.set()
