"""Rendered manifests read into a plan, or refused by name. Pure: nothing is started, nothing is left.

Everything of a request is checked here, before anything starts: kinds, keys (`tables`), names, references between objects, images, and
that each Ingress claims a host that is its own. Hook objects of helm's tests are left out; other hooks are refused, for nothing here
runs at their moment.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from etabli.engines import contract
from etabli.engines.process import containers, models, objects, pods, reading, tables
from etabli.engines.process.reading import Node
from etabli.kernel import errors

MAX_OBJECTS = 500
MAX_PODS = 50  # Of one service; past that a chart means a cluster.
HOOK = "helm.sh/hook"
_PATTERN_LETTERS = frozenset(
    "*()[]^$|?+\\{} \"'"
)  # In an Ingress path: a pattern, which the front door does not follow.


@dataclass(frozen=True)
class _Found:
    """A request's objects by kind, in their order."""

    by_kind: Mapping[str, Sequence[Node]] = field(default_factory=dict)

    def of(self, kind: str) -> Sequence[Node]:
        return self.by_kind.get(kind, ())


def plan(request: contract.ApplyRequest) -> models.Plan:
    """What the request runs. Refused, Invalid or NotFound, naming the path, where it cannot."""
    found = _sort(request)
    known = objects.Objects(
        secrets={_name(node): objects.secret_data(node) for node in found.of("Secret")},
        config_maps={_name(node): objects.config_data(node) for node in found.of("ConfigMap")},
        claims={_name(node): objects.claim_bytes(node.node("spec")) for node in found.of("PersistentVolumeClaim")},
        images=request.images,
        namespace=request.project.namespace,
    )
    workloads = tuple(
        _workload(node, models.Workload(kind), known, request)
        for kind in (models.Workload.STATEFUL_SET, models.Workload.DEPLOYMENT, models.Workload.JOB)
        for node in found.of(kind)
    )
    services = tuple(_service(node) for node in found.of("Service"))
    made = models.Plan(
        service_id=request.service_id,
        project=request.project,
        release=request.release,
        revision=request.revision,
        workloads=workloads,
        services=services,
        routes=tuple(_routes(found.of("Ingress"), services, request.hosts)),
        claims={**known.claims, **_template_claims(workloads)},
    )
    _check_whole(made)
    return made


def _sort(request: contract.ApplyRequest) -> _Found:
    by_kind: dict[str, list[Node]] = {}
    seen: set[tuple[str, str]] = set()
    for node in _flat(request.manifests):
        kind, metadata = node.text("kind"), node.node("metadata")
        name = reading.check_name(metadata.text("name"), "metadata.name", reading.SUBDOMAIN)
        if _is_test(metadata):
            continue
        if not tables.check_kind(kind, name):
            continue
        if metadata.text("namespace", request.project.namespace) != request.project.namespace:
            raise tables.refusal("metadata.namespace", "a service lives in its project's namespace", name=name)
        if (kind, name) in seen:
            raise errors.Invalid(f"two objects are {kind} `{name[:60]}`", fields={"metadata.name": "used twice"})
        seen.add((kind, name))
        by_kind.setdefault(kind, []).append(node)
    return _Found(by_kind)


def _flat(manifests: Iterable[contract.Manifest]) -> Sequence[Node]:
    """Every object, those inside a `List` too."""
    nodes: list[Node] = []
    for manifest in manifests:
        node = reading.as_node(manifest, "")
        nodes.extend([Node(item.content) for item in node.nodes("items")] if node.text("kind") == "List" else [node])
    if len(nodes) > MAX_OBJECTS:
        raise reading.wrong("manifests", len(nodes), f"a list of at most {MAX_OBJECTS} objects")
    return nodes


def _is_test(metadata: Node) -> bool:
    """Whether it is one of helm's tests. Refused where it is another kind of hook."""
    hook = metadata.node("annotations").content.get(HOOK)
    if not hook:
        return False
    if str(hook).split(",")[0].strip() in ("test", "test-success", "test-failure"):
        return True
    raise tables.refusal(f"metadata.annotations.{HOOK}: {str(hook)[:40]}", "hooks are not run, but for helm's tests")


def _name(node: Node) -> str:
    return node.node("metadata").text("name")


def _workload(
    node: Node, kind: models.Workload, known: objects.Objects, request: contract.ApplyRequest
) -> models.WorkloadPlan:
    spec, name = node.node("spec").check("workload"), reading.check_name(_name(node), "metadata.name")
    job = kind is models.Workload.JOB
    count = spec.whole("completions", 1, most=MAX_PODS) if job else spec.whole("replicas", 1, most=MAX_PODS)
    template = pods.Template(
        kind=kind,
        node=spec.node("template"),
        claims=_claim_templates(spec),
        subdomain=spec.text("serviceName"),
        tries=spec.whole("backoffLimit", 6) if job else None,
    )
    _check_selector(spec, template, required=not job)
    return models.WorkloadPlan(
        kind=kind,
        name=name,
        pods=tuple(_pod(template, name, index, known, request) for index in range(count)),
        ordered=kind is models.Workload.STATEFUL_SET and spec.text("podManagementPolicy") != "Parallel",
        parallelism=spec.whole("parallelism", 1, least=1) if job else 0,
    )


