"""The bus."""

import asyncio

from etabli.kernel.events import BACKLOG, Event, Events


async def test_every_listener_hears_and_a_slow_one_loses_the_oldest() -> None:
    bus = Events()
    listener = bus.listen()
    first = asyncio.ensure_future(anext(listener))
    await asyncio.sleep(0)
    for number in range(BACKLOG + 10):
        bus.publish(Event(topic="service", subject=str(number)))
    heard = [(await first).subject]
    while len(heard) < BACKLOG:
        heard.append((await anext(listener)).subject)
    assert heard[0] == "10"
    assert heard[-1] == str(BACKLOG + 9)
    await listener.aclose()  # type: ignore[attr-defined]
    bus.publish(Event(topic="service", subject="nobody hears"))
