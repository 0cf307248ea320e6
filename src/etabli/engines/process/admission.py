"""Who may start: requests of running services are reserved against what this machine grants, in the order they were asked for.

Nobody passes whoever waits: a small service behind a big one waits too, or the big one would never start. What could never fit is
refused at once.
"""

from collections.abc import Callable

from etabli.engines import contract
from etabli.kernel import errors

_CPU_GRAIN = 1e-6  # Cores: sums of floats are not exact.


class Ledger:
    """What is reserved, and the line of those who wait. One for the engine; nothing in it blocks."""

    def __init__(self, total: contract.Resources) -> None:
        self.total = total
        self._held: dict[str, contract.Resources] = {}
        self._line: dict[str, tuple[contract.Resources, Callable[[], None]]] = {}

    @property
    def reserved(self) -> contract.Resources:
        return contract.Resources(
            cpu=sum(one.cpu for one in self._held.values()),
            memory_bytes=sum(one.memory_bytes for one in self._held.values()),
        )

    @property
    def free(self) -> contract.Resources:
        reserved = self.reserved
        return contract.Resources(
            cpu=max(self.total.cpu - reserved.cpu, 0.0),
            memory_bytes=max(self.total.memory_bytes - reserved.memory_bytes, 0),
        )

    def check(self, service_id: str, asked: contract.Resources) -> None:
        """QuotaExceeded where `asked` could never be held here, or where a service that runs asks for more than is free beside it."""
        if not _fits(asked, self.total):
            raise errors.QuotaExceeded(
                f"this machine grants {amounts(self.total)} in all; the service asks for {amounts(asked)}",
                hint="ask for less",
                free=self.free,
            )
        held = self._held.get(service_id)
        if held is not None and not _fits(asked, _sum(self.free, held)):
            raise errors.QuotaExceeded(
                f"{amounts(_sum(self.free, held))} is what this service may grow to now; it asks for {amounts(asked)}",
                hint="stop another service first, or ask for less",
                free=self.free,
            )

    def restore(self, service_id: str, held: contract.Resources) -> None:
        """Hold what was admitted before this process started."""
        self._held[service_id] = held

    def ask(self, service_id: str, asked: contract.Resources, admitted: Callable[[], None]) -> bool:
        """Hold `asked` if it is this service's turn and fits, else wait in line; `admitted` is called when it is held later."""
        if service_id in self._held:
            self._held[service_id] = asked
            return True
        self._line[service_id] = (asked, admitted)
        return service_id in self._advance(quiet=service_id)

    def release(self, service_id: str) -> None:
        """Give back what it held, or its place in line."""
        self._held.pop(service_id, None)
        self._line.pop(service_id, None)
        self._advance()

    def waiting(self, service_id: str) -> str:
        """A sentence for who waits; empty for who does not."""
        if service_id not in self._line:
            return ""
        asked, _ = self._line[service_id]
        before = list(self._line).index(service_id)
        turn = f"{before} before it; " if before else ""
        return f"it waits for {amounts(asked)}: {turn}{amounts(self.free)} free of {amounts(self.total)}"

    def _advance(self, quiet: str = "") -> list[str]:
        """Admit from the head of the line while it fits."""
        granted: list[str] = []
        for service_id, (asked, admitted) in list(self._line.items()):
            if not _fits(asked, self.free):
                break
            del self._line[service_id]
            self._held[service_id] = asked
            granted.append(service_id)
            if service_id != quiet:
                admitted()
        return granted


def amounts(resources: contract.Resources) -> str:
    """`1.5 cores and 2 GiB`."""
    cores = f"{resources.cpu:.3g} core" + ("" if resources.cpu == 1 else "s")
    return f"{cores} and {human_bytes(resources.memory_bytes)}"


def human_bytes(number: float) -> str:
    """`1.5 GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if number < 1024:
            return f"{number:.4g} {unit}"
        number /= 1024
    return f"{number:.4g} TiB"


def _fits(asked: contract.Resources, room: contract.Resources) -> bool:
    return asked.cpu <= room.cpu + _CPU_GRAIN and asked.memory_bytes <= room.memory_bytes


def _sum(one: contract.Resources, other: contract.Resources) -> contract.Resources:
    return contract.Resources(cpu=one.cpu + other.cpu, memory_bytes=one.memory_bytes + other.memory_bytes)
