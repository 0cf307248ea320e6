"""What a copy of a whole store takes: every bucket with its settings, every version of every object, read and written by pieces.

Version ids are the store's own to give: an object that is put back has the same content, headers, tags and order among its versions,
and other ids. Order within a key is the listing's: S3 lists versions newest first ("Listing objects in a versioning-enabled bucket").
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode
from xml.etree import ElementTree
from xml.sax.saxutils import escape

import httpx
from botocore.auth import S3SigV4QueryAuth  # type: ignore[import-untyped] # It ships no types.
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped] # It ships no types.

from etabli.storage import errors
from etabli.storage.client import XMLNS, Client, failure

PAGE = 1000
PRESIGNED_SECONDS = 3600
# Headers that belong to the object, beside `x-amz-meta-*`.
HEADERS = ("content-type", "cache-control", "content-disposition", "content-encoding", "content-language", "expires")
META, TAGS = "x-amz-meta-", "x-amz-tagging"
SETTINGS: Mapping[str, frozenset[str]] = {  # Sub-resources of a bucket → what the store says where there is none.
    "policy": frozenset({"NoSuchBucketPolicy"}),
    "cors": frozenset({"NoSuchCORSConfiguration"}),
    "lifecycle": frozenset({"NoSuchLifecycleConfiguration"}),
    "tagging": frozenset({"NoSuchTagSet", "NoSuchTagSetError"}),
}
PART_SIZES_MIB = (8, 5, 16, 10, 15, 20, 25, 32, 50, 64, 100, 128, 256, 512, 1024)


@dataclass(frozen=True)
class Version:
    """One version of an object, or the mark that it was deleted."""

    bucket: str
    key: str
    id: str
    is_mark: bool
    modified: str  # As the store says it.
    etag: str = ""
    size: int = 0

    @property
    def stamp(self) -> str:
        """Differs where the content may: ids alone are `null` where versions are not kept."""
        return f"{self.etag}:{self.size}:{self.modified}"


class CopyingClient(Client):
    """The lab's own client, for whole stores."""

    async def buckets(self) -> list[str]:
        """The names of all."""
        document = ElementTree.fromstring((await self._call("GET", "/")).content)
        return [element.text or "" for element in document.iter(f"{{{XMLNS}}}Name")]

    async def settings(self, bucket: str) -> dict[str, str]:
        """Policy, CORS, lifecycle and tags of a bucket, as the store gives them, those that it has; and `versioning`."""
        found = {"versioning": await self.versioning(bucket) or ""}
        for name, none in SETTINGS.items():
            try:
                found[name] = (await self._call("GET", f"/{bucket}", query={name: ""})).text
            except errors.StoreRefused as error:
                if error.code not in none:
                    raise
        return found

    async def put_settings(self, bucket: str, settings: Mapping[str, str]) -> None:
        """The same, written; `versioning` aside, which `set_versioning` writes last."""
        for name in SETTINGS:
            if content := settings.get(name):
                await self._call("PUT", f"/{bucket}", query={name: ""}, body=content.encode())

    async def set_versioning(self, bucket: str, status: str) -> None:
        """`Enabled` or `Suspended`."""
        body = f'<VersioningConfiguration xmlns="{XMLNS}"><Status>{status}</Status></VersioningConfiguration>'
        await self._call("PUT", f"/{bucket}", query={"versioning": ""}, body=body.encode())

    async def versions(self, bucket: str) -> AsyncIterator[Version]:
        """Every version, keys in order, the newest of each first."""
        after: dict[str, str] = {}
        while True:
            query = {"max-keys": str(PAGE), "versions": "", **after}
            document = ElementTree.fromstring((await self._call("GET", f"/{bucket}", query=query)).content)
            for version in _versions(document, bucket):
                yield version
            if document.findtext(f"{{{XMLNS}}}IsTruncated") != "true":
                return
            after = {
                "key-marker": document.findtext(f"{{{XMLNS}}}NextKeyMarker") or "",
                "version-id-marker": document.findtext(f"{{{XMLNS}}}NextVersionIdMarker") or "",
            }

    @asynccontextmanager
    async def reading(self, version: Version) -> AsyncIterator[tuple[dict[str, str], AsyncIterator[bytes]]]:
        """Its headers and its content, as it comes. StoreRefused with status 404 where it is no more."""
        url = self._presigned("GET", version.bucket, version.key, {"versionId": version.id})
        request = httpx.Request("GET", url, headers={"Accept-Encoding": "identity"})
        try:
            answer = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise errors.StoreUnavailable(
                "the object store does not answer", hint="`etabli status` shows it"
            ) from error
        try:
            if not answer.is_success:
                await answer.aread()
                raise failure(answer)
            yield await self._headers(version, answer.headers), answer.aiter_raw()
        except httpx.TransportError as error:
            raise errors.StoreUnavailable("the object store went away", hint="`etabli status` shows it") from error
        finally:
            await answer.aclose()

    async def write(
        self,
        bucket: str,
        key: str,
        content: AsyncIterator[bytes],
        *,
        size: int,
        headers: Mapping[str, str],
        parts: Sequence[int] = (),
    ) -> None:
        """Store an object as it comes. `parts` are the sizes of its parts where it was uploaded so, which its ETag tells."""
        if parts:
            await self._write_parts(bucket, key, content, parts, headers)
            return
        url = self._presigned("PUT", bucket, key, {}, headers)
        request = httpx.Request("PUT", url, headers={**headers, "Content-Length": str(size)}, content=content)
        await self._send(request)

    async def delete(self, bucket: str, key: str) -> None:
        """Delete an object; where versions are kept, that leaves a mark."""
        await self._call("DELETE", f"/{bucket}/{quote(key)}")

    async def _write_parts(
        self, bucket: str, key: str, content: AsyncIterator[bytes], parts: Sequence[int], headers: Mapping[str, str]
    ) -> None:
        path = f"/{bucket}/{quote(key)}"
        begun = await self._call("POST", path, query={"uploads": ""}, headers=headers)
        upload = ElementTree.fromstring(begun.content).findtext(f"{{{XMLNS}}}UploadId") or ""
        source, told = _Source(content), ""
        for number, size in enumerate(parts, start=1):
            url = self._presigned("PUT", bucket, key, {"partNumber": str(number), "uploadId": upload})
            body = source.take(size)
            answer = await self._send(httpx.Request("PUT", url, headers={"Content-Length": str(size)}, content=body))
            told += f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(answer.headers['etag'])}</ETag></Part>"
        done = f'<CompleteMultipartUpload xmlns="{XMLNS}">{told}</CompleteMultipartUpload>'
        await self._call("POST", path, query={"uploadId": upload}, body=done.encode())

    async def _headers(self, version: Version, answered: httpx.Headers) -> dict[str, str]:
        """Those of the object, tags as the header that gives them back."""
        held = {name: value for name, value in answered.items() if name in HEADERS or name.startswith(META)}
        if int(answered.get("x-amz-tagging-count") or 0):
            query = {"tagging": "", "versionId": version.id}
            document = (await self._call("GET", f"/{version.bucket}/{quote(version.key)}", query=query)).content
            held[TAGS] = urlencode([_tag(tag) for tag in ElementTree.fromstring(document).iter(f"{{{XMLNS}}}Tag")])
        return held

    def _presigned(
        self, method: str, bucket: str, key: str, query: Mapping[str, str], headers: Mapping[str, str] | None = None
    ) -> str:
        """An address whose signature says nothing of the content, which is not known before it is sent."""
        url = f"{self._origin}/{bucket}/{quote(key)}" + (f"?{urlencode(query)}" if query else "")
        signed = AWSRequest(method=method, url=url, headers=dict(headers or {}))
        S3SigV4QueryAuth(self._signing_keys(), "s3", self._region, expires=PRESIGNED_SECONDS).add_auth(signed)
        return str(signed.url)


