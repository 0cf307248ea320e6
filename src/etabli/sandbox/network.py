"""The network of a project: a bridge in a router namespace, one cable to each pod, and packet filter rules.

Every address of a pod's traffic beyond the bridge is replaced by the router's. A Service's address is on no link: pods send it to
the gateway, which forwards it to a pod; packets that turn back to the bridge are masqueraded, or the answer would take the short
way and be refused. Packets of no connection are dropped: pasta sends some, without any flag, that the router would otherwise take
for its own and answer by a reset, which ends the connection. Link-local addresses are never forwarded: a cloud machine's own
credentials are served there.

Some programs take every name under `.localhost` for the loopback, whatever /etc/hosts says (libcurl, and all that is built on it:
pyarrow…). In a lab that answers at such a name, a pod's own loopback forwards the front door's port to the gateway.
"""

import os
import socket
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from etabli.kernel import errors
from etabli.kernel.processes import ProcessRef
from etabli.sandbox import namespaces, syscalls
from etabli.sandbox.models import CREDENTIALS_ADDRESS, VirtualService
from etabli.sandbox.netlink import Netlink

BRIDGE = "br0"
PREFIX = 24
_MTU = 65_520  # As pasta's tap: it sends packets of that size whatever the way beyond takes, and they would be lost.
_SETTINGS = Path("/proc/sys/net/ipv4")  # Of the network namespace of whoever looks.
_BRIDGE_CALLS = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")


@dataclass(frozen=True)
class Router:
    """The addresses of a project."""

    gateway: str
    services: str  # Network of Services, `a.b.c.0/24`.


@dataclass(frozen=True)
class SetRules:
    """Replace the packet filter rules of a ground, all at once."""

    holder: ProcessRef
    nft: Path
    rules: str
    detached: ClassVar[bool] = False

    def perform(self) -> bool:
        namespaces.enter(self.holder, syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET)
        _load(self.nft, self.rules)
        return True


@dataclass(frozen=True)
class PlugPod:
    """Make a pod's network namespace and shared memory, or plug one that `source` still has into a new bridge."""

    holder: ProcessRef
    kept: Path  # The holder's tmpfs.
    pod: str
    address: str
    gateway: str
    shared_memory_bytes: int
    source: ProcessRef | None = None  # A process of the pod, where its namespace outlived the holder that kept it.
    plug: bool = True  # False where the namespace that `source` has is still plugged in.
    loopback_port: int | None = None  # On the pod's loopback, forwarded to the gateway by `nft`.
    nft: Path | None = None
    detached: ClassVar[bool] = False

    def perform(self) -> bool:
        kinds = syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWNS
        descriptor = None if self.source is None else os.open(f"/proc/{self.source.pid}/ns/net", os.O_RDONLY)
        namespaces.enter(self.holder, kinds)
        namespaces.take_shared_group()
        place = self.kept / f"{self.pod}.net"
        if place.exists() and descriptor is None:
            return False
        with Netlink() as router:
            _enter_pod_network(descriptor)
            if self.plug:
                self._plug(router)
        self._keep(place)
        return True

    def _plug(self, router: Netlink) -> None:
        """In the pod's namespace: a cable to the bridge, `router` being a socket in the router's namespace."""
        cable = f"p{self.address.rpartition('.')[2]}"
        router.delete(cable)
        with Netlink() as links:
            links.delete("eth0")  # Of a router that just died: the kernel takes it apart a moment later.
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        router.add_pair(cable, peer="eth0", peer_namespace=own, peer_mac=_hardware_address(self.address), mtu=_MTU)
        router.up(cable, master=BRIDGE)
        _set_up_pod(self.address, self.gateway)
        if self.loopback_port is not None and self.nft is not None:
            _SETTINGS.joinpath("conf/eth0/route_localnet").write_text("1")
            _load(self.nft, _loopback_rules(self.gateway, self.loopback_port))

    def _keep(self, place: Path) -> None:
        shared, making = self.kept / f"{self.pod}.shm", self.kept / f"{self.pod}.making"
        if not shared.is_mount():
            shared.mkdir(exist_ok=True)
            options = f"mode=1777,size={self.shared_memory_bytes}"
            flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
            syscalls.mount("tmpfs", str(shared), kind="tmpfs", flags=flags, options=options)
        # The name appears last, complete: whoever sees it may enter what it names.
        place.unlink(missing_ok=True)
        if os.path.ismount(making):  # Of a file, `Path.is_mount` says no.
            syscalls.unmount(str(making))
        making.touch()
        syscalls.mount("/proc/self/ns/net", str(making), flags=syscalls.MS_BIND)
        place.symlink_to(making.name)


