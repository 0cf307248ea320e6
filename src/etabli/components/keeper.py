"""Keeps one component running: adopts or starts it, waits until it answers, watches it, and starts it again when it ends.

Promises: the first two restarts are at once (the front door is back within a second), later ones wait longer and longer, up to half a
minute; after nine ends in a row it is FATAL, with its last words, and is tried once a minute, so that a full disk that has room
again heals by itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from etabli.components import child, health, inner, journal, listeners, models
from etabli.kernel import errors
from etabli.kernel.clock import Clock
from etabli.kernel.processes import ProcessRef

DELAYS = (0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)  # Seconds before the next start, after one end in a row, two…
FATAL_SECONDS = 60.0


@dataclass(frozen=True)
class Pace:
    """How often and how long, in seconds; tests hurry."""

    poll: float = 0.05  # Between two questions to a component that is starting.
    steady: float = 2.0  # Answering for this long is RUNNING.
    forgiven: float = 30.0  # Having run for this long, its next end counts as the first.
    watch: float = 5.0  # Between two questions to a component that runs.
    misses: int = 3  # Questions in a row without an answer before it is stopped and started again.
    delays: tuple[float, ...] = DELAYS
    fatal: float = FATAL_SECONDS


class Ended(Exception):
    """The process ended, or had to be: `words` say how."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.words = words


