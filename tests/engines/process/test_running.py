"""Services as real sandboxes: what a chart says is what runs, and nothing else."""

import asyncio
import base64
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from etabli.engines import contract
from etabli.engines.process import ports
from etabli.kernel import errors
from etabli.kernel.clock import ManualClock
from etabli.kernel.settings import Layout
from tests.engines import charts
from tests.engines.charts import Object
from tests.engines.conftest import PATIENCE, ProcessBench, clear, living, marked, reach, until

pytestmark = pytest.mark.binaries


async def output(bench: ProcessBench, *objects: Object, service_id: str = "srvjob") -> str:
    """What a service that is to end wrote."""
    handle = await bench.engine.apply(charts.request(*objects, service_id=service_id))
    status = await until(
        bench.engine, handle, lambda now: now.phase in (contract.Phase.FINISHED, contract.Phase.FAILED)
    )
    lines = [line.text async for line in bench.engine.logs(handle)]
    assert status.phase is contract.Phase.FINISHED, (status, lines)
    return "\n".join(lines)


def job(script: str, *, name: str = "job", **container: Any) -> Object:
    spec = {key: container.pop(key) for key in ("volumes", "initContainers") if key in container}
    template = charts.pod(charts.container(*charts.python(script), **container), restartPolicy="Never", **spec)
    return charts.workload("Job", template, name=name)


async def test_services_of_a_project_reach_each_other_by_name(process_bench: ProcessBench) -> None:
    headless = charts.service("each", clusterIP="None")
    web = [charts.stateful_set(replicas=2, serviceName="each"), charts.service(port=80), headless]
    handle = await process_bench.engine.apply(charts.request(*web))
    await reach(process_bench.engine, handle, contract.Phase.READY)
    ask = """
import urllib.request
def ask(address):
    return urllib.request.urlopen("http://" + address, timeout=5).read().decode()
for name in ("web", "web.user-alice", "web.user-alice.svc", "web.user-alice.svc.cluster.local"):
    assert ask(name).startswith("hello web-"), name
print(sorted({ask("web") for _ in range(40)}))
for pod in ("web-0", "web-1"):
    for name in (".each", ".each.user-alice.svc.cluster.local"):
        assert ask(pod + name + ":8080") == "hello " + pod, pod + name
print("all answered")
"""
    told = await output(process_bench, job(ask))
    assert "['hello web-0', 'hello web-1']" in told
    assert "all answered" in told


async def test_without_nftables_names_lead_to_a_ready_pod(layout: Layout) -> None:
    bench = ProcessBench(layout, nft=Path("/nonexistent/nft"))
    await bench.engine.start()
    try:
        handle = await bench.engine.apply(charts.request(charts.stateful_set(), charts.service(port=8080)))
        await reach(bench.engine, handle, contract.Phase.READY)
        ask = "import urllib.request as r; print(r.urlopen('http://web:8080/', timeout=5).read().decode())"
        assert await output(bench, job(ask)) == "hello web-0"
        assert bench.engine.capabilities().limits["services"] is contract.Guarantee.NONE
        await clear(bench)
    finally:
        await bench.leave()


async def test_another_project_does_not_know_the_names(process_bench: ProcessBench) -> None:
    handle = await process_bench.engine.apply(charts.request(charts.stateful_set(), charts.service()))
    await reach(process_bench.engine, handle, contract.Phase.READY)
    other = contract.Project(id="prjbbbbbbb", namespace="user-bob")
    ask = (
        "import socket\ntry: socket.getaddrinfo('web.user-alice', 80); print('known')\nexcept OSError: print('unknown')"
    )
    stranger = await process_bench.engine.apply(charts.request(job(ask), service_id="srvjob", project=other))
    await reach(process_bench.engine, stranger, contract.Phase.FINISHED)
    assert [line.text async for line in process_bench.engine.logs(stranger)] == ["unknown"]


