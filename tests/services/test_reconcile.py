"""Background work: kills at any moment, ends that are announced, clocks that jump."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.engines import contract
from etabli.kernel import errors
from etabli.services.models import EventKind, Service, State
from tests.services import rooms


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[rooms.Lab]:
    async with rooms.lab(tmp_path) as made:
        yield made


async def test_killed_between_stored_and_started_there_is_one_service(lab: rooms.Lab) -> None:
    service = await lab.portal().launch()  # Its background work never ran.
    assert lab.world.ghosts == {}
    portal = lab.portal()
    async with portal.running():
        await portal.until(service.id, State.READY)
    assert list(lab.world.ghosts) == [service.id]


async def test_killed_between_started_and_noted_there_is_one_service(lab: rooms.Lab) -> None:
    first = lab.portal()
    async with first.running():
        service = await first.until((await first.launch()).id, State.READY)
    await first.rooms.store.change(service.id, handle=None, applied_revision=0)
    second = lab.portal()
    async with second.running():
        await second.until(service.id, State.READY)
        assert len(lab.world.ghosts) == 1
        await second.rooms.store.change(service.id, handle=None, applied_revision=0)
        await second.services.delete(user_id=lab.alice.id, service_id=service.id)
        await _until_deleted(second)
    assert lab.world.ghosts == {}


async def test_a_portal_restart_finds_the_service_running_and_does_not_touch_it(lab: rooms.Lab) -> None:
    first = lab.portal()
    async with first.running():
        service = await first.until((await first.launch()).id, State.READY)
    second = lab.portal()
    await second.reconciler.begin()
    assert (await second.get(service.id)).state is State.READY
    async with second.running():
        await second.settle()
        assert (await second.get(service.id)).state is State.READY
    assert len(lab.world.ghosts[service.id].requests) == 1


async def test_a_service_that_the_engine_lost_is_started_again(lab: rooms.Lab) -> None:
    first = lab.portal()
    async with first.running():
        service = await first.until((await first.launch()).id, State.READY)
    lab.world.ghosts.clear()  # As after a reboot of a machine whose engine kept nothing.
    await lab.portal().reconciler.begin()
    assert (await first.get(service.id)).state is State.WAITING  # Nobody is told that it is ready.
    second = lab.portal()
    async with second.running():
        for _ in range(100):
            await second.settle()
            await lab.clock.advance(timedelta(seconds=1))
            if lab.world.ghosts:
                break
        await second.until(service.id, State.READY)
    assert list(lab.world.ghosts) == [service.id]


async def test_restarts_and_failures_are_told(lab: rooms.Lab) -> None:
    portal = lab.portal()
    async with portal.running():
        service = await portal.until((await portal.launch()).id, State.READY)
        pod = contract.PodStatus(name="pod-0", phase=contract.Phase.FAILED, restarts=1, reason="OOMKilled")
        portal.engine.drive(service.id, contract.Phase.READY, pods=(contract.PodStatus("pod-0", contract.Phase.READY),))
        await _until_seen(portal, service, "pod-0")
        portal.engine.drive(service.id, contract.Phase.FAILED, message="the notebook ran out of memory", pods=(pod,))
        failed = await portal.until(service.id, State.FAILED)
        assert failed.message == "the notebook ran out of memory"
        await _until_told(portal, service, EventKind.RESTARTED)


async def test_a_service_is_announced_stopped_kept_and_then_deleted(lab: rooms.Lab) -> None:
    portal = lab.portal()
    async with portal.running():
        service = await portal.until((await portal.launch()).id, State.READY)
        await _pass(portal, timedelta(days=6, hours=1))
        assert (await portal.get(service.id)).state is State.READY
        await _until_told(portal, service, EventKind.EXPIRES_SOON)
        await _pass(portal, timedelta(days=1))
        await portal.until(service.id, State.STOPPED)
        await _pass(portal, timedelta(days=6, hours=12))
        assert (await portal.get(service.id)).state is State.STOPPED, "it is kept"
        await _pass(portal, timedelta(days=1))
        await _until_deleted(portal)


async def test_an_extended_service_lives_on(lab: rooms.Lab) -> None:
    portal = lab.portal()
    async with portal.running():
        service = await portal.until((await portal.launch()).id, State.READY)
        await _pass(portal, timedelta(days=6, hours=12))
        await portal.services.extend(user_id=lab.alice.id, service_id=service.id)
        await _pass(portal, timedelta(days=2))
        assert (await portal.get(service.id)).state is State.READY


async def test_a_clock_that_jumps_a_year_ahead_ends_nobodys_service_at_once(lab: rooms.Lab) -> None:
    portal = lab.portal()
    async with portal.running():
        service = await portal.until((await portal.launch()).id, State.READY)
        lab.clock.jump(timedelta(days=365))
        await _pass(portal, timedelta(minutes=30))
        assert (await portal.get(service.id)).state is State.READY
        await _until_told(portal, service, EventKind.EXPIRES_SOON)
        lab.clock.jump(timedelta(days=-365))
        await _pass(portal, timedelta(hours=5))
        assert (await portal.get(service.id)).state is State.READY


async def test_what_the_engine_refuses_fails_with_its_sentence_and_is_not_tried_for_ever(lab: rooms.Lab) -> None:
    portal = lab.portal()
    async with portal.running():
        service = await portal.launch()
        await portal.until(service.id, State.READY)
        before = len(lab.world.ghosts[service.id].requests)
        await portal.reconciler._give_up(service.id, "this chart needs a cluster: `spec.hostNetwork`")
        assert (await portal.get(service.id)).state is State.FAILED
        portal.reconciler.wake(service.id)
        await portal.settle()
        assert len(lab.world.ghosts[service.id].requests) == before


async def _pass(portal: rooms.Portal, duration: timedelta) -> None:
    """Let time pass, minute by minute where something may happen, quickly where not."""
    step = min(duration, timedelta(minutes=30))
    while duration > timedelta():
        await portal.lab.clock.advance(min(step, duration))
        duration -= step
        await portal.settle()


async def _until_told(portal: rooms.Portal, service: Service, kind: EventKind) -> None:
    for _ in range(2000):
        events = await portal.services.events(user_id=portal.lab.alice.id, service_id=service.id)
        if kind in {event.kind for event in events}:
            return
        await portal.settle()
    raise AssertionError(f"nobody was told of {kind}")


async def _until_seen(portal: rooms.Portal, service: Service, pod: str) -> None:
    for _ in range(2000):
        status = portal.reconciler.last_status(service.id)
        if status is not None and pod in {one.name for one in status.pods}:
            return
        await portal.settle()
    raise AssertionError(f"`{pod}` was never seen")


async def _until_deleted(portal: rooms.Portal) -> None:
    for _ in range(2000):
        if not await portal.services.list(user_id=portal.lab.alice.id, project_id=portal.lab.alices):
            return
        await portal.settle()
    raise errors.Unavailable("the service is still there")
