"""A place for backups in an S3 store elsewhere: each file an object below a prefix.

Requests are signed with AWS Signature 4. Whole objects of a few MiB alone, so that nothing is left half-written: S3 shows an object
once it is whole.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import quote, urlencode
from xml.etree import ElementTree

import httpx
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped] # It ships no types.
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped] # It ships no types.
from botocore.credentials import Credentials  # type: ignore[import-untyped] # It ships no types.

from etabli.kernel import errors

XMLNS = "{http://s3.amazonaws.com/doc/2006-03-01/}"
TIMEOUT_S = 120.0
TRIES = 3


@dataclass(frozen=True)
class Target:
    """Where, and with which keys."""

    endpoint: str
    region: str
    bucket: str
    prefix: str
    access_key: str
    secret_key: str = field(repr=False)


class Sender(Protocol):
    """What carries a request; `httpx.Client` does."""

    def send(self, request: httpx.Request) -> httpx.Response: ...


class S3Place:
    """Keeps `places.Place`."""

    def __init__(self, target: Target, *, http: Sender | None = None) -> None:
        self._target = target
        self._http = http or httpx.Client(timeout=TIMEOUT_S, transport=httpx.HTTPTransport(retries=2))

    def describe(self) -> str:
        return f"s3://{self._target.bucket}/{self._target.prefix}".rstrip("/")

    def read(self, name: str) -> bytes:
        answer = self._call("GET", name)
        if answer.status_code == httpx.codes.NOT_FOUND:
            raise errors.NotFound(f"`{name}` is not in the backup at `{self.describe()}`")
        return self._well(answer).content

    def write(self, name: str, content: bytes) -> None:
        self._well(self._call("PUT", name, content=content))

    def exists(self, name: str) -> bool:
        answer = self._call("HEAD", name)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return False
        self._well(answer)
        return True

    def names(self, prefix: str) -> Iterator[str]:
        token: dict[str, str] = {}
        inner = len(self._key(""))
        while True:
            query = {"list-type": "2", "prefix": self._key(prefix) + "/", **token}
            document = ElementTree.fromstring(self._well(self._call("GET", None, query=query)).content)
            for key in document.iter(f"{XMLNS}Key"):
                yield (key.text or "")[inner:]
            if document.findtext(f"{XMLNS}IsTruncated") != "true":
                return
            token = {"continuation-token": document.findtext(f"{XMLNS}NextContinuationToken") or ""}

    def remove(self, name: str) -> None:
        answer = self._call("DELETE", name)
        if answer.status_code != httpx.codes.NOT_FOUND:
            self._well(answer)

    def _key(self, name: str) -> str:
        return f"{self._target.prefix}/{name}" if self._target.prefix else name

    def _call(
        self, method: str, name: str | None, *, query: Mapping[str, str] | None = None, content: bytes = b""
    ) -> httpx.Response:
        path = f"/{self._target.bucket}" + ("" if name is None else f"/{quote(self._key(name))}")
        # Sorted, as the signature has them.
        url = self._target.endpoint + path + (f"?{urlencode(sorted(query.items()))}" if query else "")
        for left in reversed(range(TRIES)):
            signed = AWSRequest(method=method, url=url, data=content)
            keys = Credentials(self._target.access_key, self._target.secret_key)
            S3SigV4Auth(keys, "s3", self._target.region).add_auth(signed)
            request = httpx.Request(method, url, headers=dict(signed.headers.items()), content=content)
            try:
                answer = self._http.send(request)
            except httpx.TransportError as error:
                if not left:
                    raise errors.Unavailable(
                        f"the store of the backups at `{self._target.endpoint}` does not answer",
                        hint="the earlier backups are whole; the next run goes on from what is there",
                    ) from error
                continue
            if not answer.is_server_error or not left:
                return answer
        raise AssertionError("the last try answers or raises")

    def _well(self, answer: httpx.Response) -> httpx.Response:
        if answer.is_success:
            return answer
        kind = errors.Unavailable if answer.is_server_error else errors.Refused
        raise kind(
            f"the store of the backups refused: HTTP {answer.status_code}",
            hint="its bucket, its keys (`keys/backup-s3.json`) and `[backup] endpoint` and `region`",
        )
