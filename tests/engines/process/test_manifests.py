"""Manifests become a plan, or are refused by name."""

import base64
from collections.abc import Callable
from typing import Any

import pytest

from etabli.engines import contract
from etabli.engines.process import manifests, models
from etabli.kernel import errors
from tests.engines import charts
from tests.engines.charts import Object


def planned(*objects: Object, **more: Any) -> models.Plan:
    return manifests.plan(charts.request(*objects, **more))


def main_of(plan: models.Plan) -> models.ContainerPlan:
    return plan.pods[0].containers[0]


def test_what_a_chart_renders_becomes_a_plan() -> None:
    plan = planned()
    assert [pod.name for pod in plan.pods] == ["web-0"]
    assert main_of(plan).digest == charts.DIGEST
    assert plan.routes == (models.RoutePlan(host=charts.HOST, path="/", service="web", port=80),)
    assert plan.services[0].ports == (models.PortPlan(port=80, target="http", name="http"),)
    readiness = main_of(plan).readiness
    assert readiness is not None
    assert readiness.check.http_port == 8080


def test_a_plan_does_not_change_when_it_is_made_again() -> None:
    assert planned() == planned()
    assert models.generation(planned().pods[0]) == models.generation(planned().pods[0])


def test_pods_of_a_deployment_keep_their_names_over_restarts() -> None:
    deployment = charts.workload("Deployment", charts.pod(), replicas=3)
    names = [pod.name for pod in planned(deployment).pods]
    assert len(set(names)) == 3
    assert names == [pod.name for pod in planned(deployment).pods]
    assert all(name.startswith("web-") for name in names)


def test_limits_stand_for_requests_that_are_not_said() -> None:
    resources = {"requests": {"cpu": "500m"}, "limits": {"cpu": 2, "memory": "2Gi"}}
    main = main_of(planned(charts.stateful_set(charts.pod(charts.container(resources=resources)))))
    assert main.requests == contract.Resources(cpu=0.5, memory_bytes=2 << 30)
    assert main.limits == contract.Resources(cpu=2, memory_bytes=2 << 30)


def test_a_pod_reserves_its_containers_together_or_its_greediest_init() -> None:
    small = {"requests": {"cpu": 1, "memory": "1Gi"}}
    big = {"requests": {"cpu": 1, "memory": "4Gi"}}
    mains = [charts.container(name=name, resources=small) for name in ("a", "b")]
    init = charts.container(name="init", resources=big)
    plan = planned(charts.stateful_set(charts.pod(*mains, initContainers=[init]), replicas=2))
    assert plan.requests == contract.Resources(cpu=4, memory_bytes=8 << 30)


def secret(**data: str) -> Object:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "data": encoded}


def config(**data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "conf"}, "data": data}


