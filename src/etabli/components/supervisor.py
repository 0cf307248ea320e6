"""The supervisor: runs a plan's components for as long as it lives, and leaves them running when it dies.

Promises: one supervisor for each data folder; components start in the order of their needs, at once where nothing depends, and
stop in the opposite order; whatever runs already and is what would be started is adopted, same pid. SIGTERM and SIGINT stop the
lab; SIGHUP leaves it running for the next supervisor. A light process: asyncio and the standard library, nothing more.
"""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

from etabli.components import child, inner, journal, keeper, listeners, models, plan, status
from etabli.kernel import errors, files, processes
from etabli.kernel.clock import Clock, SystemClock
from etabli.kernel.processes import ProcessRef

NETWORK = "network"  # The folder of the holder of the components' network.
NETWORK_SECONDS = 10.0  # How long making it may take; it takes a tenth of a second.
POLL_SECONDS = 0.01
STRANGER_SECONDS = 10.0


class Supervisor:
    """Everything of one plan. `announce` is a file whose text is printed once all answers."""

    def __init__(
        self, the_plan: models.Plan, *, clock: Clock, pace: keeper.Pace | None = None, announce: Path | None = None
    ) -> None:
        plan.check(the_plan)
        self._plan = the_plan
        self._clock = clock
        self._folder = the_plan.data / "components"
        self._announce = announce
        self._lock = status.Lock(the_plan.data)
        self._network = Network(the_plan)
        self._stopped = asyncio.Event()
        self._stays = False
        self._tasks: list[asyncio.Task[None]] = []
        self._keepers = {
            component.name: keeper.Keeper(
                component,
                clock=clock,
                pace=pace or keeper.Pace(),
                network=self._network.ensure,
                on_change=self._on_change,
            )
            for component in the_plan.components
        }

    @property
    def statuses(self) -> tuple[models.Status, ...]:
        """Every component as it is now."""
        return tuple(one.status for one in self._keepers.values())

    def stop(self, *, stays: bool = False) -> None:
        """End `run`: stop everything, or leave it running where it `stays`."""
        self._stays = stays
        self._stopped.set()

    async def run(self) -> None:
        """Keep everything running until `stop`. Conflict where another supervisor has the folder, or somebody else a port."""
        self._lock.take()
        try:
            check_ports(self._plan)
            await self._stop_strangers()
            self._tasks = [asyncio.create_task(self._keep(one)) for one in self._keepers.values()]
            self._tasks.append(asyncio.create_task(self._tell_when_ready()))
            await self._until_stopped()
        finally:
            await self._end()
            self._lock.release()

    async def sweep(self) -> None:
        """Stop whatever a supervisor that is gone left running. Conflict where one is not gone."""
        self._lock.take()
        try:
            await stop_in_order(self._plan, self._keepers)
        finally:
            self._lock.release()

    async def _keep(self, one: keeper.Keeper) -> None:
        await one.keep([self._keepers[need].ready for need in one.component.needs])

    async def _until_stopped(self) -> None:
        """Wait for `stop`; a keeper never ends by itself, so one that does is a fault to show."""
        waiting = [asyncio.create_task(self._stopped.wait()), *self._tasks[:-1]]
        done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        waiting[0].cancel()
        for task in done:
            task.result()

    async def _end(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._stays or not self._stopped.is_set():  # Refused, or a fault of ours: what runs goes on.
            for one in self._keepers.values():
                one.leave()
            self._network.leave()
            return
        await stop_in_order(self._plan, self._keepers)
        self._network.leave()

    async def _tell_when_ready(self) -> None:
        for one in self._keepers.values():
            await one.ready.wait()
        journal.say("lab ready")
        if self._announce is not None:
            print(self._announce.read_text(), end="", flush=True)

    async def _stop_strangers(self) -> None:
        """Stop what an earlier plan started and this one does not know."""
        known = {NETWORK, *self._keepers}
        for record in self._folder.glob(f"*/{child.RECORD}"):
            ref = processes.load(record)
            if record.parent.name not in known and ref is not None and processes.is_alive(ref):
                journal.say("stranger stopped", name=record.parent.name, pid=ref.pid)
                await child.Child(ref).stop(grace_seconds=STRANGER_SECONDS)

    def _on_change(self, _status: models.Status) -> None:
        try:
            status.write(self._plan.run, self.statuses)
        except OSError as error:  # A full disk must not take down what still runs.
            journal.say("status not written", error=error)


class Network:
    """The components' own network, held open."""

    def __init__(self, the_plan: models.Plan) -> None:
        self._plan = the_plan
        self._folder = the_plan.data / "components" / NETWORK
        self._making = asyncio.Lock()
        self._holder: child.Child | None = None

    async def ensure(self) -> ProcessRef:
        """A living holder: the one that was there, another on the same network, or one on a fresh one. Ended where none can be."""
        async with self._making:
            if self._holder is not None and self._holder.alive:
                return self._holder.ref
            found = child.find(self._component(inner.holder_argv()))
            if found is not None and inner.is_ready(found):
                self._holder = child.Child(found)
                return found
            self._holder = await self._make()
            return self._holder.ref

    def leave(self) -> None:
        """Let the holder live on, or end, without us."""
        if self._holder is not None:
            self._holder.forget()

    async def _make(self) -> child.Child:
        resident = next((ref for one in self._plan.components if one.inner and (ref := child.find(one))), None)
        component = self._component(inner.holder_argv(resident))
        try:
            started = child.start(component, holder=None)
        except OSError as error:
            raise keeper.Ended(f"the components' network cannot be made: {error}") from error
        for _ in range(int(NETWORK_SECONDS / POLL_SECONDS)):
            if inner.is_ready(started.ref) or not started.alive:
                break
            await asyncio.sleep(POLL_SECONDS)
        if not inner.is_ready(started.ref):
            await started.stop(grace_seconds=1)
            words = journal.last_words(component.log, since=started.log_start)
            raise keeper.Ended(f"the components' network cannot be made (`etabli doctor` says why): {words}")
        return started

    def _component(self, argv: tuple[str, ...]) -> models.Component:
        return models.Component(name=NETWORK, argv=argv, folder=self._folder)


def check_ports(the_plan: models.Plan) -> None:
    """Say at once, not after some restarts, that somebody else has a port: Conflict."""
    for component in the_plan.components:
        if child.find(component) is None:
            for port in component.ports:
                listeners.check_free(port)


async def stop_in_order(the_plan: models.Plan, keepers: dict[str, keeper.Keeper]) -> None:
    """Stop what nothing needs first, then what it needed, then the network."""
    for level in reversed(plan.levels(the_plan)):
        await asyncio.gather(*(keepers[component.name].stop() for component in level))
    holder = processes.load(the_plan.data / "components" / NETWORK / child.RECORD)
    if holder is not None:
        processes.send_signal(holder, signal.SIGKILL)


async def down(the_plan: models.Plan, *, clock: Clock, within_seconds: float = 90.0) -> bool:
    """Stop a lab: by its supervisor, or without one what was left running. False where nothing ran.

    Unavailable if it takes too long.
    """
    watcher = status.supervisor(the_plan.data)
    if watcher is not None and processes.send_signal(watcher, signal.SIGTERM):
        gone = child.Child(watcher)
        try:
            await asyncio.wait_for(gone.ended(), within_seconds)
        except TimeoutError as error:
            raise errors.Unavailable(
                f"process {watcher.pid} is still stopping the lab", hint="`etabli status` shows what is left"
            ) from error
        return True
    left = any(child.find(component) for component in the_plan.components)
    await Supervisor(the_plan, clock=clock).sweep()
    return left


def main() -> int:
    """`python -m etabli.components.supervisor PLAN [--announce FILE]`: exit 0 when stopped, 1 with a message when refused."""
    parser = argparse.ArgumentParser(description="Runs the components of one lab")
    parser.add_argument("plan", type=Path, help="the plan that `etabli up` wrote")
    parser.add_argument("--announce", type=Path, help="a file to print once everything answers")
    given = parser.parse_args()
    try:
        asyncio.run(_main(given.plan, given.announce))
    except errors.EtabliError as error:
        print(f"etabli: {error.message}", *([f"hint: {error.hint}"] if error.hint else []), sep="\n", file=sys.stderr)
        return 1
    return 0


async def _main(path: Path, announce: Path | None) -> None:
    the_plan = plan.load(path)
    files.private_folder(the_plan.run)
    supervisor = Supervisor(the_plan, clock=SystemClock(), announce=announce)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, supervisor.stop)
    loop.add_signal_handler(signal.SIGINT, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: supervisor.stop(stays=True))
    await supervisor.run()


if __name__ == "__main__":
    sys.exit(main())
