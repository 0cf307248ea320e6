"""What follows the end of a container."""

from datetime import UTC, datetime, timedelta

import pytest

from etabli.engines.process import models, restarts
from etabli.engines.process.store import ContainerRecord
from etabli.sandbox import models as sandbox

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CRASH = sandbox.Inspection(sandbox.Phase.EXITED, exit_code=3)
DONE = sandbox.Inspection(sandbox.Phase.EXITED, exit_code=0)


def after(
    end: sandbox.Inspection,
    record: ContainerRecord | None = None,
    policy: models.Restart = models.Restart.ALWAYS,
    tries: int | None = None,
) -> ContainerRecord:
    known = record or ContainerRecord(started_at=NOW - timedelta(seconds=1))
    return restarts.ended(known, end, policy=policy, tries=tries, now=NOW)


def test_waits_double_from_ten_seconds_to_five_minutes_after_a_first_restart_at_once() -> None:
    record = ContainerRecord(started_at=NOW)
    waits = []
    for _ in range(9):
        record = after(CRASH, record)
        waits.append(restarts.delay(record, NOW).total_seconds())
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300, 300]


def test_ten_good_minutes_forget_the_past() -> None:
    record = after(CRASH, ContainerRecord(crashes=7, started_at=NOW - timedelta(minutes=10)))
    assert restarts.delay(record, NOW) == timedelta()


@pytest.mark.parametrize("jump", [timedelta(days=-400), timedelta(days=400)])
def test_a_clock_that_jumps_never_makes_a_wait_longer(jump: timedelta) -> None:
    record = after(CRASH, ContainerRecord(crashes=1, started_at=NOW))
    assert timedelta() <= restarts.delay(record, NOW + jump) <= timedelta(seconds=10)


def test_policies_are_those_of_kubernetes() -> None:
    assert not after(DONE).done
    assert after(DONE, policy=models.Restart.ON_FAILURE).done
    assert not after(CRASH, policy=models.Restart.ON_FAILURE).done
    assert after(CRASH, policy=models.Restart.NEVER).done


def test_a_job_is_tried_as_often_as_it_says() -> None:
    record, ends = ContainerRecord(started_at=NOW), 0
    while not record.done:
        record, ends = after(CRASH, record, models.Restart.NEVER, tries=2), ends + 1
    assert ends == 3
    assert record.exit_code == 3


def test_a_reboot_is_no_crash() -> None:
    record = after(sandbox.Inspection(sandbox.Phase.LOST), policy=models.Restart.NEVER)
    assert not record.done
    assert (record.attempt, record.restarts, record.crashes) == (2, 0, 0)


@pytest.mark.parametrize(
    ("end", "reason", "code"),
    [
        (sandbox.Inspection(sandbox.Phase.EXITED, exit_code=137, out_of_memory=True), "OOMKilled", 137),
        (sandbox.Inspection(sandbox.Phase.KILLED), "Error", 137),
        (sandbox.Inspection(sandbox.Phase.FAILED, message="no such folder"), "CreateContainerError", 128),
        (DONE, "Completed", 0),
        (CRASH, "Error", 3),
    ],
)
def test_an_end_is_named_as_kubernetes_names_it(end: sandbox.Inspection, reason: str, code: int) -> None:
    record = after(end)
    assert (record.reason, record.exit_code) == (reason, code)
    assert record.message


def test_time_spent_adds_up_over_restarts() -> None:
    end = sandbox.Inspection(sandbox.Phase.EXITED, exit_code=1, consumption=sandbox.Consumption(cpu_seconds=2))
    assert after(end, after(end)).spent == 4
