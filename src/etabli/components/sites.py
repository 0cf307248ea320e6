"""What the front door does with each host, as Caddy's JSON (https://caddyserver.com/docs/json/apps/http/): pure functions, no I/O.

Promises: what a client sends as `X-Etabli-*` or `X-Forwarded-*` reaches nobody; a service's request goes on only after the
authoriser named its upstream, by a key that is one file name in one folder; the cookie of a service's origin never reaches the
service; a request is repeated while a part restarts only if it was never sent, or is a GET. Refused: any other host (421), and any
path of the vault but signing in, one's own token and `kv`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SERVICE_COOKIE = "__Host-etabli-service"  # The same name as in door/models.py; a test holds them together.
RESTART = "5s"  # How long a request waits for a part that restarts; all of ours are back within a second.
UPSTREAM_KEY = "^[a-z0-9][a-z0-9-]{0,99}$"  # A file name in the upstreams' folder: no slash, no dot.
VAULT_PATHS = r"^/v1/(auth/jwt/login|auth/token/(lookup-self|renew-self|revoke-self)|kv/.+)$"
# What a service's answers tell browsers: nobody else frames or embeds it. A second policy only narrows the service's own (CSP 3).
ALONE = {
    "add": {"Content-Security-Policy": ["frame-ancestors 'self'"]},
    "set": {"Cross-Origin-Resource-Policy": ["same-origin"]},
}

Json = dict[str, object]


@dataclass(frozen=True)
class Sockets:
    """The UNIX sockets behind the door."""

    portal: Path
    authoriser: Path
    s3: Path
    vault: Path
    upstreams: Path  # A folder.


def routes(domain: str, sockets: Sockets) -> list[Json]:
    """The sites of one lab, in order; each is the last for its hosts."""
    portal = [_proxy(sockets.portal, add={"X-Etabli-Door": ["1"]})]  # By which it tells the door from the operator.
    return [
        {"handle": [{"handler": "headers", "request": {"delete": ["X-Etabli-*"]}}]},
        _site([domain], [{"handle": portal}]),
        _site([f"s3.{domain}"], [{"handle": [_proxy(sockets.s3)]}]),
        _site([f"vault.{domain}"], _vault(sockets.vault)),
        _site(
            [f"*.svc.{domain}"],
            [
                {"match": [{"path": ["/.etabli/*"]}], "handle": portal, "terminal": True},
                {"handle": [_authorise(sockets.authoriser), _to_service(sockets.upstreams)]},
            ],
        ),
        {"handle": [_answer(421, "this lab does not answer for that host\n")]},
    ]


def ask_routes(authoriser: Path, secret: str) -> list[Json]:
    """Which hosts may have a certificate: the authoriser's answer, for who knows the path (Caddy alone: it is in its 0600 file)."""
    return [
        {
            "match": [{"path": [f"/{secret}"]}],
            "handle": [_proxy(authoriser, rewrite="/tls-ask?{http.request.uri.query}")],
            "terminal": True,
        },
        {"handle": [_answer(404, "")]},
    ]


def _site(hosts: list[str], inner: list[Json]) -> Json:
    return {"match": [{"host": hosts}], "handle": [{"handler": "subroute", "routes": inner}], "terminal": True}


def _answer(status: int, body: str) -> Json:
    return {
        "handler": "static_response",
        "status_code": status,
        "body": body,
        "headers": {"Content-Type": ["text/plain; charset=utf-8"], "Cache-Control": ["no-store"]},
    }


def _vault(socket: Path) -> list[Json]:
    return [
        {
            # Caddy matches the decoded and cleaned path, so that `kv/../sys` is what it means: not ours.
            "match": [{"path_regexp": {"pattern": VAULT_PATHS}}],
            "handle": [_proxy(socket, delete=["X-Vault-Namespace"])],
            "terminal": True,
        },
        {"handle": [_answer(404, "no such path\n")]},
    ]


def _authorise(socket: Path) -> Json:
    """Ask about the request: 2xx lets it go on, with the upstream remembered; anything else is the answer."""
    asked = {
        "X-Etabli-Method": ["{http.request.method}"],
        "X-Etabli-Uri": ["{http.request.uri}"],
        "X-Etabli-Upgrade": ["{http.request.header.Upgrade}"],
    }
    # With its Upgrade header left on, the question itself would be a websocket.
    proxy = _proxy(socket, add=asked, delete=["Upgrade", "Connection"])
    proxy["rewrite"] = {"method": "GET", "uri": "/authorise"}
    remember = {
        "handler": "vars",
        "upstream": "{http.reverse_proxy.header.X-Etabli-Upstream}",
        "user": "{http.reverse_proxy.header.X-Etabli-User}",
    }
    proxy["handle_response"] = [{"match": {"status_code": [2]}, "routes": [{"handle": [remember]}]}]
    return proxy


def _to_service(folder: Path) -> Json:
    proxy = _proxy(
        folder / "{http.vars.upstream}",
        add={"X-Etabli-User": ["{http.vars.user}"]},
        without_cookie=SERVICE_COOKIE,
        respond=ALONE,
    )
    return {
        "handler": "subroute",
        "routes": [
            {
                "match": [{"vars_regexp": {"{http.vars.upstream}": {"pattern": UPSTREAM_KEY}}}],
                "handle": [proxy],
                "terminal": True,
            },
            {"handle": [_answer(502, "the service cannot be reached\n")]},
        ],
    }


def _proxy(
    socket: Path,
    *,
    rewrite: str = "",
    add: Mapping[str, list[str]] | None = None,
    delete: Sequence[str] = (),
    without_cookie: str = "",
    respond: Mapping[str, object] | None = None,
) -> Json:
    """Pass requests to a UNIX socket as they come: host kept, nothing buffered, nothing compressed (S3 signs both).

    X-Forwarded-Proto and -Host are set over what the client said; Caddy itself replaces X-Forwarded-For.
    """
    request: Json = {
        "set": {
            "X-Forwarded-Proto": ["{http.request.scheme}"],
            "X-Forwarded-Host": ["{http.request.hostport}"],
            **(add or {}),
        },
        "delete": list(delete),
    }
    if without_cookie:
        request["replace"] = {"Cookie": _without(without_cookie)}
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"unix/{socket}"}],
        "transport": {
            "protocol": "http",
            "compression": False,
            "keep_alive": {"max_idle_conns_per_host": 256, "idle_timeout": "2m"},
        },
        "flush_interval": -1,
        "load_balancing": {"try_duration": RESTART, "try_interval": "100ms"},
        "headers": {"request": request, "response": dict(respond or {})},
        **({"rewrite": {"uri": rewrite}} if rewrite else {}),
    }


def _without(cookie: str) -> list[Json]:
    return [
        {"search_regexp": f"^ *{cookie}=[^;]*(; *|$)", "replace": ""},
        {"search_regexp": f"; *{cookie}=[^;]*", "replace": ""},
    ]