@dataclass(frozen=True)
class UnplugPod:
    """Forget a pod's network: it goes when the last of its processes does."""

    holder: ProcessRef
    kept: Path
    pod: str
    detached: ClassVar[bool] = False

    def perform(self) -> bool:
        namespaces.enter(self.holder, syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWNS)
        namespaces.take_shared_group()
        (self.kept / f"{self.pod}.net").unlink(missing_ok=True)
        making, shared = self.kept / f"{self.pod}.making", self.kept / f"{self.pod}.shm"
        if making.exists():
            syscalls.unmount(str(making))
            making.unlink()
        if shared.exists():
            syscalls.unmount(str(shared))
            shared.rmdir()
        return True


def set_up(router: Router | None) -> None:
    """In a fresh network namespace: its loopback and, for a project, the bridge with the gateway's addresses."""
    with Netlink() as links:
        links.up("lo")
        if router is None:
            return
        links.add_bridge(BRIDGE, mtu=_MTU)
        links.add_address(BRIDGE, router.gateway, PREFIX)
        links.add_address(BRIDGE, CREDENTIALS_ADDRESS, 32)
        links.up(BRIDGE)
    _SETTINGS.joinpath("ip_forward").write_text("1")
    _SETTINGS.joinpath("ip_unprivileged_port_start").write_text("0")  # The agent listens on the front door's port.
    if _BRIDGE_CALLS.exists():
        # Rules are for what is routed: applied to what is bridged too, a pod would not reach itself through its Service.
        _BRIDGE_CALLS.write_text("0")


def rules(router: Router, services: Iterable[VirtualService]) -> str:
    """The rules of a project, as `nft -f` reads them: loading them replaces the ones before in one transaction."""
    pods = f"{router.gateway.rpartition('.')[0]}.0/{PREFIX}"
    forwards = [line for service in services for line in _forward(service)]
    chain = "\n    ".join(forwards)
    return f"""\
table ip etabli
delete table ip etabli
table ip etabli {{
  chain services {{
    {chain}
  }}
  chain prerouting {{
    type nat hook prerouting priority -100;
    ip daddr {router.services} jump services
  }}
  chain output {{
    type nat hook output priority -100;
    ip daddr {router.services} jump services
  }}
  chain postrouting {{
    type nat hook postrouting priority 100;
    ip saddr {pods} oifname != "{BRIDGE}" masquerade
    ip saddr {pods} oifname "{BRIDGE}" ct status dnat masquerade
  }}
  chain input {{
    type filter hook input priority 0;
    ct state invalid drop
  }}
  chain forward {{
    type filter hook forward priority 0;
    ct state invalid drop
    ip daddr {router.services} meta l4proto tcp reject with tcp reset
    ip daddr {router.services} reject
    ip daddr 169.254.0.0/16 reject
  }}
  chain local {{
    type filter hook output priority 0;
    ip daddr {router.services} reject
  }}
}}
"""


def _load(nft: Path, text: str) -> None:
    """Load rules in the network namespace that we are in. Unavailable with nft's words where it refuses."""
    syscalls.keep_capability(syscalls.CAP_NET_ADMIN)
    done = subprocess.run([nft, "-f", "-"], input=text.encode(), capture_output=True, env={}, check=False)
    if done.returncode:
        raise errors.Unavailable(f"`nft` failed: {done.stderr.decode(errors='replace')[:1000].strip()}")


def _loopback_rules(gateway: str, port: int) -> str:
    """What a program sends to the pod's loopback on the front door's port goes to the gateway; the rest of the loopback is its own."""
    return f"""\
table ip etabli {{
  chain output {{
    type nat hook output priority -100;
    ip daddr 127.0.0.1 tcp dport {port} dnat to {gateway}:{port}
  }}
  chain postrouting {{
    type nat hook postrouting priority 100;
    ip saddr 127.0.0.1 oifname "eth0" masquerade
  }}
}}
"""


def _forward(service: VirtualService) -> Sequence[str]:
    if not service.endpoints:
        return ()
    match = f"ip daddr {service.address} {service.protocol} dport {service.port}"
    if len(service.endpoints) == 1:
        address, port = service.endpoints[0]
        return (f"{match} dnat to {address}:{port}",)
    choices = ", ".join(f"{n} : {address} . {port}" for n, (address, port) in enumerate(service.endpoints))
    return (f"{match} dnat ip to numgen random mod {len(service.endpoints)} map {{ {choices} }}",)


def _hardware_address(address: str) -> bytes:
    """Locally administered (IEEE 802), told from the address: the router and siblings remember whom an address belonged to, and the
    next pod that is given it must be reached at once."""
    return b"\x02\x00" + socket.inet_aton(address)


def _enter_pod_network(descriptor: int | None) -> None:
    if descriptor is None:
        syscalls.unshare(syscalls.CLONE_NEWNET)
    else:
        syscalls.setns(descriptor, syscalls.CLONE_NEWNET)


def _set_up_pod(address: str, gateway: str) -> None:
    with Netlink() as links:
        links.up("lo")
        links.add_address("eth0", address, PREFIX)
        links.up("eth0")
        links.add_default_route(gateway, "eth0")
    _SETTINGS.joinpath("ip_unprivileged_port_start").write_text(
        "0"
    )  # As in a container: a service may listen on port 80.
