"""What follows when a container ends: whether it starts again, when, and how people are told. Pure.

Kubernetes' rules: the first restart is immediate, then 10 s, 20 s… up to 5 minutes between attempts, and ten good minutes forget the
past (kubelet's container backoff).
"""

from dataclasses import replace
from datetime import datetime, timedelta

from etabli.engines.process import models, store
from etabli.sandbox import models as sandbox

FIRST_DELAY = timedelta(seconds=10)
LONGEST_DELAY = timedelta(minutes=5)
FORGIVEN_AFTER = timedelta(minutes=10)
KILLED = 137  # 128 + SIGKILL.
WAITING = "CrashLoopBackOff"


def ended(
    record: store.ContainerRecord,
    end: sandbox.Inspection,
    *,
    policy: models.Restart,
    tries: int | None,
    now: datetime,
    cause: str = "",
) -> store.ContainerRecord:
    """The container's record after its sandbox ended. `cause` is why we ended it ourselves, where we did."""
    if end.phase is sandbox.Phase.LOST:  # The machine was started again: nobody's fault, and nothing to wait for.
        return replace(
            record, attempt=record.attempt + 1, ready=False, crashes=0, message="the machine was started again"
        )
    code = exit_code(end)
    record = replace(record, spent=record.spent + end.consumption.cpu_seconds)
    told = replace(record, ready=False, exit_code=code, reason=reason(end), message=cause or message(end), ended_at=now)
    again = policy is models.Restart.ALWAYS or (policy is models.Restart.ON_FAILURE and code != 0)
    if policy is models.Restart.NEVER and tries is not None and code != 0:
        again = True  # A Job tries a failed pod again, whatever the pod says of its containers.
    if not again or (tries is not None and record.restarts >= tries):
        return replace(told, done=True)
    ran = now - record.started_at if record.started_at else timedelta()
    return replace(
        told,
        attempt=record.attempt + 1,
        restarts=record.restarts + 1,
        crashes=1 if ran >= FORGIVEN_AFTER else record.crashes + 1,
    )


def delay(record: store.ContainerRecord, now: datetime) -> timedelta:
    """How long to wait still before the next attempt. A clock that jumped never makes it longer than the rule."""
    if record.crashes < 2 or record.ended_at is None:
        return timedelta()
    doublings: int = 2 ** min(record.crashes - 2, 10)
    whole = min(FIRST_DELAY * doublings, LONGEST_DELAY)
    return min(max(whole - (now - record.ended_at), timedelta()), whole)


def exit_code(end: sandbox.Inspection) -> int:
    """What Kubernetes would report."""
    if end.exit_code is not None:
        return end.exit_code
    return KILLED if end.phase is not sandbox.Phase.FAILED else 128


def reason(end: sandbox.Inspection) -> str:
    """A word, as Kubernetes names it."""
    if end.out_of_memory:
        return "OOMKilled"
    if end.phase is sandbox.Phase.FAILED:
        return "CreateContainerError"
    return "Completed" if end.exit_code == 0 else "Error"


def message(end: sandbox.Inspection) -> str:
    """A sentence for people."""
    if end.out_of_memory:
        return "it used more memory than its limit and was ended"
    if end.phase is sandbox.Phase.FAILED:
        return f"it could not be started: {end.message}" if end.message else "it could not be started"
    if end.phase is sandbox.Phase.KILLED or end.exit_code == KILLED:
        return "it was killed from outside"
    return "it ended well" if end.exit_code == 0 else f"it ended with exit code {end.exit_code}"
