"""Helm in a worker process: started when needed, ended when idle, killed when it takes too long.

It promises that one request at a time reaches the worker, that no template can take more than its seconds, and that a worker killed
in the middle costs one retry and then `Unavailable`: the portal never waits on a chart and never loads Helm itself.
"""

import asyncio
import contextlib
import json
import math
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import cast

import structlog

from etabli.catalog import errors, frames, settings, worker
from etabli.engines import contract
from etabli.kernel import clock as clocks

log = structlog.get_logger()

START_SECONDS = 60.0  # Loading an 85 MB library from a cold disk on a busy machine.
LAST_WORDS = 1024  # Bytes of a dead worker's error output that are told.


@dataclass(frozen=True)
class Job:
    """What is to be rendered."""

    archive: Path
    values: Mapping[str, object]
    release: str
    namespace: str
    revision: int = 1


@dataclass(frozen=True)
class Output:
    """What it rendered to."""

    manifests: tuple[contract.Manifest, ...]
    hooks: tuple[contract.Manifest, ...]
    notes: str


class Renderer:
    """One worker at most."""

    def __init__(self, limits: settings.RenderingSettings, *, clock: clocks.Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._turn = asyncio.Lock()
        self._worker: _Worker | None = None
        self._idle: asyncio.Task[None] | None = None

    @property
    def worker_pid(self) -> int | None:
        """The worker's pid where one runs: for `etabli status` and for tests that kill it."""
        return self._worker.pid if self._worker is not None and self._worker.alive else None

    @property
    def busy(self) -> bool:
        """Whether somebody waits for the worker."""
        return self._turn.locked()

    async def warm(self) -> None:
        """Have a worker ready: a person reads a form for longer than Helm takes to load."""
        async with self._turn:
            try:
                await self._ready_worker()
            except _Died as error:
                log.warning("rendering worker not ready", words=error.words)
            self._end_when_idle()

    async def render(self, job: Job) -> Output:
        """Render. RenderFailed where Helm refuses, or takes too long; Unavailable where the worker died twice."""
        request = {
            "archive": str(job.archive),
            "values": job.values,
            "name": job.release,
            "namespace": job.namespace,
            "revision": job.revision,
            "upgrade": job.revision > 1,
        }
        frame = frames.pack(request)
        if len(frame) > frames.MAX_REQUEST:
            raise errors.RenderFailed("the values are too large to render", hint="make them smaller")
        async with self._turn:
            try:
                answer = await self._ask_twice(frame)
            finally:
                self._end_when_idle()
        return _output(answer)

    async def close(self) -> None:
        """End the worker."""
        if self._idle is not None:
            self._idle.cancel()
        async with self._turn:
            await self._end_worker()

    async def _ask_twice(self, frame: bytes) -> Mapping[str, object]:
        for attempt in (1, 2):
            try:
                running = await self._ready_worker()
                async with asyncio.timeout(self._limits.seconds):
                    return await running.ask(frame)
            except TimeoutError as error:
                await self._end_worker()
                raise errors.RenderFailed(
                    f"the chart takes longer than {self._limits.seconds:g} s to render",
                    hint="tell the chart's author: a template may never end",
                ) from error
            except _Died as error:
                await self._end_worker()
                log.warning("rendering worker died", attempt=attempt, words=error.words)
                if "out of memory" in error.words:
                    raise errors.RenderFailed(
                        f"the chart takes more than {self._limits.memory_mib} MiB to render", hint="tell its author"
                    ) from error
            except asyncio.CancelledError:
                await self._end_worker()  # Its answer would be taken for the next request's.
                raise
        raise errors.SourceUnavailable("charts cannot be rendered now", hint="try again in a moment")

    async def _ready_worker(self) -> "_Worker":
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._worker is None or not self._worker.alive:
            await self._end_worker()
            self._worker = await _Worker.start(self._limits)
            try:
                async with asyncio.timeout(START_SECONDS):
                    await self._worker.answer()
            except TimeoutError as error:
                raise _Died(f"not ready after {START_SECONDS:g} s") from error
        return self._worker

    def _end_when_idle(self) -> None:
        self._idle = asyncio.create_task(self._end_after(timedelta(seconds=self._limits.idle_seconds)))

    async def _end_after(self, idle: timedelta) -> None:
        await self._clock.sleep(idle)
        async with self._turn:
            await self._end_worker()

    async def _end_worker(self) -> None:
        running, self._worker = self._worker, None
        if running is not None:
            await running.end()


class _Died(Exception):
    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class _Worker:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        # asyncio's own `kill` may reap the process behind its watcher's back, which then warns.
        self._pidfd: int | None = os.pidfd_open(process.pid)
        self._words = bytearray()
        self._listening = asyncio.create_task(self._listen())

    @classmethod
    async def start(cls, limits: settings.RenderingSettings) -> "_Worker":
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-m",
            worker.__name__,
            str(limits.memory_mib),
            str(limits.output_mib),
            str(math.ceil(limits.seconds) * 2),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal is the supervisor's to handle.
            env={"PATH": os.defpath, "HOME": "/nonexistent", "LANG": "C.UTF-8", "GOMAXPROCS": "1"},
            cwd="/",
        )
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None

    async def ask(self, frame: bytes) -> Mapping[str, object]:
        """Send a request, then wait for its answer. _Died with its last words where it is gone."""
        writer = self._process.stdin
        assert writer is not None  # A pipe: see `start`.
        try:
            writer.write(frame)
            await writer.drain()
        except ConnectionError as error:
            raise await self._died() from error
        return await self.answer()

    async def answer(self) -> Mapping[str, object]:
        """The next frame; the first one says that it is ready."""
        reader = self._process.stdout
        assert reader is not None  # A pipe: see `start`.
        try:
            (length,) = frames.HEADER.unpack(await reader.readexactly(frames.HEADER.size))
            return cast("Mapping[str, object]", json.loads(await reader.readexactly(length)))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise await self._died() from error

    async def end(self) -> None:
        """Kill it and wait until it is gone: it has nothing to save."""
        if self._pidfd is None:
            return
        pidfd, self._pidfd = self._pidfd, None
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
        await self._process.wait()
        await self._listening
        if self._process.stdin is not None:
            self._process.stdin.close()

    async def _died(self) -> _Died:
        await self.end()
        return _Died(self._words.decode(errors="replace"))

    async def _listen(self) -> None:
        """Keep the first of its error output (Go tells the reason first), read the rest so that it never blocks."""
        stream = self._process.stderr
        while stream is not None and (data := await stream.read(65536)):
            self._words += data[: max(0, LAST_WORDS - len(self._words))]


def _output(answer: Mapping[str, object]) -> Output:
    if "error" in answer:
        raise errors.RenderFailed(
            f"the chart does not render: {answer['error']}", hint="correct the value it names, or tell its author"
        )
    manifests = cast("list[contract.Manifest]", answer["manifests"])
    hooks = cast("list[contract.Manifest]", answer["hooks"])
    return Output(tuple(manifests), tuple(hooks), cast("str", answer["notes"]))