def _pod(
    template: pods.Template, workload: str, index: int, known: objects.Objects, request: contract.ApplyRequest
) -> models.PodPlan:
    """Names as Kubernetes makes them: an ordinal in a StatefulSet, letters elsewhere; here the letters come from the service's id."""
    digest = hashlib.sha256(f"{request.service_id}/{template.kind}/{workload}/{index}".encode()).hexdigest()
    suffix = str(index) if template.kind is models.Workload.STATEFUL_SET else digest[:5]
    name = f"{workload[: 62 - len(suffix)].rstrip('-')}-{suffix}"
    return pods.read(template, name, known, uid=digest[:32])


def _check_selector(spec: Node, template: pods.Template, *, required: bool) -> None:
    wanted = spec.node("selector").strings("matchLabels")
    if spec.node("selector").has("matchExpressions"):
        raise tables.refusal("spec.selector.matchExpressions", "labels are matched one by one")
    if (required and not wanted) or not wanted.items() <= template.labels.items():
        raise reading.wrong("spec.selector.matchLabels", dict(wanted), "some of the template's labels")


def _claim_templates(spec: Node) -> Mapping[str, int]:
    return {
        template.node("metadata").name("name"): objects.claim_bytes(template.node("spec"))
        for template in spec.nodes("volumeClaimTemplates")
    }


def _template_claims(workloads: Iterable[models.WorkloadPlan]) -> Mapping[str, int]:
    """The claims that volumeClaimTemplates make, one for each pod."""
    return {
        volume.claim: volume.size_bytes or 0
        for workload in workloads
        for pod in workload.pods
        for volume in pod.volumes
        if volume.kind is models.VolumeKind.CLAIM
    }


def _service(node: Node) -> models.ServicePlan:
    spec, name = node.node("spec").check("service"), reading.check_name(_name(node), "metadata.name")
    if spec.text("type") == "ExternalName":
        raise tables.refusal("spec.type: ExternalName", "a name elsewhere is used as it is", name=name)
    selector = spec.strings("selector")
    if not selector:
        raise tables.refusal("spec.selector", "a Service without one needs Endpoints, which nobody makes", name=name)
    return models.ServicePlan(
        name=name,
        selector=selector,
        ports=tuple(_port(port.check("service port")) for port in spec.nodes("ports")),
        headless=spec.text("clusterIP") == "None",
        publish_not_ready=spec.flag("publishNotReadyAddresses"),
    )


def _port(port: Node) -> models.PortPlan:
    containers.check_tcp(port)
    number = port.whole("port", 0, least=1, most=65535)
    target = port.content.get("targetPort")
    named = isinstance(target, str) and not target.isdigit()
    return models.PortPlan(
        port=number,
        target=str(target) if named else containers.resolve_port(port, "targetPort", {}) if target else number,
        name=port.name("name") if port.has("name") else "",
    )


def _routes(
    ingresses: Iterable[Node], services: Sequence[models.ServicePlan], hosts: Sequence[str]
) -> Iterable[models.RoutePlan]:
    known = {service.name: service for service in services}
    seen: set[tuple[str, str]] = set()
    for node in ingresses:
        for rule in node.node("spec").check("ingress").nodes("rules"):
            host = _host(rule.check("rule"), hosts)
            for path in rule.node("http").nodes("paths"):
                route = _route(path.check("ingress path"), host, known)
                if (route.host, route.path) in seen:
                    raise reading.wrong(path.at("path"), route.path, "a path said once for its host")
                seen.add((route.host, route.path))
                yield route


def _host(rule: Node, hosts: Sequence[str]) -> str:
    host = rule.text("host").lower()
    if host in hosts:
        return host
    raise errors.Refused(
        f"the host `{host[:100]}`, at `{rule.at('host')}`, is not one that this service was given",
        hint="leave the host to the lab: its form fills it in",
        path=rule.at("host"),
    )


def _route(node: Node, host: str, known: Mapping[str, models.ServicePlan]) -> models.RoutePlan:
    path = node.text("path") or "/"
    if not path.startswith("/") or len(path) > 1024 or not path.isprintable() or _PATTERN_LETTERS & set(path):
        raise reading.wrong(node.at("path"), path, "a prefix such as `/`")
    if node.text("pathType", "Prefix") == "Exact":
        raise tables.refusal(f"{node.at('pathType')}: Exact", "the front door serves prefixes")
    backend = node.node("backend").node("service")
    service = known.get(backend.text("name"))
    if service is None:
        raise reading.wrong(backend.at("name"), backend.text("name"), "a Service of this release")
    return models.RoutePlan(host=host, path=path, service=service.name, port=_backend_port(backend, service))


def _backend_port(backend: Node, service: models.ServicePlan) -> int:
    port = backend.node("port")
    name, number = port.text("name"), port.whole("number", 0)
    for one in service.ports:
        if (name and one.name == name) or (number and one.port == number):
            return one.port
    raise reading.wrong(backend.at("port"), name or number, f"a port of the Service `{service.name}`")


def _check_whole(made: models.Plan) -> None:
    """What no single object can tell: too many pods, one name for two pods."""
    names = [pod.name for pod in made.pods]
    if len(names) > MAX_PODS:
        raise reading.wrong("manifests", len(names), f"at most {MAX_PODS} pods")
    if len(set(names)) != len(names):
        raise errors.Invalid("two workloads make pods of one name", fields={"metadata.name": "used twice"})