async def test_an_ingress_is_a_socket_under_the_front_doors_folder(process_bench: ProcessBench) -> None:
    handle = await process_bench.engine.apply(charts.request())
    status = await reach(process_bench.engine, handle, contract.Phase.READY)
    socket = process_bench.layout.upstreams / status.routes[0].upstream
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=str(socket))) as client:
        assert (await client.get("http://web/")).text == "hello web-0"
    assert socket.stat().st_mode & 0o077 == 0
    await process_bench.engine.destroy(handle)
    await reach(process_bench.engine, handle, contract.Phase.GONE)
    assert not socket.exists()


async def test_the_lab_is_reached_from_inside_and_knows_who_calls(layout: Layout) -> None:
    heard: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        while (await reader.readline()).strip():
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlab!")
        await writer.drain()
        writer.close()

    front, credentials = layout.socket("front"), layout.socket("credentials")
    servers = [await asyncio.start_unix_server(answer, str(path)) for path in (front, credentials)]
    door = ports.Door(names=("etabli.localhost",), port=8000, front=front, credentials=credentials)
    bench = ProcessBench(layout, door=door)
    await bench.engine.start()
    try:
        ask = """
import urllib.request
print(urllib.request.urlopen("http://etabli.localhost:8000/", timeout=5).read())
print(urllib.request.urlopen("http://169.254.170.2/credentials", timeout=5).read())
import os; print("address", os.environ["IP"])
"""
        field = {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}
        told = await output(bench, job(ask, env=[field]))
        assert told.count("lab!") == 2
        address = told.split("address ")[1].split()[0]
        assert heard[0].startswith(b"GET / HTTP/1.1")
        assert heard[1].decode() == f"project {charts.PROJECT.id} {address}\n"
    finally:
        await clear(bench)
        await bench.leave()
        for server in servers:
            server.close()


