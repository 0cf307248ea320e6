"""What a project stands on dies, and comes back under services that go on."""

import asyncio
import shutil
import signal
from dataclasses import replace

import httpx
import pytest

from etabli.engines import contract
from etabli.kernel import errors, processes
from etabli.kernel.settings import Layout
from tests.engines import charts
from tests.engines.conftest import PATIENCE, ProcessBench, living, marked, reach

pytestmark = pytest.mark.binaries


async def answers(bench: ProcessBench, status: contract.Status) -> str:
    """What the service answers through its route, once it does."""
    socket = bench.layout.upstreams / status.routes[0].upstream
    async with asyncio.timeout(PATIENCE):
        while True:
            transport = httpx.AsyncHTTPTransport(uds=str(socket))
            async with httpx.AsyncClient(transport=transport) as client:
                try:
                    return (await client.get("http://web/")).text
                except httpx.TransportError:
                    await asyncio.sleep(0.05)


@pytest.mark.parametrize("record", ["agent.json", "holder.json"])
async def test_a_killed_agent_or_holder_comes_back_and_the_service_never_stopped(
    process_bench: ProcessBench, record: str
) -> None:
    template = charts.pod(charts.web_container(args=[marked(process_bench.layout)]))
    chart = [charts.stateful_set(template), charts.service(), charts.ingress()]
    handle = await process_bench.engine.apply(charts.request(*chart))
    status = await reach(process_bench.engine, handle, contract.Phase.READY)
    before = living(marked(process_bench.layout))
    [path] = process_bench.layout.run.glob(f"sandbox/g/*/{record}")
    victim = processes.load(path)
    assert victim is not None
    assert processes.send_signal(victim, signal.SIGKILL)
    assert await answers(process_bench, status) == "hello web-0"
    await reach(process_bench.engine, handle, contract.Phase.READY)
    assert living(marked(process_bench.layout)) == before
    async with asyncio.timeout(PATIENCE):
        while (again := processes.load(path)) is None or again == victim or not processes.is_alive(again):  # noqa: ASYNC110 - Another process.
            await asyncio.sleep(0.05)
    assert await answers(process_bench, status) == "hello web-0"


async def test_after_a_reboot_services_start_again_from_what_is_stored(process_bench: ProcessBench) -> None:
    mark = marked(process_bench.layout)
    claim = {"metadata": {"name": "home"}, "spec": {}}
    main = charts.web_container(args=[mark], volumeMounts=[{"name": "home", "mountPath": "/data"}])
    chart = [charts.stateful_set(charts.pod(main), volumeClaimTemplates=[claim]), charts.service(), charts.ingress()]
    handle = await process_bench.engine.apply(charts.request(*chart))
    before = await reach(process_bench.engine, handle, contract.Phase.READY)
    await process_bench.leave()
    await _reboot(process_bench)
    assert living(mark) == []
    engine = await process_bench.reborn()
    after = await reach(engine, handle, contract.Phase.READY)
    assert after.routes == before.routes
    assert after.pods[0].restarts == 0
    assert len(living(mark)) == 1
    assert await answers(process_bench, after) == "hello web-0"


async def _reboot(bench: ProcessBench) -> None:
    """What a reboot leaves: no process, no run folder, and records of another boot."""
    records = [*bench.layout.engine.rglob("process.json"), *bench.layout.run.rglob("*.json")]
    for path in records:
        victim = processes.load(path)
        if victim is None:
            continue
        processes.send_signal(victim, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE):
            while processes.is_alive(victim):  # noqa: ASYNC110 - Another process.
                await asyncio.sleep(0.01)
        processes.save(replace(victim, boot_id="another"), path)
    await asyncio.to_thread(shutil.rmtree, bench.layout.run)
    bench.layout.make()


async def test_a_disk_that_takes_nothing_is_said_and_nothing_changes(process_bench: ProcessBench) -> None:
    handle = await process_bench.engine.apply(charts.request())
    await reach(process_bench.engine, handle, contract.Phase.READY)
    services = process_bench.layout.engine / "services"
    services.chmod(0o500)
    try:
        with pytest.raises(errors.Unavailable, match="disk"):
            await process_bench.engine.apply(
                charts.request(charts.workload("StatefulSet", charts.pod(), name="other"), service_id="srvother")
            )
        assert (await process_bench.engine.status(handle)).phase is contract.Phase.READY
    finally:
        services.chmod(0o700)
    other = await process_bench.engine.apply(
        charts.request(charts.workload("StatefulSet", charts.pod(), name="other"), service_id="srvother")
    )
    await reach(process_bench.engine, other, contract.Phase.READY)


async def test_a_killed_sandbox_is_started_again_and_its_neighbour_goes_on(process_bench: ProcessBench) -> None:
    handle = await process_bench.engine.apply(charts.request())
    await reach(process_bench.engine, handle, contract.Phase.READY)
    other = await process_bench.engine.apply(
        charts.request(charts.workload("StatefulSet", charts.pod(), name="other"), service_id="srvother")
    )
    before = await reach(process_bench.engine, other, contract.Phase.READY)
    [path] = process_bench.layout.engine.glob("services/srvaaaaaaa/pods/*/run/*/process.json")
    victim = processes.load(path)
    assert victim is not None
    assert processes.send_signal(victim, signal.SIGKILL)
    changes = process_bench.engine.watch()
    async with asyncio.timeout(PATIENCE):
        while (status := await process_bench.engine.status(handle)).pods[0].restarts != 1 or not status.pods[0].ready:
            await anext(changes)
    assert status.pods[0].exit_code == 137
    after = await process_bench.engine.status(other)
    assert [pod.started_at for pod in after.pods] == [pod.started_at for pod in before.pods]


async def test_a_projects_network_waits_a_while_for_the_next_service_and_then_ends(layout: Layout) -> None:
    bench = ProcessBench(layout, linger_seconds=3)
    await bench.engine.start()
    holders = []
    for _ in range(2):
        handle = await bench.engine.apply(charts.request())
        await reach(bench.engine, handle, contract.Phase.READY)
        [path] = layout.run.glob("sandbox/g/*/holder.json")
        holders.append(processes.load(path))
        await bench.engine.destroy(handle)
        await reach(bench.engine, handle, contract.Phase.GONE)
    assert holders[0] == holders[1]
    assert holders[0] is not None
    await bench.reborn()  # A portal that starts anew finds the network without a pod, and ends it too.
    async with asyncio.timeout(PATIENCE):
        while processes.is_alive(holders[0]) or any(layout.run.glob("sandbox/g/*")):  # noqa: ASYNC110 - Another process.
            await asyncio.sleep(0.05)
    await bench.leave()
