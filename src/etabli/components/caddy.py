"""Caddy, the front door: its configuration rendered, parsed back by Caddy itself, and the component that runs it.

Promises: the file is 0600 and takes its place whole, only after `caddy validate` accepted it; no administration API, no configuration
kept elsewhere, no access log, and no query string, header or cookie in the error log (they carry signatures, codes and tokens).
The sites are in `sites`. Refused: a port below the ones that an ordinary user may open, with the command that opens it.
"""

import json
import os
import re
import secrets
import subprocess
from pathlib import Path

from etabli.components import models, sites, versions
from etabli.components.settings import FrontDoorSettings
from etabli.kernel import errors, files
from etabli.kernel.settings import LabSettings, Layout

NAME = "caddy"
VALIDATE_SECONDS = 60
UNPRIVILEGED = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
CAP_NET_BIND_SERVICE = 10  # capability.h
HTTP_PORT = 80


def component(
    layout: Layout, lab: LabSettings, door: FrontDoorSettings, *, needs: tuple[str, ...] = ()
) -> models.Component:
    """Render the configuration and say how Caddy is run. Refused where the port is privileged or Caddy rejects the result."""
    check_port(lab.port)
    folder = files.private_folder(layout.components / NAME)
    config = render(layout, lab, door)
    path = folder / "caddy.json"
    _install(path, json.dumps(config, indent=1))
    binary = str(versions.binary(NAME))
    return models.Component(
        name=NAME,
        argv=(binary, "run", "--config", str(path)),
        folder=folder,
        env={
            "GOGC": "200",
            "GOMEMLIMIT": "128MiB",
        },  # A small heap collects often: a tenth more requests for some memory.
        files=(path, *_certificate_files(door)),
        version=versions.named(NAME),
        places=(binary,),
        needs=needs,
        health=models.Health(socket=folder / "health.sock", path="/"),
        ports=_ports(lab, door),
        grace_seconds=5.0,
    )


def root_certificate(layout: Layout) -> Path:
    """Where Caddy's own authority keeps its root, once it has started over HTTPS: to hand to other devices and to sandboxes."""
    return layout.components / NAME / "storage/pki/authorities/local/root.crt"


def export_root(layout: Layout, to: Path) -> bool:
    """Copy the root certificate (public) to `to`, readable by all. False where the authority has made none."""
    try:
        content = root_certificate(layout).read_bytes()
    except FileNotFoundError:
        return False
    if not to.exists() or to.read_bytes() != content:
        files.write_atomically(to, content, mode=0o644)
    return True


def check_port(port: int) -> None:
    """Refused where this user may not listen on `port`, with the command that allows it."""
    first = int(UNPRIVILEGED.read_text())
    if port >= first or _may_bind_any():
        return
    raise errors.Refused(
        f"port {port} is below {first}, the first that an ordinary user may listen on",
        hint=f"as root `sysctl -w net.ipv4.ip_unprivileged_port_start={port}` (in /etc/sysctl.d to keep it), or use `--port 8443`",
        port=port,
    )


def render(layout: Layout, lab: LabSettings, door: FrontDoorSettings) -> sites.Json:
    """The whole configuration (https://caddyserver.com/docs/json/)."""
    folder = layout.components / NAME
    config: sites.Json = {
        "admin": {"disabled": True, "config": {"persist": False}},
        "logging": {"logs": {"default": {"level": "WARN", "encoder": _encoder()}}},
        "storage": {"module": "file_system", "root": str(folder / "storage")},
        "apps": {"http": {"grace_period": "3s", "servers": _servers(layout, lab, door)}},
    }
    apps = config["apps"]
    assert isinstance(apps, dict)
    if lab.https:
        apps["tls"] = _tls(layout, lab, door)
        apps["pki"] = {
            "certificate_authorities": {"local": {"name": f"{lab.name} ({lab.domain})", "install_trust": False}}
        }
    return config


def _servers(layout: Layout, lab: LabSettings, door: FrontDoorSettings) -> sites.Json:
    sockets = sites.Sockets(
        portal=layout.socket("portal"),
        authoriser=layout.socket("authoriser"),
        s3=layout.socket("s3"),
        vault=layout.socket("vault"),
        upstreams=layout.upstreams,
    )
    front = _server([f"tcp/{_host_port(lab.listen, lab.port)}", _private(layout.socket("front"))])
    front["routes"] = sites.routes(lab.domain, sockets)
    servers: sites.Json = {"front": front, "health": _server([_private(layout.components / NAME / "health.sock")])}
    if not lab.https:
        return servers
    front["tls_connection_policies"] = [{}]
    front["protocols"] = ["h1", "h2"]
    # Plain HTTP on the HTTPS port is sent to https instead of an unreadable error.
    front["listener_wrappers"] = [{"wrapper": "http_redirect"}, {"wrapper": "tls"}]
    if _redirects(lab):
        servers["redirect"] = _redirect(lab)
    if door.certificates == "on-demand":
        ask = _server([f"tcp/127.0.0.1:{door.ask_port}"])
        ask["routes"] = sites.ask_routes(layout.socket("authoriser"), _ask_secret(layout))
        servers["ask"] = ask
    return servers


