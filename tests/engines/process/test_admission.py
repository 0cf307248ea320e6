"""Who may start, in which order, and what who waits is told."""

import pytest

from etabli.engines import contract
from etabli.engines.process.admission import Ledger
from etabli.kernel import errors

GIB = 1 << 30


def cores(number: float, gib: int = 0) -> contract.Resources:
    return contract.Resources(cpu=number, memory_bytes=gib * GIB)


def waits() -> None:
    """Called when a service that waited may start."""


def test_nobody_passes_who_waits() -> None:
    ledger, started = Ledger(cores(4, 8)), list[str]()
    assert ledger.ask("a", cores(3), waits)
    assert not ledger.ask("big", cores(4), lambda: started.append("big"))
    assert not ledger.ask("small", cores(1), lambda: started.append("small"))
    ledger.release("a")
    assert started == ["big"]
    ledger.release("big")
    assert started == ["big", "small"]


def test_who_gives_up_lets_the_next_one_start() -> None:
    ledger, started = Ledger(cores(4)), list[str]()
    ledger.ask("a", cores(3), waits)
    ledger.ask("big", cores(4), waits)
    ledger.ask("small", cores(1), lambda: started.append("small"))
    ledger.release("big")
    assert started == ["small"]


def test_asking_again_keeps_what_is_held_and_the_place_in_line() -> None:
    ledger = Ledger(cores(4))
    assert ledger.ask("a", cores(3), waits)
    assert ledger.ask("a", cores(3), waits)
    ledger.ask("b", cores(2), waits)
    ledger.ask("c", cores(2), waits)
    ledger.ask("b", cores(2), waits)
    assert "1 before it" in ledger.waiting("c")
    assert "before" not in ledger.waiting("b")


def test_who_waits_is_told_what_is_free() -> None:
    ledger = Ledger(cores(4, 8))
    ledger.ask("a", cores(2.5, 6), waits)
    ledger.ask("b", cores(2, 1), waits)
    assert ledger.waiting("b") == "it waits for 2 cores and 1 GiB: 1.5 cores and 2 GiB free of 4 cores and 8 GiB"


@pytest.mark.parametrize("asked", [cores(5), cores(1, 9)])
def test_what_can_never_fit_is_refused(asked: contract.Resources) -> None:
    with pytest.raises(errors.QuotaExceeded) as refusal:
        Ledger(cores(4, 8)).check("a", asked)
    assert refusal.value.facts["free"] == cores(4, 8)


def test_a_running_service_grows_into_what_is_free_and_no_further() -> None:
    ledger = Ledger(cores(4))
    ledger.ask("a", cores(1), waits)
    ledger.ask("b", cores(1), waits)
    ledger.check("a", cores(3))
    with pytest.raises(errors.QuotaExceeded, match="3 cores"):
        ledger.check("a", cores(4))


def test_tenths_of_cores_add_up() -> None:
    ledger = Ledger(cores(1))
    assert all(ledger.ask(str(number), cores(0.1), waits) for number in range(10))
    assert not ledger.ask("more", cores(0.1), waits)
