"""Manifests as a chart would render them, for tests: small, complete, and changed by the test that needs it otherwise."""

import json
from collections.abc import Mapping
from typing import Any

from etabli.engines import contract

IMAGE = "etabli/test"
DIGEST = "sha256:0123"
PROJECT = contract.Project(id="prjaaaaaaa", namespace="user-alice")
HOST = "web-abc.svc.etabli.localhost"

Object = dict[str, Any]  # A test digs into manifests freely.

SERVE = """
import http.server, os, socketserver, sys
class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = (os.environ.get("ANSWER", "hello") + " " + os.environ["HOSTNAME"]).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers(); self.wfile.write(body)
    def log_message(self, *words): print(*words, flush=True)
print("serving", flush=True)
Server(("0.0.0.0", 8080), Handler).serve_forever()
"""


def python(script: str) -> list[str]:
    """A command that runs a script with this machine's Python."""
    return ["/usr/bin/python3", "-c", script]


def container(*command: str, name: str = "main", **more: Any) -> Object:
    """One container."""
    return {"name": name, "image": IMAGE, "command": list(command or python(SERVE)), **more}


def pod(*containers: Object, **more: Any) -> Object:
    """A pod's template, labelled `app: web`."""
    spec = {"containers": list(containers) or [web_container()], "terminationGracePeriodSeconds": 1, **more}
    return {"metadata": {"labels": {"app": "web"}}, "spec": spec}


def web_container(**more: Any) -> Object:
    """One that answers HTTP on 8080 and is ready once it does."""
    probe = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    return container(ports=[{"name": "http", "containerPort": 8080}], readinessProbe=probe, **more)


def workload(kind: str, template: Object, *, name: str = "web", **spec: Any) -> Object:
    """A Deployment, StatefulSet or Job."""
    api, chosen = ("batch/v1", {}) if kind == "Job" else ("apps/v1", {"selector": {"matchLabels": {"app": "web"}}})
    return {
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**chosen, "template": template, **spec},
    }


def stateful_set(template: Object | None = None, **spec: Any) -> Object:
    return workload("StatefulSet", template or pod(), **{"serviceName": "web", **spec})


def job(*command: str, **spec: Any) -> Object:
    return workload("Job", pod(container(*command), restartPolicy="Never"), **spec)


def service(name: str = "web", *, port: int = 80, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": port, "targetPort": "http"}], **spec},
    }


def ingress(host: str = HOST, *, path: str = "/") -> Object:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    paths = [{"path": path, "pathType": "Prefix", "backend": backend}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web"},
        "spec": {"rules": [{"host": host, "http": {"paths": paths}}]},
    }


def web() -> list[Object]:
    """A whole service: one pod that answers, behind a Service and an Ingress."""
    return [stateful_set(), service(), ingress()]


def request(
    *manifests: Object,
    service_id: str = "srvaaaaaaa",
    project: contract.Project = PROJECT,
    images: Mapping[str, str] | None = None,
    revision: int = 1,
) -> contract.ApplyRequest:
    """What `services` asks of an engine. Manifests are copied, as they come from storage."""
    return contract.ApplyRequest(
        service_id=service_id,
        project=project,
        release="web",
        manifests=tuple(json.loads(json.dumps(manifests or web()))),
        images={IMAGE: DIGEST} if images is None else images,
        hosts=(HOST,),
        revision=revision,
    )
