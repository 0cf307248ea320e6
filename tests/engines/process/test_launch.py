"""From a plan to a sandbox: variables, mounts, limits."""

from pathlib import Path
from typing import Any

import pytest

from etabli.engines.process import launch, manifests, models, variables
from etabli.sandbox import models as sandbox
from tests.engines import charts


def specification(*, root: sandbox.Root | None = None, template: Any = None, **container: Any) -> sandbox.SandboxSpec:
    chart = charts.stateful_set(template or charts.pod(charts.container(**container)))
    pod = manifests.plan(charts.request(chart)).pods[0]
    main, root = pod.containers[0], root or sandbox.Root()
    env = launch.environment(main, pod, root=root, address="10.9.0.2", gateway="10.9.0.1")
    folders = {volume.name: Path("/volumes") / volume.name for volume in pod.volumes}
    return launch.specification(
        main,
        pod,
        id="x",
        root=root,
        env=env,
        folders={**folders, ".home-main": Path("/volumes/home")},
        hosts=Path("/hosts"),
        memory_bytes=0,
    )


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("$(A)-$(B)", "1-$(B)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A ${A} $( A )", "$A ${A} $( A )"),
        ("$", "$"),
        ("$(A", "$(A"),
    ],
)
def test_names_are_replaced_as_kubernetes_does(text: str, expanded: str) -> None:
    assert variables.expand(text, {"A": "1"}) == expanded


def test_variables_see_those_before_them_and_nothing_of_ours() -> None:
    env = [{"name": "B", "value": "$(A)$(PATH)"}, {"name": "A", "value": "1"}, {"name": "C", "value": "$(A)"}]
    made = specification(env=env, root=sandbox.Root(env={"PATH": "/opt/environment/bin", "HOME": "/home/onyxia"}))
    assert made.env == {
        "PATH": "/opt/environment/bin",
        "LANG": "C.UTF-8",
        "HOME": "/home/onyxia",
        "HOSTNAME": "web-0",
        "B": "$(A)$(PATH)",
        "A": "1",
        "C": "1",
    }
    assert made.cwd == "/home/onyxia"


def test_what_is_above_is_mounted_first() -> None:
    template = charts.pod(
        charts.container(
            volumeMounts=[{"name": "b", "mountPath": "/a/b"}, {"name": "a", "mountPath": "/a", "readOnly": True}]
        ),
        volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
    )
    mounts = specification(template=template).mounts
    assert [mount.target for mount in mounts] == ["/a", "/a/b", "/home/etabli", "/run/net"]
    assert [mount.read_only for mount in mounts] == [True, False, False, True]


@pytest.mark.parametrize(("path", "own"), [("/home/onyxia", False), ("/home", False), ("/home/onyxia/work", True)])
def test_the_home_folder_can_always_be_written(path: str, own: bool) -> None:
    container = models.ContainerPlan(
        name="main", image="", digest="", argv=("x",), mounts=(models.MountPlan(volume="v", path=path),)
    )
    assert launch.home_folder(container, "/home/onyxia") is own


def test_memory_that_two_containers_share_is_a_folder() -> None:
    mount = [{"name": "shm", "mountPath": "/dev/shm"}]
    volumes = [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}]
    alone = charts.pod(charts.container(volumeMounts=mount), volumes=volumes)
    assert sandbox.Mount(target="/dev/shm", size_bytes=64 << 20) in specification(template=alone).mounts
    both = charts.pod(
        charts.container(volumeMounts=mount), charts.container(name="other", volumeMounts=mount), volumes=volumes
    )
    assert sandbox.Mount(target="/dev/shm", source=Path("/volumes/shm")) in specification(template=both).mounts


def test_limits_are_the_charts() -> None:
    made = specification(resources={"limits": {"cpu": "1500m", "memory": "2Gi"}})
    assert made.limits == sandbox.Limits(cpu=1.5, memory_bytes=2 << 30)
    assert specification().limits == sandbox.Limits()
