"""A container of a pod template read into a plan: command, variables, resources, probes, mounts. Pure.

Defaults are Kubernetes' own, but where noted. Nothing here looks at the machine: whether an id or a limit can hold is the sandbox's
matter, and said in the engine's capabilities.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from etabli.engines import contract
from etabli.engines.process import models, objects, reading, tables
from etabli.engines.process.reading import Node

_NAME = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]{0,254}")
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']{1,317})'\]")
_STARTED = {field.value: field for field in models.Field}
# Places that are the sandbox's own; below them a chart may mount.
_RESERVED = (
    "/",
    "/proc",
    "/dev",
    "/sys",
    "/run",
    "/run/net",
    "/etc",
    "/etc/hosts",
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/sbin",
)


@dataclass(frozen=True)
class Identity:
    """What a pod may be told about itself."""

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    service_account: str = "default"
    uid: str = ""


@dataclass(frozen=True)
class Reader:
    """Reads the containers of one pod."""

    known: objects.Objects
    pod: Identity

    def read(self, node: Node) -> models.ContainerPlan:
        """One container. Refused, Invalid or NotFound, naming the path."""
        node.check("container")
        security = node.node("securityContext").check("container security")
        security.node("capabilities").check("capabilities")
        image = node.text("image")
        resources = _Resources.read(node.node("resources"))
        ports = _ports(node)
        return models.ContainerPlan(
            name=node.name("name"),
            image=image,
            digest=self.known.digest(image, node.at("image")),
            argv=_argv(node),
            env=self._env(node, resources),
            cwd=_absolute(node, "workingDir") if node.has("workingDir") else "",
            mounts=tuple(_mount(mount.check("mount")) for mount in node.nodes("volumeMounts")),
            requests=resources.requests,
            limits=resources.limits,
            ports=ports,
            startup=_probe(node, "startupProbe", ports),
            readiness=_probe(node, "readinessProbe", ports),
            liveness=_probe(node, "livenessProbe", ports),
        )

    def _env(self, node: Node, resources: "_Resources") -> tuple[models.EnvVar, ...]:
        """`envFrom` first, then `env` over it: a later variable of the same name replaces the earlier one."""
        found: dict[str, models.EnvVar] = {}
        for source in node.nodes("envFrom"):
            found |= {variable.name: variable for variable in self._env_from(source.check("env from"))}
        for item in node.nodes("env"):
            name = item.check("env").name("name", _NAME)
            variable = self._variable(item, name, resources)
            found.pop(name, None)  # Its place is where it was said last: `$(NAME)` sees those before.
            if variable is not None:
                found[name] = variable
        return tuple(found.values())

    def _env_from(self, source: Node) -> Iterator[models.EnvVar]:
        prefix = source.text("prefix")
        for key, kind in (("secretRef", "Secret"), ("configMapRef", "ConfigMap")):
            if not source.has(key):
                continue
            reference = source.node(key)
            data = self.known.files(
                kind, reference.text("name"), reference.at("name"), optional=reference.flag("optional")
            )
            for name, content in (data or {}).items():
                if _NAME.fullmatch(prefix + name):  # Kubernetes leaves out what cannot name a variable.
                    yield models.EnvVar(name=prefix + name, value=_value(content, reference.path), literal=True)

    def _variable(self, item: Node, name: str, resources: "_Resources") -> models.EnvVar | None:
        if not item.has("valueFrom"):
            return models.EnvVar(name=name, value=item.text("value"))
        source = item.node("valueFrom").check("value from")
        for key, kind in (("secretKeyRef", "Secret"), ("configMapKeyRef", "ConfigMap")):
            if source.has(key):
                content = self.known.value(kind, source.node(key))
                value = None if content is None else _value(content, source.at(key))
                return None if value is None else models.EnvVar(name=name, value=value, literal=True)
        if source.has("fieldRef"):
            return self._field(source.node("fieldRef"), name)
        return models.EnvVar(name=name, value=resources.field(source.node("resourceFieldRef")), literal=True)

    def _field(self, reference: Node, name: str) -> models.EnvVar:
        path = reference.text("fieldPath")
        if path in _STARTED:
            return models.EnvVar(name=name, field=_STARTED[path])
        known = {
            "metadata.name": self.pod.name,
            "metadata.namespace": self.pod.namespace,
            "metadata.uid": self.pod.uid,
            "spec.serviceAccountName": self.pod.service_account,
            "spec.nodeName": "localhost",
        }
        if match := _SUBSCRIPT.fullmatch(path):
            known[path] = (self.pod.labels if match[1] == "labels" else self.pod.annotations).get(match[2], "")
        if path not in known:
            raise tables.refusal(f"{reference.at('fieldPath')}: {path[:60]}", tables.UNKNOWN)
        return models.EnvVar(name=name, value=known[path], literal=True)


@dataclass(frozen=True)
class _Resources:
    requests: contract.Resources
    limits: contract.Resources

    @classmethod
    def read(cls, node: Node) -> "_Resources":
        """A limit without a request is also the request (Kubernetes' rule)."""
        node.check("resources")
        limits, requests = _amounts(node.node("limits")), _amounts(node.node("requests"))
        both = {**limits, **requests}
        return cls(
            requests=contract.Resources(cpu=both.get("cpu", 0.0), memory_bytes=int(both.get("memory", 0))),
            limits=contract.Resources(cpu=limits.get("cpu", 0.0), memory_bytes=int(limits.get("memory", 0))),
        )

    def field(self, reference: Node) -> str:
        """A `resourceFieldRef`: whole units of its divisor, rounded up."""
        path = reference.text("resource")
        known = {
            "limits.cpu": self.limits.cpu,
            "limits.memory": self.limits.memory_bytes,
            "requests.cpu": self.requests.cpu,
            "requests.memory": self.requests.memory_bytes,
        }
        if path not in known:
            raise tables.refusal(f"{reference.at('resource')}: {path[:60]}", tables.UNKNOWN)
        divisor = (reference.quantity("divisor") if reference.has("divisor") else 0) or 1
        return str(-int(-known[path] // divisor))


def _argv(node: Node) -> tuple[str, ...]:
    """Command then arguments. An environment has no entry point of its own: one of the two must be there."""
    argv = (*node.texts("command"), *node.texts("args"))
    if not argv or not argv[0]:
        raise reading.wrong(node.at("command"), None, "said, and an environment has no command of its own")
    return argv


def _amounts(node: Node) -> dict[str, float]:
    node.check("quantity")
    return {key: node.quantity(key) for key in node.content if node.has(key)}


def _ports(node: Node) -> Mapping[str, int]:
    named: dict[str, int] = {}
    for port in node.nodes("ports"):
        check_tcp(port.check("port"))
        number = port.whole("containerPort", 0, least=1, most=65535)
        if port.has("name"):
            named[port.name("name")] = number
    return named


def check_tcp(port: Node) -> None:
    """Refuse a protocol other than TCP: what relays do not carry."""
    if port.text("protocol", "TCP") != "TCP":
        raise tables.refusal(f"{port.at('protocol')}: {port.text('protocol')[:60]}", "relays carry TCP alone")


def _mount(mount: Node) -> models.MountPlan:
    sub_path = mount.text("subPath")
    return models.MountPlan(
        volume=mount.name("name"),
        path=_absolute(mount, "mountPath"),
        sub_path=reading.check_inner_path(sub_path, mount.at("subPath")) if sub_path else "",
        read_only=mount.flag("readOnly"),
    )


def _absolute(node: Node, key: str) -> str:
    text = node.text(key)
    path = "/" + "/".join(part for part in text.split("/") if part not in ("", "."))
    if not text.startswith("/") or ".." in text.split("/") or len(text) > 4096 or ":" in text:
        raise reading.wrong(node.at(key), text, "an absolute path without `..`")
    reserved = path in _RESERVED or path.startswith(("/proc/", "/sys/", "/dev/", "/run/net/"))
    if (
        key == "mountPath" and reserved and path != "/dev/shm"
    ):  # There charts give memory-hungry tools more shared memory.
        raise reading.wrong(node.at(key), text, "a place that a volume may take")
    return path


def _probe(node: Node, key: str, ports: Mapping[str, int]) -> models.ProbePlan | None:
    if not node.has(key):
        return None
    probe = node.node(key).check("probe")
    return models.ProbePlan(
        check=_check(probe, ports),
        initial_delay=probe.whole("initialDelaySeconds", 0),
        period=probe.whole("periodSeconds", 10) or 10,
        timeout=probe.whole("timeoutSeconds", 1) or 1,
        failure_threshold=probe.whole("failureThreshold", 3) or 3,
        success_threshold=probe.whole("successThreshold", 1) or 1,
    )


def _check(probe: Node, ports: Mapping[str, int]) -> models.Check:
    if probe.has("httpGet"):
        http = probe.node("httpGet").check("http")
        headers = tuple((header.text("name"), header.text("value")) for header in http.nodes("httpHeaders"))
        if any("\r" in text or "\n" in text for pair in headers for text in pair):
            raise reading.wrong(http.at("httpHeaders"), headers, "headers of one line")
        path = http.text("path") or "/"
        if not path.startswith("/") or any(ord(letter) <= 32 for letter in path):
            path = reading.check_name(path, http.at("path"), re.compile(r"/[!-~]*"))
        return models.Check(
            http_port=resolve_port(http, "port", ports),
            http_path=path,
            http_headers=headers,
            https=http.text("scheme", "HTTP").upper() == "HTTPS",
        )
    if probe.has("tcpSocket"):
        return models.Check(tcp_port=resolve_port(probe.node("tcpSocket").check("tcp"), "port", ports))
    command = probe.node("exec").check("exec").texts("command")
    if not command:
        raise reading.wrong(probe.path, None, "a probe of `httpGet`, `tcpSocket` or `exec`")
    return models.Check(command=command)


def resolve_port(node: Node, key: str, ports: Mapping[str, int]) -> int:
    """A port said by number or by the name of a container's port."""
    value = node.content.get(key)
    if isinstance(value, str) and not value.isdigit():
        if value in ports:
            return ports[value]
        raise reading.wrong(node.at(key), value, "the name of one of the container's ports")
    return Node({key: int(value) if isinstance(value, str) else value}, node.path).whole(key, 0, least=1, most=65535)


def _value(content: bytes, path: str) -> str:
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise reading.wrong(path, "bytes", "text, as a variable must be") from error
    if "\0" in text:
        raise reading.wrong(path, "bytes", "text without a zero byte, as a variable must be")
    return text