def _server(listen: list[str]) -> sites.Json:
    return {
        "listen": listen,
        "automatic_https": {"disable": True},
        "protocols": ["h1"],
        "read_header_timeout": "10s",  # A client that trickles its headers holds no connection for long.
        "idle_timeout": "2m",
    }


def _redirect(lab: LabSettings) -> sites.Json:
    server = _server([f"tcp/{_host_port(lab.listen, HTTP_PORT)}"])
    server["routes"] = [
        {
            "handle": [
                {
                    "handler": "static_response",
                    "status_code": 308,
                    "headers": {"Location": ["https://{http.request.host}{http.request.uri}"]},
                }
            ]
        }
    ]
    return server


def _tls(layout: Layout, lab: LabSettings, door: FrontDoorSettings) -> sites.Json:
    fixed = [lab.domain, f"s3.{lab.domain}", f"vault.{lab.domain}"]
    services = f"*.svc.{lab.domain}"
    if door.certificates == "files":
        return {"certificates": {"load_files": [{"certificate": str(door.certificate), "key": str(door.key)}]}}
    if door.certificates == "internal":
        names = [*fixed, services]
        return {
            "certificates": {"automate": names},
            "automation": {"policies": [{"subjects": names, "issuers": [_internal()]}]},
        }
    issuers = [_internal()] if door.issuer == "internal" else [{"module": "acme", "email": door.email}]
    endpoint = f"http://127.0.0.1:{door.ask_port}/{_ask_secret(layout)}"
    return {
        "certificates": {"automate": fixed},
        "automation": {
            "policies": [{"subjects": fixed, "issuers": issuers}, {"issuers": issuers, "on_demand": True}],
            "on_demand": {"permission": {"module": "http", "endpoint": endpoint}},
        },
    }


def _internal() -> sites.Json:
    return {"module": "internal", "ca": "local"}


def _ask_secret(layout: Layout) -> str:
    """Keeps other accounts of the machine from asking which services exist."""
    return files.write_once(layout.keys / "tls-ask", secrets.token_urlsafe(24)).decode()


def _encoder() -> sites.Json:
    return {
        "format": "filter",
        "wrap": {"format": "json"},
        "fields": {
            "request>uri": {"filter": "regexp", "regexp": r"\?.*", "value": "?…"},
            "request>headers": {"filter": "delete"},
        },
    }


def _install(path: Path, text: str) -> None:
    """Write the configuration beside its place, have Caddy read it, then give it its name."""
    candidate = path.with_name(f"candidate-{path.name}")
    files.write_atomically(candidate, text)
    command = [str(versions.binary(NAME)), "validate", "--config", str(candidate)]
    home = {"HOME": str(path.parent), "XDG_DATA_HOME": str(path.parent), "XDG_CONFIG_HOME": str(path.parent)}
    done = subprocess.run(command, env=home, capture_output=True, text=True, timeout=VALIDATE_SECONDS, check=False)
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or [""]
        raise errors.Refused(
            f"Caddy does not accept its configuration: {last[0][-600:]}",
            hint="look at `[lab]` and `[front_door]` in etabli.toml",
        )
    candidate.rename(path)
    files.sync_folder(path.parent)


def _certificate_files(door: FrontDoorSettings) -> tuple[Path, ...]:
    if door.certificates != "files":
        return ()
    return tuple(path for path in (door.certificate, door.key) if path)


def _ports(lab: LabSettings, door: FrontDoorSettings) -> tuple[models.Port, ...]:
    ports = [models.Port(lab.listen, lab.port)]
    if _redirects(lab):
        ports.append(models.Port(lab.listen, HTTP_PORT))
    if lab.https and door.certificates == "on-demand":
        ports.append(models.Port("127.0.0.1", door.ask_port))
    return tuple(ports)


def _redirects(lab: LabSettings) -> bool:
    """Whether we also listen on port 80: where https has its own port, and this user may."""
    return lab.https and lab.port == 443 and (int(UNPRIVILEGED.read_text()) <= HTTP_PORT or _may_bind_any())


def _may_bind_any() -> bool:
    effective = re.search(r"^CapEff:\s*([0-9a-f]+)$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return os.geteuid() == 0 or bool(effective and int(effective[1], 16) >> CAP_NET_BIND_SERVICE & 1)


def _private(socket: Path) -> str:
    return f"unix/{socket}|0600"


def _host_port(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
