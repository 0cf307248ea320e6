"""Probes over real sockets, in a time that moves when told."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.engines.process import models, probes
from etabli.kernel.clock import ManualClock

PORT = 8080
HTTP = models.Check(http_port=PORT, http_path="/health", http_headers=(("X-Probe", "yes"),))
Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(path: Path, answer: Answer) -> AsyncIterator[None]:
    writers: list[asyncio.StreamWriter] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await answer(reader, writer)

    server = await asyncio.start_unix_server(handle, str(path))
    try:
        yield
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for _ in range(3):
            await asyncio.sleep(0)


def replying(reply: bytes) -> Answer:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
            await writer.drain()
        writer.close()

    return answer


async def never(argv: tuple[str, ...], patience: timedelta) -> bool:
    raise AssertionError("no command is run")


async def ask(path: Path, check: models.Check) -> bool | None:
    asker = probes.Asker({PORT: path}, never, "10.0.0.2")
    return await asker.ask(models.ProbePlan(check=check, timeout=1))


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", True),
        (b"HTTP/1.0 302 Found\r\n\r\n", True),
        (b"HTTP/1.1 404 Not Found\r\n\r\n", False),
        (b"HTTP/1.1 500 no\r\n\r\n", False),
        (b"SSH-2.0-OpenSSH\r\n", False),
        (b"HTTP/1.1 abc\r\n", False),
        (b"HTTP/1.1 200", False),
        (b"x" * 10_000, False),
        (b"", False),
    ],
)
async def test_an_http_probe_wants_a_status_from_200_to_399(tmp_path: Path, reply: bytes, good: bool) -> None:
    async with serving(tmp_path / "s", replying(reply)):
        assert await ask(tmp_path / "s", HTTP) is good


async def test_an_http_probe_sends_its_headers(tmp_path: Path) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        writer.close()

    async with serving(tmp_path / "s", answer):
        assert await ask(tmp_path / "s", HTTP)
    assert heard[0].startswith(b"GET /health HTTP/1.1\r\nHost: 10.0.0.2:8080\r\n")
    assert b"X-Probe: yes" in heard[0]


async def test_a_tcp_probe_wants_a_connection_that_stays(tmp_path: Path) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with serving(tmp_path / "open", hold), serving(tmp_path / "refused", replying(b"")):
        assert await ask(tmp_path / "open", models.Check(tcp_port=PORT))
        assert not await ask(tmp_path / "refused", models.Check(tcp_port=PORT))
        assert await ask(tmp_path / "refused", models.Check(tcp_port=PORT)) is False


async def test_a_probe_that_hangs_has_failed(tmp_path: Path) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with serving(tmp_path / "s", hang):
        asker = probes.Asker({PORT: tmp_path / "s"}, never, "10.0.0.2")
        assert not await asker.ask(models.ProbePlan(check=HTTP, timeout=0.05))


async def test_a_relay_that_is_gone_is_no_fault_of_the_container(tmp_path: Path) -> None:
    assert await ask(tmp_path / "absent", HTTP) is None
    async with serving(tmp_path / "left", replying(b"")):
        pass
    assert await ask(tmp_path / "left", HTTP) is None
    watched = Watched(liveness=command(period=1, failure_threshold=1), readiness=command(period=1))
    watched.good = True
    await watched.advance(0.1)
    watched.good = None
    await watched.advance(60)
    assert watched.told == [True]
    assert not watched.task.done()
    watched.good = False
    await watched.advance(1.1)
    assert "liveness" in await watched.task


class Watched:
    """A container whose answers a test gives."""

    def __init__(
        self,
        *,
        startup: models.ProbePlan | None = None,
        readiness: models.ProbePlan | None = None,
        liveness: models.ProbePlan | None = None,
    ) -> None:
        self.good: bool | None = False
        self.asked = 0
        self.told: list[bool] = []
        self.clock = ManualClock()
        asker = probes.Asker({}, self._execute, "10.0.0.2")
        wanted = probes.Probes(startup, readiness, liveness)
        self.task = asyncio.ensure_future(probes.watch(wanted, asker, self.clock, self._ready))

    async def advance(self, seconds: float) -> None:
        """In steps small enough that every question is asked at its time."""
        for _ in range(round(seconds / 0.05)):
            await self.clock.advance(timedelta(seconds=0.05))

    async def _execute(self, argv: tuple[str, ...], patience: timedelta) -> bool | None:
        self.asked += 1
        return self.good

    async def _ready(self, ready: bool) -> None:
        self.told.append(ready)


def command(**more: float) -> models.ProbePlan:
    return models.ProbePlan(check=models.Check(command=("true",)), **more)  # type: ignore[arg-type] # Whole numbers too.


async def test_a_start_is_asked_for_every_50_ms_until_it_is_there() -> None:
    watched = Watched(startup=command(period=10))
    await watched.advance(1)
    assert watched.asked >= 18
    watched.good = True
    await watched.advance(0.1)
    assert watched.told == [True]
    watched.task.cancel()


async def test_a_start_that_takes_too_long_is_started_again() -> None:
    watched = Watched(startup=command(period=1, failure_threshold=3, initial_delay=1))
    await watched.advance(3.9)
    assert not watched.task.done()
    await watched.advance(0.5)
    assert "start-up" in await watched.task


async def test_who_is_not_ready_after_all_gets_no_more_requests() -> None:
    watched = Watched(readiness=command(period=1, failure_threshold=2))
    watched.good = True
    await watched.advance(0.1)
    assert watched.told == [True]
    before = watched.asked
    await watched.advance(5)
    assert watched.asked - before <= 6  # Its own period from then on.
    watched.good = False
    await watched.advance(1.1)
    assert watched.told == [True]
    await watched.advance(1.1)
    assert watched.told == [True, False]
    watched.good = True
    await watched.advance(1.1)
    assert watched.told == [True, False, True]
    watched.task.cancel()


async def test_who_is_never_ready_is_asked_ever_less_often() -> None:
    watched = Watched(readiness=command(period=10))
    await watched.advance(60)
    late = watched.asked
    await watched.advance(60)
    assert watched.asked - late <= 7
    watched.task.cancel()
