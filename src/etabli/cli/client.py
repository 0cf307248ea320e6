"""The API, as the command line calls it: over the portal's socket, which only the lab's operator can open.

The operator acts as one of the lab's people: the one named by `--as`, else `ETABLI_AS`, else the lab's first administrator.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

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
    """Calls of `/api/v1` that answer JSON, or raise what the API refused with."""

    def __init__(self, socket: Path, *, acting_as: str | None) -> None:
        self._socket = socket
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)),
            base_url="http://portal/api/v1",
            headers={"X-Etabli-Operator": acting_as or FIRST_ADMINISTRATOR, "Accept": "application/json"},
            timeout=TIMEOUT,
        )

    def close(self) -> None:
        """Close every connection."""
        self._http.close()

    def get(self, path: str, **parameters: str) -> object:
        """What is at `path`."""
        return self._call("GET", path, parameters=parameters)

    def post(self, path: str, body: Mapping[str, object] | None = None) -> object:
        """Ask for something."""
        return self._call("POST", path, body=body or {})

    def put(self, path: str, body: Mapping[str, object]) -> object:
        """Make it so."""
        return self._call("PUT", path, body=body)

    def patch(self, path: str, body: Mapping[str, object]) -> object:
        """Change what is said of it."""
        return self._call("PATCH", path, body=body)

    def delete(self, path: str) -> None:
        """End something."""
        self._call("DELETE", path)

    @contextmanager
    def stream(self, path: str, **parameters: str) -> Iterator[Iterator[str]]:
        """Lines as they come."""
        with self._reaching(), self._http.stream("GET", path, params=parameters) as response:
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
        with self._reaching():
            response = self._http.request(method, path, params=parameters, json=body)
        if response.is_error:
            raise error_of(response)
        return response.json() if response.content else None

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except httpx.TransportError as error:
            raise errors.Unavailable(
                "the lab does not answer on this machine", hint="start it with `etabli up`, or see `etabli status`"
            ) from error


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
