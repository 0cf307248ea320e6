"""The internet for a ground, by `pasta` (passt): it connects a tap in the router's namespace with the machine's own sockets.

Its usual settings leak: it would forward every port of the machine's loopback into the namespace, and map the gateway to that
loopback. All of that is off. It keeps the machine's own address inside, so that services of this machine on 0.0.0.0 are not
reached by it. Name queries go to the machine's name servers or, where the machine has a stub on its loopback, to pasta, which asks it.
"""

import ipaddress
from collections.abc import Sequence
from pathlib import Path

from etabli.kernel.processes import ProcessRef

FORWARDED_DNS = (
    "198.18.0.53"  # In a range that is never routed (RFC 2544): pasta answers for it by asking the machine's stub.
)
RESOLV_CONF = Path("/etc/resolv.conf")
_MOST_NAMESERVERS = 3  # The resolver's own limit: resolv.conf(5).


def command(pasta: Path, holder: ProcessRef, *, ready: Path) -> Sequence[str]:
    """pasta's command line for a ground. It writes its pid to `ready` once the tap is up, and ends with the namespace.

    Names are forwarded only where the machine has a stub alone: pasta 2023-03 gives every answer of the machine's first server the
    forwarded address, and who asked that server itself does not know it.
    """
    walls = ("--config-net", "--no-map-gw", "-t", "none", "-u", "none", "-T", "none", "-U", "none", "--ipv4-only")
    stub = nameservers(machine_settings()) == (FORWARDED_DNS,)
    names = ("--dns-forward", FORWARDED_DNS) if stub else ()
    return (str(pasta), *walls, *names, "--quiet", "--foreground", "--pid", str(ready), str(holder.pid))


def machine_settings() -> str:
    """The machine's /etc/resolv.conf; empty where it has none."""
    try:
        return RESOLV_CONF.read_text(errors="replace")
    except OSError:
        return ""


def nameservers(text: str) -> Sequence[str]:
    """What /etc/resolv.conf inside is to name, given the machine's: its IPv4 servers, or pasta for a loopback stub."""
    words = [line.split() for line in text.splitlines()]
    named = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    reachable = [address for address in named if _is_reachable(address)]
    return tuple(reachable[:_MOST_NAMESERVERS]) or (FORWARDED_DNS,)


def _is_reachable(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.version == 4 and not parsed.is_loopback and not parsed.is_link_local
