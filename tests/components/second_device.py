"""Run inside a user and a network namespace of its own, as its root: a lab with a domain on port 443, and a second device on a cable.

Prints what the second device saw, as JSON: {question: answer}.
"""

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path

from etabli.components import caddy
from etabli.components.settings import FrontDoorSettings
from etabli.kernel.settings import LabSettings, Layout
from etabli.sandbox import netlink, syscalls

LAB, DEVICE, DOMAIN = "10.77.0.1", "10.77.0.2", "lab.example.org"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"


def main() -> None:
    root = Path(sys.argv[1])
    layout = Layout(data=root / "data", run=root / "run")
    layout.make()
    device = lay_cable()
    for name in ("portal", "s3"):
        threading.Thread(target=answer, args=(layout.socket(name),), daemon=True).start()
    lab = LabSettings(domain=DOMAIN, https=True, port=443, listen=LAB)
    component = caddy.component(layout, lab, FrontDoorSettings())
    process = subprocess.Popen(component.argv, env={"HOME": str(component.folder)}, cwd=component.folder)
    try:
        exported = root / "root.crt"
        wait(lambda: caddy.export_root(layout, exported) and certified(exported))
        os.waitpid(in_device(device, lambda: print(json.dumps(ask(exported)), flush=True)), 0)
    finally:
        process.kill()
        process.wait()


def lay_cable() -> int:
    """A second network with one cable to ours: a descriptor of it."""
    ours = os.open("/proc/self/ns/net", os.O_RDONLY)
    links = netlink.Netlink()
    links.up("lo")
    syscalls.unshare(syscalls.CLONE_NEWNET)
    theirs = os.open("/proc/self/ns/net", os.O_RDONLY)
    far = netlink.Netlink()
    syscalls.setns(ours, syscalls.CLONE_NEWNET)
    links.add_pair("lab0", peer="eth0", peer_namespace=theirs, peer_mac=bytes((2, 0, 10, 77, 0, 2)), mtu=1500)
    links.add_address("lab0", LAB, 24)
    links.up("lab0")
    far.add_address("eth0", DEVICE, 24)
    far.up("eth0")
    return theirs


def in_device(network: int, act: Callable[[], None]) -> int:
    """Fork a child that acts on the second device: its pid."""
    pid = os.fork()
    if pid == 0:
        syscalls.setns(network, syscalls.CLONE_NEWNET)
        act()
        os._exit(0)
    return pid


def answer(path: Path) -> None:
    """A stand-in that answers every connection alike."""
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    while True:
        client, _ = server.accept()
        client.recv(65536)
        client.sendall(ANSWER)
        client.close()


def wait(true: Callable[[], object]) -> None:
    for _ in range(1000):
        if true():
            return
        time.sleep(0.02)
    raise SystemExit("Caddy did not come up")


def certified(root: Path) -> bool:
    """Whether the front door shows certificates already: it asks its own authority for them once it listens."""
    context = ssl.create_default_context(cafile=str(root))
    try:
        for host in (DOMAIN, f"s3.{DOMAIN}", f"x-1.svc.{DOMAIN}"):
            with socket.create_connection((LAB, 443)) as raw, context.wrap_socket(raw, server_hostname=host):
                pass
    except OSError:
        return False
    return True


def ask(root: Path) -> dict[str, object]:
    """What the second device sees, with and without the lab's root certificate."""
    knows = ssl.create_default_context(cafile=str(root))
    return {
        "portal": https(DOMAIN, knows)[0],
        "s3": https(f"s3.{DOMAIN}", knows)[0],
        "service": https(f"x-1.svc.{DOMAIN}", knows, "/a?b=c"),
        "stranger": https(DOMAIN, ssl.create_default_context()),
        "plain": plain(80),
        "plain on the port of https": plain(443),
        "own name": https("evil.example", knows),
    }


def https(host: str, context: ssl.SSLContext, path: str = "/") -> tuple[object, str]:
    raw = socket.create_connection((LAB, 443), 10)
    try:
        connection = HTTPSConnection(host, context=context)
        connection.sock = context.wrap_socket(raw, server_hostname=host)
        connection.request("GET", path, headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"})
        response = connection.getresponse()
        return response.status, response.getheader("Location", "")
    except ssl.SSLError as error:
        return "refused", error.reason
    finally:
        raw.close()


def plain(port: int) -> tuple[int, str]:
    connection = HTTPConnection(LAB, port, timeout=10)
    connection.request("GET", "/catalog?x=1", headers={"Host": DOMAIN})
    response = connection.getresponse()
    return response.status, response.getheader("Location", "")


if __name__ == "__main__":
    main()
