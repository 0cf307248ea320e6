"""Helm renders in a process that may be killed, that takes no more than its share, and that ends when it is not needed."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.catalog import archives, errors, frames, rendering, settings
from etabli.kernel import errors as kernel_errors
from etabli.kernel.clock import ManualClock, SystemClock

LIMITS = settings.RenderingSettings(seconds=2, memory_mib=256, output_mib=1)
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
SLOW = "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}"


@pytest.fixture
async def renderer() -> AsyncIterator[rendering.Renderer]:
    made = rendering.Renderer(LIMITS, clock=SystemClock())
    yield made
    await made.close()


def a_job(folder: Path, template: str, values: dict[str, object] | None = None, **more: str) -> rendering.Job:
    files = {"Chart.yaml": "apiVersion: v2\nname: demo\nversion: 1.0.0\n", "templates/a.yaml": template, **more}
    path = folder / f"{archives.digest(template.encode())}.tgz"
    path.write_bytes(archives.pack("demo", {name: text.encode() for name, text in files.items()}))
    return rendering.Job(path, values or {}, "demo-1", "user-ada")


async def test_manifests_hooks_and_notes_are_told_apart_and_tests_are_dropped(
    renderer: rendering.Renderer, tmp_path: Path
) -> None:
    hook = (
        OBJECT
        + "---\n"
        + OBJECT.replace("{name: x}", '{name: h, annotations: {"helm.sh/hook": "pre-install,pre-upgrade"}}')
    )
    test = "\n---\n" + OBJECT.replace("{name: x}", '{name: t, annotations: {"helm.sh/hook": test}}')
    listed = "\n---\napiVersion: v1\nkind: List\nitems: [{kind: Secret, metadata: {name: s}}]\n---\n# nothing\n"
    output = await renderer.render(
        a_job(
            tmp_path,
            hook + test + listed,
            **{"templates/NOTES.txt": "{{ .Release.Namespace }}", "crds/c.yaml": "kind: Crd"},
        )
    )
    assert [manifest["kind"] for manifest in output.manifests] == ["Crd", "ConfigMap", "Secret"]
    assert [manifest["metadata"]["name"] for manifest in output.hooks] == ["h"]  # type: ignore[index]
    assert output.notes == "user-ada"


async def test_lookups_find_nothing_and_files_outside_the_chart_are_not_there(
    renderer: rendering.Renderer, tmp_path: Path
) -> None:
    template = OBJECT + (
        'data: {a: {{ lookup "v1" "Secret" "" "" | toJson | quote }}, b: {{ .Files.Get "../../../etc/passwd" | quote }},'
        ' c: {{ getHostByName "localhost" | quote }}}'
    )
    output = await renderer.render(a_job(tmp_path, template))
    assert output.manifests[0]["data"] == {"a": "{}", "b": "", "c": ""}


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ('{{ fail "no such thing" }}', "no such thing"),
        ("{{ nonsense }}", "nonsense"),
        ("a: [", "not YAML"),
        ("just text", "no Kubernetes object"),
        ("a: &a [*a]", "alias"),
        ('{{ define "r" }}{{ include "r" . }}{{ end }}{{ include "r" . }}', "does not render"),
        (SLOW, "longer than 2 s"),
        ('{{ $x := "xxxxxxxxxxxxxxxx" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}', "more than 256 MiB"),
        ('a: "{{ range until 300000 }}xxxx{{ end }}"', "more than 1 MiB"),
    ],
)
async def test_a_template_that_fails_never_ends_or_takes_too_much_is_refused_with_its_reason(
    renderer: rendering.Renderer, tmp_path: Path, template: str, words: str
) -> None:
    with pytest.raises(errors.RenderFailed, match=words):
        await renderer.render(a_job(tmp_path, template))
    output = await renderer.render(a_job(tmp_path, OBJECT))
    assert len(output.manifests) == 1  # The next one finds a worker.


async def kill_while_rendering(renderer: rendering.Renderer, times: int) -> None:
    """SIGKILL the worker as soon as it is there, that many times, each time another one."""
    killed: set[int] = set()
    async with asyncio.timeout(20):
        while len(killed) < times:
            pid = renderer.worker_pid
            if pid is not None and pid not in killed and renderer.busy:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            await asyncio.sleep(0)


async def test_a_worker_killed_once_in_the_middle_costs_nothing(renderer: rendering.Renderer, tmp_path: Path) -> None:
    await renderer.warm()
    render = asyncio.create_task(
        renderer.render(a_job(tmp_path, "{{ range until 3000 }}{{ range until 3000 }}{{ end }}{{ end }}" + OBJECT))
    )
    await kill_while_rendering(renderer, 1)
    assert len((await render).manifests) == 1


async def test_a_worker_killed_twice_is_said_and_the_next_one_renders(
    renderer: rendering.Renderer, tmp_path: Path
) -> None:
    render = asyncio.create_task(renderer.render(a_job(tmp_path, SLOW)))
    await kill_while_rendering(renderer, 2)
    with pytest.raises(kernel_errors.Unavailable):
        await render
    assert len((await renderer.render(a_job(tmp_path, OBJECT))).manifests) == 1


async def test_a_request_given_up_leaves_no_answer_for_the_next(renderer: rendering.Renderer, tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await renderer.render(a_job(tmp_path, SLOW))
    output = await renderer.render(a_job(tmp_path, OBJECT.replace("name: x", "name: mine")))
    assert output.manifests[0]["metadata"] == {"name": "mine"}


async def test_requests_at_once_each_get_their_own_answer(renderer: rendering.Renderer, tmp_path: Path) -> None:
    job = a_job(tmp_path, OBJECT + "data: {number: {{ .Values.n | quote }}}")
    jobs = [rendering.Job(job.archive, {"n": n}, "demo-1", "ns") for n in range(20)]
    outputs = await asyncio.gather(*(renderer.render(each) for each in jobs))
    assert [output.manifests[0]["data"]["number"] for output in outputs] == [str(n) for n in range(20)]  # type: ignore[index]


async def test_an_idle_worker_ends_and_comes_back_when_needed(tmp_path: Path) -> None:
    clock = ManualClock()
    renderer = rendering.Renderer(LIMITS, clock=clock)
    job = a_job(tmp_path, OBJECT)
    await renderer.render(job)
    pid = renderer.worker_pid
    assert pid is not None
    await asyncio.sleep(0)  # The one who waits for idleness begins to.
    await clock.advance(timedelta(seconds=LIMITS.idle_seconds))
    pidfd = os.pidfd_open(pid)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(pidfd, ended.set)
    async with asyncio.timeout(10):
        await ended.wait()
    asyncio.get_running_loop().remove_reader(pidfd)
    os.close(pidfd)
    assert len((await renderer.render(job)).manifests) == 1
    await renderer.close()


async def test_a_worker_has_no_network_where_the_machine_allows_that(renderer: rendering.Renderer) -> None:
    await renderer.warm()
    interfaces = await asyncio.to_thread(_interfaces, renderer.worker_pid)
    assert [line.split(":")[0].strip() for line in interfaces] == ["lo"]


def test_a_worker_whose_portal_was_killed_does_not_spin_for_ever(tmp_path: Path) -> None:
    job = a_job(tmp_path, SLOW)
    frame = frames.pack(
        {
            "archive": str(job.archive),
            "values": {},
            "name": "demo-1",
            "namespace": "ns",
            "revision": 1,
            "upgrade": False,
        }
    )
    command = [sys.executable, "-I", "-m", "etabli.catalog.worker", "256", "1", "1"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdin is not None
        process.stdin.write(frame)
        process.stdin.close()
        assert process.wait(timeout=30) != 0


def _interfaces(pid: int | None) -> list[str]:
    return Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