class _Source:
    """What comes in pieces, given in lengths that were asked for."""

    def __init__(self, content: AsyncIterator[bytes]) -> None:
        self._content, self._rest = content, b""

    async def take(self, size: int) -> AsyncIterator[bytes]:
        while size:
            if not self._rest:
                self._rest = await anext(self._content)
            taken, self._rest = self._rest[:size], self._rest[size:]
            size -= len(taken)
            yield taken


def parts_of(etag: str, size: int) -> tuple[int, ...]:
    """The sizes of the parts that an object was uploaded in, guessed from its ETag (`<md5>-<count>`) and the sizes that tools use.

    Empty where it was uploaded whole.
    """
    count = int(etag.rpartition("-")[2]) if "-" in etag else 0
    if not count:
        return ()
    sizes = (mib << 20 for mib in PART_SIZES_MIB)
    part = next((one for one in sizes if -(-size // one) == count), max(-(-size // count), 5 << 20))
    return tuple(min(part, size - start) for start in range(0, size, part)) or (0,)


def _versions(document: ElementTree.Element, bucket: str) -> Iterator[Version]:
    for element in document:
        kind = element.tag.rpartition("}")[2]
        if kind not in {"Version", "DeleteMarker"}:
            continue
        text = {child.tag.rpartition("}")[2]: child.text or "" for child in element}
        yield Version(
            bucket=bucket,
            key=text["Key"],
            id=text["VersionId"],
            is_mark=kind == "DeleteMarker",
            modified=text["LastModified"],
            etag=text.get("ETag", "").strip('"'),
            size=int(text.get("Size") or 0),
        )


def _tag(element: ElementTree.Element) -> tuple[str, str]:
    return element.findtext(f"{{{XMLNS}}}Key") or "", element.findtext(f"{{{XMLNS}}}Value") or ""
