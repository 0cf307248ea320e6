"""What projects may have: defaults from settings, a project's own from an administrator, refused with what is free."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from etabli.kernel import errors
from etabli.services.models import State
from etabli.services.quotas import GIB, Limits
from etabli.services.settings import ServicesSettings
from tests.services.rooms import Portal, lab


@pytest.fixture
async def portal(tmp_path: Path) -> AsyncIterator[Portal]:
    """One whose projects have four cores and 3 GiB; the chart's service may use two cores and 1 GiB."""
    async with lab(tmp_path) as made:
        made.settings = ServicesSettings(per_project=5, cores_per_project=4, memory_gib_per_project=3)
        portal = made.portal()
        async with portal.running():
            yield portal


def project(portal: Portal) -> str:
    return portal.lab.alices


async def test_a_project_has_what_the_settings_give_until_it_has_its_own(portal: Portal) -> None:
    quotas = portal.rooms.quotas
    assert (await quotas.of(project_id=project(portal))).holds == Limits(5, 4, 3 * GIB)
    await quotas.set(project_id=project(portal), own=Limits(cores=1.5), by="ada")
    assert (await quotas.of(project_id=project(portal))).holds == Limits(5, 1.5, 3 * GIB)
    await quotas.set(project_id=project(portal), own=Limits(), by="ada")
    assert (await quotas.of(project_id=project(portal))).holds == Limits(5, 4, 3 * GIB)


async def test_no_limit_is_none_at_all(tmp_path: Path) -> None:
    async with lab(tmp_path) as made:
        holds = (await made.portal().rooms.quotas.of(project_id=made.alices)).holds
        assert (holds.cores, holds.memory_bytes) == (None, None)


async def test_a_launch_beyond_it_is_refused_with_what_is_free(portal: Portal) -> None:
    await portal.launch()
    await portal.launch()
    with pytest.raises(errors.QuotaExceeded, match="this asks for 2 cores, and 0 of the project's 4 are free"):
        await portal.launch()
    assert len(await portal.services.list(user_id=portal.lab.alice.id, project_id=project(portal))) == 2


async def test_memory_counts_too(portal: Portal) -> None:
    await portal.rooms.quotas.set(project_id=project(portal), own=Limits(cores=100, memory_bytes=GIB * 3 // 2), by="a")
    await portal.launch()
    with pytest.raises(errors.QuotaExceeded, match=r"1 GiB of memory, and 0\.5 of the project's 1\.5 are free"):
        await portal.launch()


async def test_ten_launches_at_once_do_not_all_take_the_last_place(portal: Portal) -> None:
    answers = await asyncio.gather(*(portal.launch() for _ in range(10)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, errors.QuotaExceeded)]
    assert (len(refused), len(answers)) == (8, 10)


async def test_a_paused_service_uses_nothing_and_resuming_it_asks_again(portal: Portal) -> None:
    first = await portal.launch()
    await portal.until(first.id, State.READY)
    await portal.services.stop(user_id=portal.lab.alice.id, service_id=first.id)
    second, third = await portal.launch(), await portal.launch()
    with pytest.raises(errors.QuotaExceeded):
        await portal.services.resume(user_id=portal.lab.alice.id, service_id=first.id)
    await portal.services.delete(user_id=portal.lab.alice.id, service_id=second.id)
    resumed = await portal.services.resume(user_id=portal.lab.alice.id, service_id=first.id)
    assert resumed.desired == "running"
    assert third.id != first.id


async def test_a_project_that_may_have_no_service_gets_none(portal: Portal) -> None:
    await portal.rooms.quotas.set(project_id=project(portal), own=Limits(services=0), by="ada")
    with pytest.raises(errors.QuotaExceeded, match="this project has 0 services already"):
        await portal.launch()


@pytest.mark.parametrize("own", [Limits(services=-1), Limits(cores=-0.5), Limits(memory_bytes=1 << 60)])
async def test_what_is_no_quota_is_refused_by_field(portal: Portal, own: Limits) -> None:
    with pytest.raises(errors.Invalid) as refused:
        await portal.rooms.quotas.set(project_id=project(portal), own=own, by="ada")
    assert len(refused.value.fields) == 1


async def test_what_runs_already_goes_on_when_the_quota_shrinks(portal: Portal) -> None:
    service = await portal.launch()
    await portal.rooms.quotas.set(project_id=project(portal), own=Limits(cores=0.5), by="ada")
    await portal.until(service.id, State.READY)
