"""What any engine must keep: the fake and `process` alike. An engine that has not passed this does not ship."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from etabli.engines import contract
from etabli.kernel import errors
from tests.engines import charts
from tests.engines.conftest import PATIENCE, TOTAL, Bench, reach, until

GRACE = timedelta(seconds=1)


async def test_an_applied_service_becomes_ready(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    status = await reach(bench.engine, handle, contract.Phase.READY)
    assert [pod.name for pod in status.pods] == ["web-0"]
    assert status.pods[0].ready
    assert status.pods[0].started_at is not None
    assert [(route.host, route.path) for route in status.routes] == [(charts.HOST, "/")]


async def test_applying_again_finds_the_first(bench: Bench) -> None:
    first = await bench.engine.apply(charts.request())
    before = await reach(bench.engine, first, contract.Phase.READY)
    again = await bench.engine.apply(charts.request())
    assert again == first
    after = await bench.engine.status(again)
    assert after.routes == before.routes
    assert [pod.started_at for pod in after.pods] == [pod.started_at for pod in before.pods]


async def test_many_applies_at_once_make_one_service(bench: Bench) -> None:
    handles = await asyncio.gather(*(bench.engine.apply(charts.request()) for _ in range(5)))
    assert all(handle == handles[0] for handle in handles)
    status = await reach(bench.engine, handles[0], contract.Phase.READY)
    assert len(status.pods) == 1


async def test_another_revision_changes_what_runs(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    before = await reach(bench.engine, handle, contract.Phase.READY)
    wider = [charts.stateful_set(replicas=2), charts.service(), charts.ingress()]
    assert await bench.engine.apply(charts.request(*wider, revision=2)) == handle
    after = await until(
        bench.engine, handle, lambda status: len(status.pods) == 2 and status.phase is contract.Phase.READY
    )
    assert [pod.name for pod in after.pods] == ["web-0", "web-1"]
    assert after.routes == before.routes


async def test_a_portal_restart_finds_the_service_running(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    before = await reach(bench.engine, handle, contract.Phase.READY)
    engine = await bench.reborn()
    after = await reach(engine, handle, contract.Phase.READY)
    assert after.routes == before.routes
    assert [pod.started_at for pod in after.pods] == [pod.started_at for pod in before.pods]
    assert await engine.apply(charts.request()) == handle


async def test_a_job_finishes(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request(charts.job("/bin/true")))
    status = await reach(bench.engine, handle, contract.Phase.FINISHED)
    assert status.pods[0].exit_code == 0


async def test_a_stopped_service_starts_again(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    before = await reach(bench.engine, handle, contract.Phase.READY)
    await bench.engine.stop(handle, grace=GRACE)
    stopped = await reach(bench.engine, handle, contract.Phase.STOPPED)
    assert stopped.pods == ()
    await bench.engine.stop(handle, grace=GRACE)
    assert await bench.engine.apply(charts.request()) == handle
    after = await reach(bench.engine, handle, contract.Phase.READY)
    assert after.routes == before.routes


async def test_a_chart_that_suspends_itself_is_stopped_and_goes_on(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    before = await reach(bench.engine, handle, contract.Phase.READY)
    suspended = [charts.stateful_set(replicas=0), charts.service(), charts.ingress()]
    await bench.engine.apply(charts.request(*suspended, revision=2))
    status = await reach(bench.engine, handle, contract.Phase.STOPPED)
    assert status.pods == ()
    await bench.engine.apply(charts.request(revision=3))
    assert (await reach(bench.engine, handle, contract.Phase.READY)).routes == before.routes


async def test_a_restart_of_the_portal_leaves_a_stopped_service_stopped(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    await bench.engine.stop(handle, grace=GRACE)
    await reach(bench.engine, handle, contract.Phase.STOPPED)
    engine = await bench.reborn()
    await reach(engine, handle, contract.Phase.STOPPED)


async def test_a_destroyed_service_is_gone_and_destroying_again_is_success(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    await reach(bench.engine, handle, contract.Phase.READY)
    await bench.engine.destroy(handle)
    await reach(bench.engine, handle, contract.Phase.GONE)
    await bench.engine.destroy(handle)
    await bench.engine.stop(handle, grace=GRACE)
    assert (await bench.engine.status(handle)) == contract.Status(contract.Phase.GONE)
    assert [line async for line in bench.engine.logs(handle)] == []


async def test_a_service_is_destroyed_while_it_starts(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    await bench.engine.destroy(handle)
    await reach(bench.engine, handle, contract.Phase.GONE)
    assert (await bench.engine.check()).reserved == contract.Resources()


async def test_requests_are_reserved_while_a_service_runs(bench: Bench) -> None:
    resources = {"requests": {"cpu": 2, "memory": "4Gi"}}
    chart = charts.stateful_set(charts.pod(charts.container(resources=resources)))
    handle = await bench.engine.apply(charts.request(chart))
    await reach(bench.engine, handle, contract.Phase.READY)
    health = await bench.engine.check()
    assert health.ready
    assert health.total == TOTAL
    assert health.reserved == contract.Resources(cpu=2, memory_bytes=4 << 30)
    await bench.engine.stop(handle, grace=GRACE)
    await reach(bench.engine, handle, contract.Phase.STOPPED)
    assert (await bench.engine.check()).reserved == contract.Resources()


async def test_check_refuses_what_apply_would_and_starts_nothing(bench: Bench) -> None:
    good = charts.request(charts.stateful_set(charts.pod(charts.container())))
    assert (await bench.engine.check(good)).ready
    refused = charts.request({"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "everywhere"}})
    with pytest.raises(errors.Refused, match="DaemonSet"):
        await bench.engine.check(refused)
    with pytest.raises(errors.QuotaExceeded):
        await bench.engine.check(hungry("greedy", 10_000))
    assert (await bench.engine.check()).reserved == contract.Resources()


def hungry(name: str, cpu: int) -> contract.ApplyRequest:
    template = charts.pod(charts.container(resources={"requests": {"cpu": cpu}}))
    chart = charts.workload("StatefulSet", template, name=name)
    return charts.request(chart, service_id=f"srv{name}")


async def test_what_can_never_fit_is_refused_with_what_is_free(bench: Bench) -> None:
    with pytest.raises(errors.QuotaExceeded, match="8 cores"):
        await bench.engine.apply(hungry("a", 9))


async def test_what_does_not_fit_now_waits_for_its_turn(bench: Bench) -> None:
    first = await bench.engine.apply(hungry("a", 6))
    await reach(bench.engine, first, contract.Phase.READY)
    second = await bench.engine.apply(hungry("b", 4))
    waiting = await reach(bench.engine, second, contract.Phase.WAITING)
    assert "2 cores" in waiting.message
    assert waiting.pods == ()
    small = await bench.engine.apply(hungry("c", 1))
    await reach(bench.engine, small, contract.Phase.WAITING)
    await bench.engine.destroy(first)
    await reach(bench.engine, second, contract.Phase.READY)
    await reach(bench.engine, small, contract.Phase.READY)


REFUSED = {
    "what needs a cluster": charts.request(charts.stateful_set(charts.pod(hostNetwork=True))),
    "an unknown image": replace(charts.request(), images={}),
    "a host of others": replace(charts.request(), hosts=("other.svc.etabli.localhost",)),
    "another namespace": charts.request({"kind": "Secret", "metadata": {"name": "x", "namespace": "user-bob"}}),
    "a kind of others": charts.request(*charts.web(), {"kind": "DaemonSet", "metadata": {"name": "x"}}),
}


@pytest.mark.parametrize("request_", REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_refused_leaves_nothing(bench: Bench, request_: contract.ApplyRequest) -> None:
    with pytest.raises(errors.Refused):
        await bench.engine.apply(request_)
    known = await bench.engine.apply(charts.request(service_id="srvbbbbbbb"))
    nothing = replace(known, data={"service": request_.service_id})
    assert (await bench.engine.status(nothing)).phase is contract.Phase.GONE
    assert (await bench.engine.check()).reserved == contract.Resources()


async def test_a_refused_change_leaves_what_runs(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    before = await reach(bench.engine, handle, contract.Phase.READY)
    with pytest.raises(errors.Refused):
        await bench.engine.apply(charts.request(charts.stateful_set(charts.pod(hostPID=True)), revision=2))
    after = await bench.engine.status(handle)
    assert (after.phase, after.routes) == (before.phase, before.routes)


async def test_logs_are_told_and_followed(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    await reach(bench.engine, handle, contract.Phase.READY)
    await bench.write("srvaaaaaaa", "one é")
    told = [line async for line in bench.engine.logs(handle)]
    assert ("web-0", "main", "one é") in [(line.pod, line.container, line.text) for line in told]
    following = bench.engine.logs(handle, follow=True)
    async with asyncio.timeout(PATIENCE):
        while (await anext(following)).text != "one é":
            pass
        await bench.write("srvaaaaaaa", "two")
        assert (await anext(following)).text == "two"
        await bench.engine.destroy(handle)
        assert [line async for line in following if line.text in ("one é", "two")] == []


async def test_every_listener_is_told_of_every_change(bench: Bench) -> None:
    listeners = [bench.engine.watch() for _ in range(3)]
    handle = await bench.engine.apply(charts.request())
    await reach(bench.engine, handle, contract.Phase.READY)
    async with asyncio.timeout(PATIENCE):
        changes = [await anext(listener) for listener in listeners]
    assert changes == [contract.Change("srvaaaaaaa")] * 3


async def test_capabilities_are_data(bench: Bench) -> None:
    capabilities = bench.engine.capabilities()
    assert {"memory", "cpu", "processes", "disk"} <= set(capabilities.limits)


async def test_an_engine_that_says_so_hangs_up_and_what_runs_runs_on(bench: Bench) -> None:
    handle = await bench.engine.apply(charts.request())
    before = await reach(bench.engine, handle, contract.Phase.READY)
    assert bench.engine.capabilities().hangs_up is isinstance(bench.engine, contract.CanHangUp)
    if isinstance(bench.engine, contract.CanHangUp):
        await bench.engine.hang_up(charts.request().project.id)
        await bench.engine.hang_up("nowhere")
    after = await bench.engine.status(handle)
    assert [pod.started_at for pod in after.pods] == [pod.started_at for pod in before.pods]