class Keeper:
    """One component and its state. `network` gives the holder of the inner network, made if need be."""

    def __init__(
        self,
        component: models.Component,
        *,
        clock: Clock,
        pace: Pace,
        network: Callable[[], Awaitable[ProcessRef]],
        on_change: Callable[[models.Status], None],
    ) -> None:
        self.component = component
        self.status = models.Status(name=component.name)
        self.ready = asyncio.Event()
        self._clock = clock
        self._pace = pace
        self._network = network
        self._on_change = on_change
        self._child: child.Child | None = None

    async def keep(self, needs: list[asyncio.Event]) -> None:
        """Run it for ever, once `needs` are ready. Cancelled by who stops it."""
        for need in needs:
            await need.wait()
        while True:
            try:
                await self._run_once()
            except Ended as ended:
                await self._back_off(ended.words)
            except OSError as error:  # A file that cannot be read, a full disk: of this component, not of the lab.
                await self._back_off(str(error))

    async def stop(self) -> None:
        """End its process, if there is one, and say so."""
        if self._child is not None:
            await self._child.stop(grace_seconds=self.component.grace_seconds)
        elif ref := child.find(self.component):
            await child.Child(ref).stop(grace_seconds=self.component.grace_seconds)
        self._child = None
        if self.status.state is not models.State.STOPPED:
            self._move(models.State.STOPPED, failures=0, words="")

    def leave(self) -> None:
        """Let its process live on without us."""
        if self._child is not None:
            self._child.forget()

    async def _run_once(self) -> None:
        self._child = running = await self._adopt_or_start()
        started = self._clock.monotonic()
        try:
            if self.component.once:
                await self._finish(running)
            await self._wait_until_it_answers(running)
            self._set_ready()
            await self._within(running, self._pace.steady)
            self._move(models.State.RUNNING, words="")
            await self._watch(running, started)
        finally:
            self.ready.clear()

    async def _adopt_or_start(self) -> child.Child:
        self._move(models.State.STARTING)
        holder = await self._network() if self.component.inner else None
        if found := child.find(self.component):
            adopted = child.Child(found)
            if self._is_good(found, holder):
                self._change(replace(self.status, pid=found.pid))
                return adopted
            await adopted.stop(grace_seconds=self.component.grace_seconds)
        try:
            for port in self.component.ports:
                listeners.check_free(port)
            started = child.start(self.component, holder=holder)
        except (OSError, errors.EtabliError) as error:
            raise Ended(str(error)) from error
        self._change(replace(self.status, pid=started.ref.pid, starts=self.status.starts + 1))
        return started

    def _is_good(self, found: ProcessRef, holder: ProcessRef | None) -> bool:
        """Whether to adopt: it is what would be started now, where it would be."""
        if self.component.once or not child.is_current(self.component):
            return False
        return holder is None or inner.same_namespace(found, holder)

    async def _finish(self, running: child.Child) -> None:
        """A step of set-up: its end is what is waited for."""
        if not await self._within(running, self.component.start_seconds, raises=False):
            raise await self._give_up(running, f"did not end within {self.component.start_seconds:g} s")
        if running.exit_code != 0:
            raise Ended(self._last_words(running))
        self._set_ready()
        self._move(models.State.RUNNING, pid=None, failures=0, words="")
        await asyncio.Event().wait()  # It holds until the lab stops.

    async def _wait_until_it_answers(self, running: child.Child) -> None:
        deadline = self._clock.monotonic() + self.component.start_seconds
        while self.component.health is not None and not await health.answers(self.component.health):
            await self._within(running, self._pace.poll)
            if self._clock.monotonic() > deadline:
                raise await self._give_up(running, f"did not answer within {self.component.start_seconds:g} s")

    async def _watch(self, running: child.Child, started: float) -> None:
        missed = 0
        while True:
            await self._within(running, self._pace.watch)
            self._trim_log()
            if self.component.inner and not inner.same_namespace(running.ref, await self._network()):
                raise await self._give_up(running, "was left in a network that the others are not in")
            if self.status.failures and self._clock.monotonic() - started > self._pace.forgiven:
                self._change(replace(self.status, failures=0))
            well = self.component.health is None or await health.answers(self.component.health)
            missed = 0 if well else missed + 1
            if missed >= self._pace.misses:
                raise await self._give_up(running, "stopped answering")

    def _trim_log(self) -> None:
        try:
            journal.trim(self.component.log, limit=self.component.log_bytes)
        except OSError as error:  # A full disk; the component itself may well go on.
            journal.say("log not trimmed", name=self.component.name, error=error)

    async def _within(self, running: child.Child, seconds: float, *, raises: bool = True) -> bool:
        """Let `seconds` pass; when the process ends first, raise Ended, or answer True where it may."""
        try:
            await asyncio.wait_for(running.ended(), seconds)
        except TimeoutError:
            return False
        if raises:
            raise Ended(self._last_words(running))
        return True

    async def _give_up(self, running: child.Child, why: str) -> Ended:
        self.ready.clear()
        await running.stop(grace_seconds=self.component.grace_seconds)
        return Ended(f"{why}\n{journal.last_words(self.component.log, since=running.log_start)}".strip())

    def _last_words(self, running: child.Child) -> str:
        code = running.exit_code
        how = "ended" if code is None else f"killed by signal {-code}" if code < 0 else f"ended with {code}"
        return f"{how}\n{journal.last_words(self.component.log, since=running.log_start)}".strip()

    async def _back_off(self, words: str) -> None:
        failures = self.status.failures + 1
        fatal = failures >= len(self._pace.delays)
        delay = self._pace.fatal if fatal else self._pace.delays[failures - 1]
        self._child = None
        state = models.State.FATAL if fatal else models.State.BACKOFF
        self._move(state, pid=None, failures=failures, words=words[: journal.WORDS_BYTES])
        await self._clock.sleep(timedelta(seconds=delay))

    def _set_ready(self) -> None:
        self.ready.set()
        self._change(replace(self.status, ready=True))

    def _move(self, state: models.State, **changes: object) -> None:
        """The one place where the state changes."""
        if state not in models.MOVES[self.status.state]:
            raise AssertionError(f"{self.component.name}: {self.status.state} → {state}")
        ready = self.ready.is_set() and state is models.State.RUNNING
        since = self._clock.now().isoformat(timespec="seconds")
        changed = replace(self.status, state=state, ready=ready, since=since, **changes)  # type: ignore[arg-type] # Names of Status.
        journal.say(
            f"component {state}", name=changed.name, pid=changed.pid, failures=changed.failures, words=changed.words
        )
        self._change(changed)

    def _change(self, status: models.Status) -> None:
        self.status = status
        self._on_change(status)
