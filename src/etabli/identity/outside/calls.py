"""Calls to a provider: short, bounded, without redirects; one seam for what can go wrong on the way."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import httpx
import structlog

from etabli.kernel import errors

log = structlog.get_logger()

CONNECT_SECONDS = 3.0
CALL_SECONDS = 8.0  # From the first byte sent to the last one read.
LARGEST = 1 << 20  # Bytes of one answer: a key set or a person's claims have a few thousand.


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    kind: str  # The media type, without parameters.
    body: bytes

    def table(self) -> Mapping[str, object] | None:
        """The JSON object that it is; None where it is none."""
        found = self.json()
        return {str(name): value for name, value in found.items()} if isinstance(found, dict) else None

    def json(self) -> object:
        """The JSON that it is; None where it is none."""
        try:
            found: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return found


class Calls:
    """A client of one provider, made when it is first needed: the machine's authorities take memory, which an idle lab spares."""

    def __init__(self, *, name: str, authorities: Path | None) -> None:
        self._name = name
        self._authorities = authorities
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        auth: httpx.Auth | None = None,
    ) -> Answer:
        """One call. Unavailable where the provider does not answer in time, answers too much, or says it is not well (5xx)."""
        if self._client is None:
            self._client = await asyncio.to_thread(self._make)
        asking = self._client.stream(method, url, headers=headers, data=form, auth=auth or httpx.USE_CLIENT_DEFAULT)
        try:
            async with asyncio.timeout(CALL_SECONDS), asking as response:
                body = b""
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > LARGEST:
                        raise self._down(f"more than {LARGEST} bytes")
                status = response.status_code
                kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
            raise self._down(type(error).__name__) from error
        if status >= 500 or status == 429:
            raise self._down(f"status {status}")
        return Answer(status=status, kind=kind, body=body)

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.aclose()

    def _make(self) -> httpx.AsyncClient:
        context: ssl.SSLContext | bool = True  # The machine's, and what SSL_CERT_FILE names.
        if self._authorities is not None:
            context = httpx.create_ssl_context()
            try:
                context.load_verify_locations(self._authorities)
            except OSError as error:
                raise self._down(f"authorities: {error}") from error
        return httpx.AsyncClient(verify=context, timeout=httpx.Timeout(CALL_SECONDS, connect=CONNECT_SECONDS))

    def _down(self, why: str) -> errors.Unavailable:
        log.warning("an outside provider does not answer", provider=self._name, why=why)
        return errors.Unavailable(
            f"`{self._name}` does not answer", hint="sign in another way, or try again in a minute", why=why
        )