def test_variables_come_from_secrets_config_maps_and_fields_in_the_order_of_kubernetes() -> None:
    main = charts.container(
        envFrom=[{"secretRef": {"name": "keys"}}, {"prefix": "C_", "configMapRef": {"name": "conf"}}],
        env=[
            {"name": "A", "value": "over"},
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "B"}}},
            {"name": "NONE", "valueFrom": {"secretKeyRef": {"name": "other", "key": "B", "optional": True}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "APP", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
            {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
            {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
        ],
        resources={"limits": {"cpu": "1500m"}},
    )
    plan = planned(secret(A="first", B="s3cr$(A)t"), config(x="1"), charts.stateful_set(charts.pod(main)))
    env = {variable.name: variable for variable in main_of(plan).env}
    assert list(env) == ["B", "C_x", "A", "KEY", "POD", "APP", "IP", "CPU"]
    assert env["A"].value == "over"
    assert env["KEY"] == models.EnvVar(name="KEY", value="s3cr$(A)t", literal=True)
    assert (env["POD"].value, env["APP"].value, env["CPU"].value) == ("web-0", "web", "2")
    assert env["IP"].field is models.Field.POD_IP


def test_files_of_secrets_have_their_modes_and_chosen_paths() -> None:
    volumes = [
        {"name": "all", "secret": {"secretName": "keys", "defaultMode": 0o400}},
        {"name": "one", "configMap": {"name": "conf", "items": [{"key": "x", "path": "etc/x.conf"}]}},
        {"name": "both", "projected": {"sources": [{"secret": {"name": "keys"}}, {"configMap": {"name": "conf"}}]}},
    ]
    mounts = [{"name": volume["name"], "mountPath": f"/mnt/{volume['name']}"} for volume in volumes]
    template = charts.pod(charts.container(volumeMounts=mounts), volumes=volumes)
    pod = planned(secret(id="k"), config(x="1"), charts.stateful_set(template)).pods[0]
    found = {volume.name: [(file.path, file.content, file.mode) for file in volume.files] for volume in pod.volumes}
    assert found == {
        "all": [("id", b"k", 0o400)],
        "one": [("etc/x.conf", b"1", 0o644)],
        "both": [("id", b"k", 0o644), ("x", b"1", 0o644)],
    }


def test_each_pod_has_a_claim_of_its_own() -> None:
    claim = {"metadata": {"name": "home"}, "spec": {"resources": {"requests": {"storage": "10Gi"}}}}
    main = charts.container(volumeMounts=[{"name": "home", "mountPath": "/home/onyxia/work"}])
    plan = planned(charts.stateful_set(charts.pod(main), replicas=2, volumeClaimTemplates=[claim]))
    assert plan.claims == {"home-web-0": 10 << 30, "home-web-1": 10 << 30}


def test_what_has_no_effect_here_is_taken() -> None:
    objects = [
        {"kind": kind, "metadata": {"name": "x"}, "spec": {}}
        for kind in ("ServiceAccount", "RoleBinding", "NetworkPolicy", "PodDisruptionBudget")
    ]
    test = {"kind": "Pod", "metadata": {"name": "test", "annotations": {"helm.sh/hook": "test"}}}
    template = charts.pod(
        nodeSelector={"gpu": "yes"}, tolerations=[{}], hostNetwork=False, securityContext={"fsGroup": 100}
    )
    assert len(planned(charts.stateful_set(template), *objects, test).pods) == 1


def test_lists_are_read_as_what_they_hold() -> None:
    assert len(planned({"kind": "List", "items": charts.web()}).pods) == 1


# --- refused by name ---------------------------------------------------------------------------------------------------


def in_pod(**spec: Any) -> list[Object]:
    return [charts.stateful_set(charts.pod(**spec))]


def in_container(**spec: Any) -> list[Object]:
    return [charts.stateful_set(charts.pod(charts.container(**spec)))]


def named(kind: str, **more: Any) -> list[Object]:
    return [{"kind": kind, "metadata": {"name": "x", **more.pop("metadata", {})}, **more}]


def volume(**source: Any) -> list[Object]:
    return in_pod(volumes=[{"name": "v", **source}])


REFUSED = {
    "spec.template.spec.hostNetwork": in_pod(hostNetwork=True),
    "spec.template.spec.hostPID": in_pod(hostPID=True),
    "spec.template.spec.volumes[0].hostPath": volume(hostPath={"path": "/"}),
    "spec.template.spec.containers[0].securityContext.privileged": in_container(securityContext={"privileged": True}),
    "spec.template.spec.containers[0].securityContext.capabilities.add": in_container(
        securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}
    ),
    "spec.template.spec.containers[0].ports[0].hostPort": in_container(ports=[{"containerPort": 1, "hostPort": 1}]),
    "spec.template.spec.containers[0].ports[0].protocol: UDP": in_container(
        ports=[{"containerPort": 1, "protocol": "UDP"}]
    ),
    "spec.template.spec.containers[0].lifecycle": in_container(lifecycle={"postStart": {}}),
    "spec.template.spec.containers[0].resources.limits.nvidia.com/gpu": in_container(
        resources={"limits": {"nvidia.com/gpu": 1}}
    ),
    "spec.template.spec.surprise": in_pod(surprise={}),
    "spec.template.spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: spec.secret": in_container(
        env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.secret"}}}]
    ),
    "kind: DaemonSet": named("DaemonSet"),
    "kind: CronJob": named("CronJob"),
    "kind: Pod": named("Pod"),
    "kind: CustomResourceDefinition": named("CustomResourceDefinition"),
    "kind: Cluster": named("Cluster", apiVersion="postgresql.cnpg.io/v1"),
    "metadata.namespace": named("Secret", metadata={"namespace": "kube-system"}),
    "metadata.annotations.helm.sh/hook: pre-install": named(
        "Job", metadata={"annotations": {"helm.sh/hook": "pre-install"}}
    ),
    "spec.type: ExternalName": [charts.service(type="ExternalName")],
    "spec.externalIPs": [charts.service(externalIPs=["192.0.2.1"])],
    "spec.rules[0].host": [charts.stateful_set(), charts.service(), charts.ingress("portal.etabli.localhost")],
}


@pytest.mark.parametrize(("path", "objects"), REFUSED.items(), ids=REFUSED.keys())
def test_a_chart_that_needs_a_cluster_is_refused_by_name(path: str, objects: list[Object]) -> None:
    with pytest.raises(errors.Refused) as refusal:
        planned(*objects)
    assert f"`{path}`" in refusal.value.message
    assert refusal.value.hint


def test_an_image_without_an_environment_is_refused_by_name() -> None:
    with pytest.raises(errors.NotFound, match="etabli/test"):
        planned(images={})


# --- wrong by name -----------------------------------------------------------------------------------------------------


def mounted(**mount: Any) -> list[Object]:
    return [
        charts.stateful_set(
            charts.pod(
                charts.container(volumeMounts=[{"name": "v", "mountPath": "/mnt", **mount}]),
                volumes=[{"name": mount.get("name", "v"), "emptyDir": {}}],
            )
        )
    ]


def renamed(name: str) -> list[Object]:
    return [charts.workload("StatefulSet", charts.pod(), name=name)]


def config_volume(**item: Any) -> list[Object]:
    return [config(x="1"), *volume(configMap={"name": "conf", "items": [{"key": "x", "path": "x", **item}]})]


WRONG: dict[str, list[Object]] = {
    "a name of 10,000 characters": renamed("x" * 10_000),
    "a name with quotes": renamed("x'\"; rm"),
    "a name of another alphabet": renamed("été"),
    "a name that climbs": renamed("../../etc"),
    "no name": [{"kind": "Secret"}],
    "no kind of text": [{"kind": ["Secret"], "metadata": {"name": "x"}}],
    "a volume that climbs": mounted(name="../v"),
    "a subPath that climbs": mounted(subPath="a/../../b"),
    "an absolute subPath": mounted(subPath="/etc"),
    "a mount over the system": mounted(mountPath="/usr"),
    "a mount over the root": mounted(mountPath="//./"),
    "a mount in /proc": mounted(mountPath="/proc/1"),
    "a mount that climbs": mounted(mountPath="/mnt/../etc"),
    "a volume that is not there": in_container(volumeMounts=[{"name": "v", "mountPath": "/mnt"}]),
    "an item that climbs": config_volume(path="../../x"),
    "an absolute item": config_volume(path="/x"),
    "an item without a key": config_volume(key="y"),
    "an item of a strange mode": config_volume(mode=0o4755),
    "a ConfigMap's key that climbs": [config(**{"../x": "1"})],
    "a ConfigMap's key of dots": [config(**{"..": "1"})],
    "a Secret that is no base64": [{"kind": "Secret", "metadata": {"name": "x"}, "data": {"a": "é"}}],
    "a Secret of 2 MiB": [{"kind": "Secret", "metadata": {"name": "x"}, "stringData": {"a": "x" * (2 << 20)}}],
    "another release's Secret": in_container(envFrom=[{"secretRef": {"name": "theirs"}}]),
    "another release's claim": volume(persistentVolumeClaim={"claimName": "theirs"}),
    "a variable with =": in_container(env=[{"name": "A=B", "value": "x"}]),
    "a zero byte in a variable": in_container(env=[{"name": "A", "value": "x\0y"}]),
    "a quantity of nothing": in_container(resources={"limits": {"memory": "lots"}}),
    "a negative quantity": in_container(resources={"limits": {"memory": "-1Gi"}}),
    "a million replicas": [charts.stateful_set(replicas=1_000_000)],
    "replicas of text": [charts.stateful_set(replicas="two")],
    "containers of text": [charts.stateful_set({"spec": {"containers": "web"}})],
    "no containers": [charts.stateful_set({"metadata": {"labels": {"app": "web"}}, "spec": {}})],
    "a container without a command": [charts.stateful_set(charts.pod({"name": "a", "image": charts.IMAGE}))],
    "two containers of one name": [charts.stateful_set(charts.pod(charts.container(), charts.container()))],
    "a selector of others": [charts.workload("StatefulSet", charts.pod(), selector={"matchLabels": {"app": "x"}})],
    "a Job that never ends": [charts.workload("Job", charts.pod(restartPolicy="Always"))],
    "two objects of one name": [charts.service(), charts.service()],
    "an Ingress to no Service": [charts.stateful_set(), charts.ingress()],
    "an Ingress of a pattern": [charts.stateful_set(), charts.service(), charts.ingress(path="/(.*)")],
    "a probe of a port that is not named": in_container(readinessProbe={"httpGet": {"port": "web"}}),
    "a probe of port 0": in_container(readinessProbe={"tcpSocket": {"port": 0}}),
    "a probe of nothing": in_container(readinessProbe={}),
    "a header that smuggles": in_container(
        readinessProbe={"httpGet": {"port": 80, "httpHeaders": [{"name": "A", "value": "x\r\nHost: y"}]}}
    ),
    "a path that smuggles": in_container(readinessProbe={"httpGet": {"port": 80, "path": "/ HTTP/1.1\r\nHost: y"}}),
    "600 objects": [*(named("Secret", metadata={"name": f"s{number}"})[0] for number in range(600))],
}


@pytest.mark.parametrize("objects", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_manifest_is_one_clear_error(objects: list[Object]) -> None:
    with pytest.raises(errors.Invalid) as refusal:
        planned(*objects)
    assert refusal.value.fields
    assert len(refusal.value.message) < 500


def test_a_message_never_holds_a_secret() -> None:
    main = charts.container(envFrom=[{"secretRef": {"name": "keys"}}], surprise=1)
    with pytest.raises(errors.Refused) as refusal:
        planned(secret(A="hunter2"), charts.stateful_set(charts.pod(main)))
    assert "hunter2" not in refusal.value.message + str(refusal.value.hint)


def test_a_message_never_holds_a_secret_of_the_wrong_type() -> None:
    with pytest.raises(errors.Invalid) as refusal:
        planned({"kind": "Secret", "metadata": {"name": "x"}, "stringData": {"password": 123456}})
    assert "123456" not in refusal.value.message


@pytest.mark.parametrize("make", [charts.web, lambda: in_pod(restartPolicy="Always")])
def test_null_is_absent(make: Callable[[], list[Object]]) -> None:
    objects = make()
    objects[0]["spec"]["template"]["spec"] |= {"initContainers": None, "volumes": None, "securityContext": None}
    assert planned(*objects)
