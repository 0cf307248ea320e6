"""Probes: whether a container has started, is ready, and lives, asked as Kubernetes asks.

Until its first success, a start-up probe (or, without one, the readiness probe) is asked every 50 ms, then ever less often up to its
own period: a person waits for that answer. What counts as failed does not change: a start-up probe fails after `initialDelaySeconds +
periodSeconds × failureThreshold`. Sources: Kubernetes' "Configure Liveness, Readiness and Startup Probes".
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from etabli.engines.process import models
from etabli.kernel.clock import Clock

FIRST_INTERVAL = 0.05  # Seconds.
QUICK_INTERVAL = (
    0.02  # Seconds, for what a person may be waiting for; past QUICK_SECONDS many are starting, or something slow is.
)
QUICK_SECONDS = 1.5
EAGER_SECONDS = 30.0  # How long a readiness probe is asked that often; then the interval grows by half each time.
GROWTH = 1.5
HELD_OPEN = 0.1  # Seconds without an end of file after which a relayed connection counts as accepted.
MAX_STATUS_LINE = 4096

Execute = Callable[[tuple[str, ...], timedelta], Awaitable[bool | None]]


@dataclass(frozen=True)
class Asker:
    """How one container is asked: sockets relayed to its ports, and a way to run a command in it."""

    sockets: Mapping[int, Path]
    execute: Execute
    host: str  # For the Host header: the pod's address.

    async def ask(self, probe: models.ProbePlan) -> bool | None:
        """Whether it answers as the probe wants, within its time. None where nobody could ask: that is no fault of its own."""
        check = probe.check
        if check.command:
            return await self.execute(check.command, timedelta(seconds=probe.timeout))
        try:
            async with asyncio.timeout(probe.timeout):
                if check.http_port:
                    return await _http(self.sockets[check.http_port], check, self.host)
                return await _tcp(self.sockets[check.tcp_port])
        except (ConnectionRefusedError, FileNotFoundError):
            return None  # The relay is not there: the project's agent was killed, or has not heard of the pod yet.
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            return False


@dataclass(frozen=True)
class Probes:
    """The probes of one container."""

    startup: models.ProbePlan | None
    readiness: models.ProbePlan | None
    liveness: models.ProbePlan | None

    def ports(self) -> frozenset[int]:
        """Ports that must be reached from outside."""
        checks = [probe.check for probe in (self.startup, self.readiness, self.liveness) if probe]
        return frozenset(port for check in checks for port in (check.http_port, check.tcp_port) if port)


def of(container: models.ContainerPlan) -> Probes:
    """A container's."""
    return Probes(container.startup, container.readiness, container.liveness)


async def watch(probes: Probes, asker: Asker, clock: Clock, ready: Callable[[bool], Awaitable[None]]) -> str:
    """Ask for as long as the container runs; `ready` is told of each change. Answers, with the reason, once it must be restarted."""
    if probes.startup is not None and not await _started(probes.startup, asker, clock):
        return "its start-up probe failed"
    if probes.readiness is None:
        await ready(True)
        return await _lives(probes.liveness, asker, clock)
    reading = asyncio.ensure_future(_reads(probes.readiness, asker, clock, ready, eager=probes.startup is None))
    living = asyncio.ensure_future(_lives(probes.liveness, asker, clock))
    try:
        await asyncio.wait((reading, living), return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else living.result()
    finally:
        for task in (reading, living):
            task.cancel()
        await asyncio.gather(reading, living, return_exceptions=True)


async def _started(probe: models.ProbePlan, asker: Asker, clock: Clock) -> bool:
    begun = clock.monotonic()
    deadline = begun + probe.initial_delay + probe.period * probe.failure_threshold
    while not await asker.ask(probe):
        if clock.monotonic() >= deadline:
            return False
        is_quick = clock.monotonic() - begun < QUICK_SECONDS
        await clock.sleep(timedelta(seconds=QUICK_INTERVAL if is_quick else FIRST_INTERVAL))
    return True


async def _reads(
    probe: models.ProbePlan, asker: Asker, clock: Clock, ready: Callable[[bool], Awaitable[None]], *, eager: bool
) -> str:
    """Never answers: a container that is not ready is not restarted."""
    begun, interval, streak = clock.monotonic(), FIRST_INTERVAL, 0
    is_ready: bool | None = None  # What was told; nothing yet: an adopted container stays what it was.
    while True:
        good = await asker.ask(probe)
        if good is not None:
            streak = max(streak, 0) + 1 if good else min(streak, 0) - 1
        if not is_ready and streak >= probe.success_threshold:
            is_ready, eager = True, False
            await ready(True)
        elif streak <= -probe.failure_threshold and is_ready is not False:
            is_ready = False
            await ready(False)
        if eager and clock.monotonic() - begun > EAGER_SECONDS:
            interval *= GROWTH
        await clock.sleep(timedelta(seconds=min(interval, probe.period) if eager else probe.period))


async def _lives(probe: models.ProbePlan | None, asker: Asker, clock: Clock) -> str:
    if probe is None:
        await asyncio.Event().wait()  # Without one it lives until it ends, and we are cancelled.
        return ""
    await clock.sleep(timedelta(seconds=probe.initial_delay))
    failures = 0
    while failures < probe.failure_threshold:
        good = await asker.ask(probe)
        if good is not None:
            failures = 0 if good else failures + 1
        if failures < probe.failure_threshold:
            await clock.sleep(timedelta(seconds=probe.period))
    return "its liveness probe failed"


async def _http(socket: Path, check: models.Check, host: str) -> bool:
    """Any status from 200 to 399; the body is not read."""
    context = _unverified() if check.https else None
    reader, writer = await asyncio.open_unix_connection(
        str(socket), ssl=context, server_hostname=host if context else None, limit=MAX_STATUS_LINE
    )
    try:
        headers = {"Host": f"{host}:{check.http_port}", "User-Agent": "etabli-probe", "Accept": "*/*"}
        headers |= dict(check.http_headers)
        lines = [f"GET {check.http_path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        await writer.drain()
        version, _, rest = (await reader.readuntil(b"\r\n")).partition(b" ")
        return version.startswith(b"HTTP/") and 200 <= int(rest[:3]) < 400
    finally:
        writer.transport.abort()


async def _tcp(socket: Path) -> bool:
    """A relay accepts before it knows: it ends the connection at once where nobody listens inside."""
    reader, writer = await asyncio.open_unix_connection(str(socket))
    try:
        async with asyncio.timeout(HELD_OPEN):
            return await reader.read(1) != b""
    except TimeoutError:
        return True
    finally:
        writer.transport.abort()


def _unverified() -> ssl.SSLContext:
    """Kubernetes does not check certificates of probes either: a pod's is its own affair."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