async def test_init_containers_run_first_and_secrets_are_files_and_variables(process_bench: ProcessBench) -> None:
    secret = {
        "kind": "Secret",
        "metadata": {"name": "keys"},
        "data": {"id_rsa": base64.b64encode(b"k\xff").decode(), "TOKEN": base64.b64encode(b"$(A)").decode()},
    }
    config = {"kind": "ConfigMap", "metadata": {"name": "conf"}, "data": {"app.ini": "x=1"}}
    volumes = [
        {"name": "shared", "emptyDir": {}},
        {"name": "keys", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "conf", "configMap": {"name": "conf", "items": [{"key": "app.ini", "path": "deep/er.ini"}]}},
    ]
    mounts = [
        {"name": "shared", "mountPath": "/shared"},
        {"name": "keys", "mountPath": "/home/onyxia/.ssh", "readOnly": True},
        {"name": "conf", "mountPath": "/etc/app"},
        {"name": "conf", "mountPath": "/one.ini", "subPath": "deep/er.ini"},
    ]
    init = charts.container(
        *charts.python("open('/shared/made', 'w').write('by init'); print('init')"), name="init", volumeMounts=mounts
    )
    script = """
import os, stat, sys
print(open("/shared/made").read(), open("/etc/app/deep/er.ini").read(), open("/one.ini").read())
key = "/home/onyxia/.ssh/id_rsa"
print(open(key, "rb").read(), oct(stat.S_IMODE(os.stat(key).st_mode)), os.environ["TOKEN"], os.environ["B"], sys.argv[1])
for target in (key, "/etc/app/new"):
    try: open(target, "w"); print("written")
    except OSError: print("refused")
os.makedirs(os.path.expanduser("~/x")); print(os.environ["HOME"], os.getcwd(), os.environ["HOSTNAME"])
"""
    main = charts.container(
        *charts.python(script),
        "$(B)!$$(B)$(NONE)",
        volumeMounts=mounts,
        env=[
            {"name": "A", "value": "1"},
            {"name": "B", "value": "b$(A)"},
            {"name": "HOME", "value": "/home/onyxia"},
            {"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "TOKEN"}}},
        ],
    )
    template = charts.pod(main, restartPolicy="Never", volumes=volumes, initContainers=[init])
    told = await output(process_bench, secret, config, charts.workload("Job", template, name="job"))
    assert told.splitlines()[0] == "init"
    assert "by init x=1 x=1" in told
    assert r"b'k\xff' 0o400 $(A) b1 b1!$(B)$(NONE)" in told
    assert told.count("refused") == 2
    assert "/home/onyxia /home/onyxia job-" in told


async def test_volumes_outlive_a_stop_and_what_else_was_written_does_not(process_bench: ProcessBench) -> None:
    claim = {"metadata": {"name": "home"}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}
    count = """
import os, time
for path in ("/home/onyxia/work/starts", "/home/etabli/starts", "/work/deep/starts"):
    with open(path, "a") as file: file.write("x")
    print(path, len(open(path).read()), flush=True)
time.sleep(1000)
"""
    mounts = [
        {"name": "home", "mountPath": "/home/onyxia/work"},
        {"name": "home", "mountPath": "/work", "subPath": "sub"},
        {"name": "home", "mountPath": "/work/deep", "subPath": "a/b"},
    ]
    template = charts.pod(charts.container(*charts.python(count), volumeMounts=mounts))
    request = charts.request(charts.stateful_set(template, volumeClaimTemplates=[claim]))
    for start in (1, 2):
        handle = await process_bench.engine.apply(request)
        await reach(process_bench.engine, handle, contract.Phase.READY)
        following = process_bench.engine.logs(handle, follow=True)
        async with asyncio.timeout(PATIENCE):
            for _ in range(3 * start):
                await anext(following)
        await process_bench.engine.stop(handle, grace=timedelta())
        await reach(process_bench.engine, handle, contract.Phase.STOPPED)
    lines = [line.text async for line in process_bench.engine.logs(handle)]
    assert lines == [
        *("/home/onyxia/work/starts 1", "/home/etabli/starts 1", "/work/deep/starts 1"),
        *("/home/onyxia/work/starts 2", "/home/etabli/starts 1", "/work/deep/starts 2"),
    ]


async def test_a_link_in_a_volume_leads_nowhere(process_bench: ProcessBench) -> None:
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "home"},
        "spec": {"resources": {"requests": {"storage": "1Gi"}}},
    }
    volumes = [{"name": "home", "persistentVolumeClaim": {"claimName": "home"}}]
    lab = process_bench.layout.data

    def writer(script: str, sub_path: str | None = None) -> list[Object]:
        mount = {"name": "home", "mountPath": "/mnt/home", **({"subPath": sub_path} if sub_path else {})}
        container = charts.container(*charts.python(script), volumeMounts=[mount])
        return [claim, charts.stateful_set(charts.pod(container, volumes=volumes))]

    plant = (
        f"import os, time; os.symlink({str(lab)!r}, '/mnt/home/link'); print('planted', flush=True); time.sleep(1000)"
    )
    handle = await process_bench.engine.apply(charts.request(*writer(plant)))
    following = process_bench.engine.logs(handle, follow=True)
    async with asyncio.timeout(PATIENCE):
        assert (await anext(following)).text == "planted"
    peek = "import os; print('seen', os.listdir('/mnt/home'))"
    for revision, sub_path in enumerate(("link", "link/engine"), start=2):
        await process_bench.engine.apply(charts.request(*writer(peek, sub_path), revision=revision))
        status = await until(
            process_bench.engine, handle, lambda now: any(pod.reason == "CreateContainerError" for pod in now.pods)
        )
        assert status.phase is not contract.Phase.READY
        await process_bench.engine.stop(handle, grace=timedelta())
        await reach(process_bench.engine, handle, contract.Phase.STOPPED)
    assert not [line.text async for line in process_bench.engine.logs(handle) if "seen" in line.text]


