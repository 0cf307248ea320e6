"""What a project's network is told, from what runs in it."""

from pathlib import Path
from typing import Any

from etabli.engines.process import manifests, network, ports
from etabli.sandbox import models as sandbox
from tests.engines import charts

SOCKET = Path("/run/up/key")


def view(*ready: bool, headless: bool = False, **service: Any) -> network.View:
    """A service of one pod for each value, which says whether it is ready."""
    spec: dict[str, Any] = {"clusterIP": "None"} if headless else {}
    chart = [charts.stateful_set(replicas=len(ready)), charts.service(**spec, **service), charts.ingress()]
    plan = manifests.plan(charts.request(*chart))
    pods = tuple(
        network.Running(pod, f"10.9.0.{number}", ready=is_ready)
        for number, (pod, is_ready) in enumerate(zip(plan.pods, ready, strict=True), start=2)
    )
    addresses = {} if headless else {"web": "10.9.1.1"}
    return network.View(plan=plan, addresses=addresses, sockets={f"{charts.HOST}/": SOCKET}, pods=pods)


def tables(*views: network.View, door: ports.Door | None = None) -> network.Tables:
    return network.tables("prj", "10.9.0.1", views, door or ports.Door())


def test_only_ready_pods_are_behind_a_service() -> None:
    assert tables(view(True, False)).services == (
        sandbox.VirtualService(address="10.9.1.1", port=80, endpoints=(("10.9.0.2", 8080),)),
    )
    assert tables(view(False, False)).services[0].endpoints == ()
    assert len(tables(view(False, False, publishNotReadyAddresses=True)).services[0].endpoints) == 2


def test_a_route_is_there_once_somebody_answers() -> None:
    assert tables(view(False)).relays == ()
    assert tables(view(True)).relays == (sandbox.InwardRelay(socket=SOCKET, address="10.9.0.2", port=8080),)
    assert tables(view(True, True)).relays == (sandbox.InwardRelay(socket=SOCKET, address="10.9.1.1", port=80),)
    assert tables(view(True, True, headless=True)).relays[0].port == 8080


def test_names_are_those_of_kubernetes() -> None:
    hosts = tables(view(True)).hosts
    for name in ("web", "web.user-alice", "web.user-alice.svc", "web.user-alice.svc.cluster.local"):
        assert hosts[name] == "10.9.1.1"
    assert hosts["web-0"] == hosts["web-0.web"] == hosts["web-0.web.user-alice.svc.cluster.local"] == "10.9.0.2"
    assert hosts[charts.HOST] == "10.9.0.1"  # As from outside: through the front door.


def test_a_headless_service_resolves_to_a_ready_pod() -> None:
    assert tables(view(False, True, headless=True)).hosts["web"] == "10.9.0.3"
    assert "web" not in tables(view(False, headless=True)).hosts


def test_the_lab_has_the_same_addresses_inside() -> None:
    door = ports.Door(
        names=("lab", "s3.lab"), port=8443, front=Path("/run/front.sock"), credentials=Path("/run/credentials.sock")
    )
    told = tables(door=door)
    assert told.hosts == {"lab": "10.9.0.1", "s3.lab": "10.9.0.1"}
    assert told.relays == (
        sandbox.OutwardRelay(address="10.9.0.1", port=8443, socket=Path("/run/front.sock")),
        sandbox.OutwardRelay(
            address="169.254.170.2",
            port=80,
            socket=Path("/run/credentials.sock"),
            preface="project prj {peer}\n",
        ),
    )
