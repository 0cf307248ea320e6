"""Whether a component answers, asked over its UNIX socket (`models.Health`)."""

import asyncio

from etabli.components import models

ANSWER_SECONDS = 3.0  # A component that takes longer than this does not answer.


async def answers(health: models.Health) -> bool:
    """Whether it answers now as `health` wants. Never raises, never waits for long."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await _ask(health)
    except (OSError, TimeoutError, ValueError):
        return False


async def _ask(health: models.Health) -> bool:
    reader, writer = await asyncio.open_unix_connection(str(health.socket))
    try:
        if health.path is None:
            return True
        request = f"GET {health.path} HTTP/1.1\r\nHost: {health.host}\r\nConnection: close\r\n\r\n"
        writer.write(request.encode())
        status_line = await reader.readline()
        return int(status_line.split(b" ")[1]) in health.statuses if status_line.startswith(b"HTTP/1.") else False
    finally:
        writer.close()