async def test_a_crash_is_told_and_tried_again_ever_later(layout: Layout) -> None:
    clock = ManualClock()
    bench = ProcessBench(layout, clock=clock)
    await bench.engine.start()
    try:
        crash = charts.stateful_set(charts.pod(charts.container("/bin/sh", "-c", "echo last words; exit 3")))
        handle = await bench.engine.apply(charts.request(crash))
        status = await until(bench.engine, handle, lambda now: _reason(now) == "CrashLoopBackOff")
        pod = status.pods[0]
        assert status.phase is contract.Phase.FAILED
        assert (pod.restarts, pod.exit_code) == (2, 3)  # The first restart is immediate.
        assert "last words" in pod.message
        assert "10 s" in pod.message
        await clock.advance(timedelta(seconds=9))
        assert (await bench.engine.status(handle)).pods[0].restarts == 2
        await clock.advance(timedelta(seconds=2))
        status = await until(bench.engine, handle, lambda now: now.pods[0].restarts == 3)
        await until(bench.engine, handle, lambda now: "20 s" in now.pods[0].message)
    finally:
        await clear(bench)
        await bench.leave()


async def test_who_uses_more_memory_than_granted_is_ended_alone(process_bench: ProcessBench) -> None:
    hog = "data = []\nwhile True: data.append(bytearray(10 << 20))"
    greedy = charts.container(*charts.python(hog), name="hog", resources={"limits": {"memory": "96Mi"}})
    neighbour = charts.container("/bin/sleep", "1000", name="neighbour")
    handle = await process_bench.engine.apply(charts.request(charts.stateful_set(charts.pod(greedy, neighbour))))
    status = await until(process_bench.engine, handle, lambda now: "memory" in now.message and now.pods[0].restarts > 1)
    assert status.pods[0].exit_code == 137
    store = process_bench.layout.engine / "services/srvaaaaaaa/pods/web-0/pod.json"
    assert '"OOMKilled"' in store.read_text()


async def test_a_container_that_no_longer_lives_is_started_again(process_bench: ProcessBench) -> None:
    probe = {"exec": {"command": ["/bin/sh", "-c", "! test -e /tmp/dead"]}, "periodSeconds": 1, "failureThreshold": 1}
    dying = charts.container("/bin/sh", "-c", "sleep 0.2; touch /tmp/dead; sleep 1000", livenessProbe=probe)
    handle = await process_bench.engine.apply(charts.request(charts.stateful_set(charts.pod(dying))))
    status = await until(process_bench.engine, handle, lambda now: bool(now.pods) and now.pods[0].restarts > 0)
    assert "liveness" in status.pods[0].message


async def test_a_container_is_ready_once_its_probe_says_so_and_only_then(process_bench: ProcessBench) -> None:
    later = "import time, os; time.sleep(0.5); open('/tmp/ready', 'w'); time.sleep(0.5); os.unlink('/tmp/ready'); time.sleep(99)"
    probe = {"exec": {"command": ["/bin/test", "-e", "/tmp/ready"]}, "periodSeconds": 1, "failureThreshold": 1}
    container = charts.container(*charts.python(later), readinessProbe=probe)
    handle = await process_bench.engine.apply(charts.request(charts.stateful_set(charts.pod(container))))
    await reach(process_bench.engine, handle, contract.Phase.READY)
    await reach(process_bench.engine, handle, contract.Phase.STARTING)


async def test_pods_of_a_stateful_set_come_one_after_the_other(process_bench: ProcessBench) -> None:
    handle = await process_bench.engine.apply(charts.request(charts.stateful_set(replicas=3)))
    status = await reach(process_bench.engine, handle, contract.Phase.READY)
    started = [pod.started_at for pod in status.pods]
    assert len(started) == 3
    assert started == sorted(started, key=lambda moment: moment or 0)


async def test_usage_is_told_by_pod(process_bench: ProcessBench) -> None:
    burn = """
import time
until = time.process_time() + 0.3
while time.process_time() < until: pass
print('burnt', flush=True)
time.sleep(99)
"""
    handle = await process_bench.engine.apply(
        charts.request(charts.stateful_set(charts.pod(charts.container(*charts.python(burn)))))
    )
    following = process_bench.engine.logs(handle, follow=True)
    async with asyncio.timeout(PATIENCE):
        await anext(following)
    status = await process_bench.engine.status(handle)
    assert status.usage.cpu_seconds >= 0.3
    assert status.pods[0].usage.memory_bytes > 1 << 20


