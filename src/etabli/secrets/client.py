"""HTTP with the vault, over its UNIX socket: one request, one answer, errors as ours. No secret is in a URL or an error."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from etabli.secrets import errors

TIMEOUT_S = 15.0


class Client:
    """The vault at one socket."""

    def __init__(self, *, socket: Path) -> None:
        # One more try of a connection that was refused: the vault restarts in a second.
        transport = httpx.AsyncHTTPTransport(uds=str(socket), retries=1)
        self._http = httpx.AsyncClient(transport=transport, base_url="http://vault/v1/", timeout=TIMEOUT_S)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def call(
        self, method: str, path: str, *, token: str | None = None, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        """What the vault answers. VaultRefused where it will not, VaultUnavailable where it cannot now."""
        headers = {"X-Vault-Token": token} if token else {}
        try:
            answer = await self._http.request(method, path, headers=headers, json=body)
        except httpx.TransportError as error:
            raise errors.VaultUnavailable(
                "the vault does not answer", hint="`etabli status` shows what runs"
            ) from error
        if answer.is_success:
            content: dict[str, Any] = answer.json() if answer.content else {}
            return content
        if answer.is_server_error or answer.status_code == httpx.codes.TOO_MANY_REQUESTS:
            raise errors.VaultUnavailable("the vault is not ready", hint="try again in a moment")
        raise errors.VaultRefused("the vault refused", status=answer.status_code, reason=_reason(answer))


def _reason(answer: httpx.Response) -> str:
    try:
        return "; ".join(map(str, answer.json().get("errors", [])))[:300]
    except ValueError:
        return ""
