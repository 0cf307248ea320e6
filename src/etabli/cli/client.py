"""The API, as the command line calls it: the lab of this machine over the portal's socket, which only its operator can open; a lab
elsewhere over HTTPS, with a token.

The operator acts as one of the lab's people: the one named by `--as`, else `ETABLI_AS`, else the lab's first administrator.
"""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from etabli.kernel import errors

FIRST_ADMINISTRATOR = "@admin"
TIMEOUT = httpx.Timeout(30.0, read=None)  # Logs are followed for as long as they come.

QUOTA_EXCEEDED = "tag:etabli,2026:quota-exceeded"  # As `web.problems` says it.
_BY_STATUS: Mapping[int, type[errors.EtabliError]] = {
    400: errors.Refused,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.Invalid,
    422: errors.Invalid,
    500: errors.EtabliError,  # A mistake of the lab's: asking again is no cure.
}


class Client:
    """Calls of `/api/v1` that answer JSON, or raise what the API refused with. `where` names the lab, for people."""

    def __init__(self, http: httpx.Client, *, where: str, absent: errors.Unavailable) -> None:
        self._http = http
        self.where = where
        self._absent = absent

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def get(self, path: str, **parameters: str) -> object:
        """What is at `path`."""
        return self._call("GET", path, parameters=parameters)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> object:
        """Ask for something."""
        return self._call("POST", path, body=body or {})

    def put(self, path: str, body: Mapping[str, object] | None = None) -> object:
        """Make it so."""
        return self._call("PUT", path, body=body or {})

    def patch(self, path: str, body: Mapping[str, object]) -> object:
        """Change what is said of it."""
        return self._call("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        """End something."""
        self._call("DELETE", path)

    @contextmanager
    def stream(self, path: str, **parameters: str) -> Iterator[Iterator[str]]:
        """Lines as they come."""
        with _reaching(self._absent), self._http.stream("GET", path, params=parameters) as response:
            if response.is_error:
                response.read()
                raise error_of(response)
            yield response.iter_lines()

    def _call(
        self,
        method: str,
        path: str,
        *,
        parameters: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> object:
        with _reaching(self._absent):
            response = self._http.request(method, path, params=parameters, json=body)
        if response.is_error:
            raise error_of(response)
        return response.json() if response.content else None


class Unsigned(Client):
    """A lab that this machine is not signed in to: each call says what to do."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        super().__init__(httpx.Client(), where=origin, absent=errors.Unavailable(""))

    def _call(self, method: str, path: str, **_: object) -> object:
        raise errors.Forbidden(
            f"this machine is not signed in to `{self._origin}`", hint=f"`etabli login {self._origin}`"
        )

    @contextmanager
    def stream(self, path: str, **parameters: str) -> Iterator[Iterator[str]]:
        """Refused as every call."""
        self._call("GET", path)
        yield iter(())


class Plain:
    """Requests of a program that has no token yet: forms, answered in JSON, errors as the protocol has them (RFC 6749, 5.2)."""

    def __init__(self, http: httpx.Client, absent: errors.Unavailable) -> None:
        self._http = http
        self._absent = absent

    def send(self, path: str, form: Mapping[str, str]) -> dict[str, object]:
        """What the lab answers; an `error` in it is the protocol's. Raises what the lab refused otherwise."""
        with _reaching(self._absent):
            response = self._http.post(path, data=dict(form))
        try:
            answer = response.json() if response.content else {}
        except ValueError:
            answer = None
        if isinstance(answer, dict) and (response.is_success or "error" in answer):
            return answer
        raise error_of(response)


def operated(socket: Path, *, acting_as: str | None) -> Client:
    """The lab of this machine, through the socket that its operator alone can open."""
    http = httpx.Client(
        transport=httpx.HTTPTransport(uds=str(socket)),
        base_url="http://portal/api/v1",
        headers={"X-Etabli-Operator": acting_as or FIRST_ADMINISTRATOR, "Accept": "application/json"},
        timeout=TIMEOUT,
    )
    absent = errors.Unavailable(
        "the lab does not answer on this machine", hint="start it with `etabli up`, or see `etabli status`"
    )
    return Client(http, where="this machine", absent=absent)


def remote(origin: str, token: str | None) -> Client:
    """A lab elsewhere, as the person whose token it is."""
    if token is None:
        return Unsigned(origin)
    http = _http(origin, path="/api/v1", headers={"Authorization": f"Bearer {token}", "Accept": "application/json"})
    return Client(http, where=origin, absent=_absent(origin))


@contextmanager
def plain(origin: str) -> Iterator[Plain]:
    """A lab elsewhere, before there is a token."""
    with _http(origin, path="", headers={"Accept": "application/json"}) as http:
        yield Plain(http, _absent(origin))


def origin_of(text: str) -> str:
    """The origin of a lab's address as people type it. Invalid where a token would travel without encryption."""
    parts = urlsplit(text if "://" in text else f"https://{text}")
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.password:
        raise errors.Invalid(f"`{text[:200]}` is not a lab's address", hint="as `https://lab.example.org`")
    if parts.scheme == "http" and not _is_here(host):
        raise errors.Invalid(f"`{text[:200]}` is not encrypted", hint="use its `https://` address")
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _http(origin: str, *, path: str, headers: Mapping[str, str]) -> httpx.Client:
    """Certificates are checked by what this machine trusts, SSL_CERT_FILE included. Redirects are not followed: tokens stay here."""
    parts = urlsplit(origin)
    named = dict(headers)
    if parts.scheme == "http" and (parts.hostname or "").endswith(".localhost"):
        # RFC 6761, 6.3: these names are this machine, whatever its resolver knows.
        named["Host"], port = parts.netloc, parts.port or 80
        return httpx.Client(base_url=f"http://127.0.0.1:{port}{path}", headers=named, timeout=TIMEOUT, trust_env=False)
    context = ssl.create_default_context() if parts.scheme == "https" else False
    return httpx.Client(base_url=f"{origin}{path}", headers=named, timeout=TIMEOUT, verify=context)


def _is_here(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost") or host in ("127.0.0.1", "::1")


def _absent(origin: str) -> errors.Unavailable:
    return errors.Unavailable(
        f"`{origin}` does not answer, or its certificate is not trusted here",
        hint="check the address; for a lab with an authority of its own, name its root in SSL_CERT_FILE",
    )


@contextmanager
def _reaching(absent: errors.Unavailable) -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise absent from error


def error_of(response: httpx.Response) -> errors.EtabliError:
    """RFC 9457 problem+json as the error that it was."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    kind = _BY_STATUS.get(response.status_code, errors.Refused if response.status_code < 500 else errors.Unavailable)
    if problem.get("type") == QUOTA_EXCEEDED:
        kind = errors.QuotaExceeded
    message = str(problem.get("detail") or problem.get("title") or f"the lab answered {response.status_code}")
    hint = problem.get("hint")
    fields = problem.get("fields")
    if kind is errors.Invalid and isinstance(fields, dict):
        return errors.Invalid(message, hint=hint, fields=fields)
    return kind(message, hint=hint)