async def test_a_destroyed_service_leaves_no_process_mount_folder_or_socket(process_bench: ProcessBench) -> None:
    claim = {"metadata": {"name": "home"}, "spec": {}}
    mounted = [{"name": "home", "mountPath": "/home/onyxia/work"}]
    main = charts.web_container(volumeMounts=mounted, args=[marked(process_bench.layout)])
    chart = [charts.stateful_set(charts.pod(main), volumeClaimTemplates=[claim]), charts.service(), charts.ingress()]
    handle = await process_bench.engine.apply(charts.request(*chart))
    await reach(process_bench.engine, handle, contract.Phase.READY)
    mark = marked(process_bench.layout)
    assert len(living(mark)) == 1
    await process_bench.engine.destroy(handle)
    await reach(process_bench.engine, handle, contract.Phase.GONE)
    assert not living(mark)
    mounts = Path("/proc/self/mountinfo").read_text()  # noqa: ASYNC240 - A test waits for nobody else.
    assert str(process_bench.layout.data.parent) not in mounts
    for folder in (process_bench.layout.engine / "services", process_bench.layout.upstreams):
        assert list(folder.iterdir()) == []
    assert list((process_bench.layout.run / "probes").iterdir()) == []


def _reason(status: contract.Status) -> str:
    return status.pods[0].reason if status.pods else ""


async def test_twenty_services_start_at_once(process_bench: ProcessBench) -> None:
    idle = charts.pod(charts.container("/bin/sleep", "1000"))
    requests = [
        charts.request(charts.workload("Deployment", idle, name=f"idle{number}"), service_id=f"srv{number}")
        for number in range(20)
    ]
    handles = await asyncio.gather(*(process_bench.engine.apply(request) for request in requests))
    statuses = [await reach(process_bench.engine, handle, contract.Phase.READY) for handle in handles]
    assert len({status.pods[0].name for status in statuses}) == 20


async def test_names_are_shared_in_a_project_and_a_second_one_is_refused(process_bench: ProcessBench) -> None:
    await process_bench.engine.apply(charts.request())
    with pytest.raises(errors.Conflict, match="Service `web`"):
        await process_bench.engine.apply(charts.request(service_id="srvother"))
    elsewhere = charts.request(service_id="srvother", project=contract.Project(id="prjbbbbbbb", namespace="user-bob"))
    await reach(process_bench.engine, await process_bench.engine.apply(elsewhere), contract.Phase.READY)


@pytest.mark.parametrize("name", ["../../etc", "x" * 10_000, "x'\"; rm -rf /", "été", ""])
async def test_a_service_of_a_strange_name_leaves_nothing(process_bench: ProcessBench, name: str) -> None:
    with pytest.raises(errors.Invalid):
        await process_bench.engine.apply(charts.request(service_id=name))
    services = process_bench.layout.engine / "services"
    assert not services.is_dir() or list(services.iterdir()) == []


async def test_secrets_of_a_plan_are_for_the_lab_alone(process_bench: ProcessBench) -> None:
    secret = {"kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"TOKEN": "hunter2"}}
    main = charts.container("/bin/sleep", "1000", envFrom=[{"secretRef": {"name": "keys"}}])
    handle = await process_bench.engine.apply(charts.request(secret, charts.stateful_set(charts.pod(main))))
    await reach(process_bench.engine, handle, contract.Phase.READY)
    holding = [
        path
        for path in process_bench.layout.data.rglob("*")
        if path.is_file() and path.stat().st_uid == os.getuid() and b"hunter2" in path.read_bytes()
    ]
    assert holding
    assert all(path.stat().st_mode & 0o077 == 0 for path in holding)
    assert living("hunter2") == []  # Nor does a command line tell.
