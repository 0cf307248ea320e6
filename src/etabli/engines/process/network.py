"""What a project's network is to look like, from what runs in it: hosts, Services, relays. Pure.

Pods appear in Services once they are ready. An Ingress reaches its Service through a socket that the project's agent owns, named by a
random key: the front door resolves keys under one folder, and no sandbox can write there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from etabli.engines.process import models, ports
from etabli.sandbox import models as sandbox

CREDENTIALS_PORT = 80
PREFACE = "project {project} {{peer}}\n"  # `{peer}` is for the agent to fill.


@dataclass(frozen=True)
class Running:
    """A pod that has an address."""

    plan: models.PodPlan
    address: str
    ready: bool = False
    probes: Mapping[int, Path] = field(default_factory=dict)  # Port → the socket that probes it from outside.


@dataclass(frozen=True)
class View:
    """One service as its project's network sees it."""

    plan: models.Plan
    addresses: Mapping[str, str] = field(default_factory=dict)  # Of its Services that have one, by name.
    sockets: Mapping[str, Path] = field(default_factory=dict)  # Route (`host/path`) → socket of its key.
    pods: tuple[Running, ...] = ()


@dataclass(frozen=True)
class Tables:
    """All that a project's ground is told."""

    hosts: Mapping[str, str]
    services: tuple[sandbox.VirtualService, ...]
    relays: tuple[sandbox.InwardRelay | sandbox.OutwardRelay, ...]


def tables(project_id: str, gateway: str, views: Sequence[View], door: ports.Door) -> Tables:
    """The whole network of a project."""
    hosts = {name: address for view in views for name, address in _names(view)}
    hosts |= {route.host: gateway for view in views for route in view.plan.routes}
    hosts |= dict.fromkeys(door.names, gateway)  # The lab's own names win.
    return Tables(
        hosts=hosts,
        services=tuple(service for view in views for service in _services(view)),
        relays=(
            *_door(project_id, gateway, door),
            *(relay for view in views for relay in _routes(view)),
            *(relay for view in views for relay in _probes(view)),
        ),
    )


def endpoints(service: models.ServicePlan, pods: Iterable[Running]) -> tuple[Running, ...]:
    """The pods behind a Service now."""
    return tuple(
        pod
        for pod in pods
        if (pod.ready or service.publish_not_ready) and service.selector.items() <= pod.plan.labels.items()
    )


def _names(view: View) -> Iterator[tuple[str, str]]:
    for service in view.plan.services:
        behind = endpoints(service, view.pods)
        address = view.addresses.get(service.name) or (behind[0].address if behind else "")
        if address:
            yield from _each(service.name, address, view.plan)
    for pod in view.pods:
        yield pod.plan.name, pod.address
        if pod.plan.subdomain:
            yield from _each(f"{pod.plan.hostname}.{pod.plan.subdomain}", pod.address, view.plan)


def _each(name: str, address: str, plan: models.Plan) -> Iterator[tuple[str, str]]:
    """A name as short and as long as Kubernetes answers to."""
    inside = f"{name}.{plan.project.namespace}"
    for known in (name, inside, f"{inside}.svc", f"{inside}.svc.cluster.local"):
        yield known, address


def _services(view: View) -> Iterator[sandbox.VirtualService]:
    for service in view.plan.services:
        address = view.addresses.get(service.name)
        if address is None:
            continue
        for port in service.ports:
            yield sandbox.VirtualService(
                address=address, port=port.port, endpoints=_targets(port, endpoints(service, view.pods))
            )


def _targets(port: models.PortPlan, pods: Iterable[Running]) -> tuple[tuple[str, int], ...]:
    found = ((pod.address, _number(port.target, pod.plan)) for pod in pods)
    return tuple((address, number) for address, number in found if number)


def _number(target: int | str, pod: models.PodPlan) -> int:
    """The port's number in this pod; 0 where no container has a port of that name."""
    if isinstance(target, int):
        return target
    return next((one.ports[target] for one in pod.containers if target in one.ports), 0)


def _routes(view: View) -> Iterator[sandbox.InwardRelay]:
    """To a ready pod itself: a headless Service has no address, and one hop less is faster. Without one, nothing listens."""
    services = {service.name: service for service in view.plan.services}
    for route in view.plan.routes:
        service = services[route.service]
        port = next(one for one in service.ports if one.port == route.port)
        targets = _targets(port, endpoints(service, view.pods))
        if len(targets) > 1 and route.service in view.addresses:
            targets = ((view.addresses[route.service], route.port),)
        for address, number in targets[:1]:
            yield sandbox.InwardRelay(socket=view.sockets[route_id(route)], address=address, port=number)


def _probes(view: View) -> Iterator[sandbox.InwardRelay]:
    for pod in view.pods:
        for port, socket in pod.probes.items():
            yield sandbox.InwardRelay(socket=socket, address=pod.address, port=port)


def _door(project_id: str, gateway: str, door: ports.Door) -> Iterator[sandbox.OutwardRelay]:
    if door.front is not None:
        yield sandbox.OutwardRelay(address=gateway, port=door.port, socket=door.front)
    if door.credentials is not None:
        yield sandbox.OutwardRelay(
            address=sandbox.CREDENTIALS_ADDRESS,
            port=CREDENTIALS_PORT,
            socket=door.credentials,
            preface=PREFACE.format(project=project_id),
        )


def route_id(route: models.RoutePlan) -> str:
    """What names a route in a service's record."""
    return f"{route.host}{route.path}"
