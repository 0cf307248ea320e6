"""The lab's own S3 client: requests signed by botocore's SigV4, carried by httpx over the store's UNIX socket.

The host is part of what is signed, and the store compares it with the address that everybody uses: URLs are the public ones, and
only the transport knows of the socket. One class, because the lab needs nine calls, not a client library of three hundred.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

import httpx
from botocore.auth import S3SigV4Auth  # type: ignore[import-untyped] # It ships no types.
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped] # It ships no types.
from botocore.credentials import Credentials as BotoCredentials  # type: ignore[import-untyped] # It ships no types.

from etabli.storage import errors, models

XMLNS = "http://s3.amazonaws.com/doc/2006-03-01/"
TIMEOUT_S = 30.0
NO_BUCKET = "NoSuchBucket"
SESSION_NAME_LENGTH = 64  # STS allows no more.


class Client:
    """S3 and STS at one socket. `origin` is where everybody else finds them."""

    def __init__(self, *, socket: Path, origin: str, region: str, keys: models.Keys) -> None:
        # The socket speaks plain HTTP whatever the front door speaks: the host is signed, the scheme is not.
        self._origin, self._region, self._keys = f"http://{urlsplit(origin).netloc}", region, keys
        # No retries of a request that was sent: the caller knows whether repeating is safe. One of a connection that was refused.
        transport = httpx.AsyncHTTPTransport(uds=str(socket), retries=1)
        self._http = httpx.AsyncClient(transport=transport, timeout=TIMEOUT_S)

    async def close(self) -> None:
        """Close every connection."""
        await self._http.aclose()

    async def assume_role(self, *, token: str, role: str, session: str) -> models.Credentials:
        """Temporary keys for the bearer of an ID token (STS AssumeRoleWithWebIdentity). They live as long as the store says."""
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": session[:SESSION_NAME_LENGTH],
            "WebIdentityToken": token,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = await self._send(httpx.Request("POST", f"{self._origin}/", headers=headers, content=urlencode(form)))
        return _credentials(answer.text)

    async def create_bucket(self, bucket: str) -> None:
        """Make a bucket; that it is there already is success."""
        try:
            await self._call("PUT", f"/{bucket}")
        except errors.StoreRefused as error:
            if error.code not in {"BucketAlreadyExists", "BucketAlreadyOwnedByYou"}:
                raise

    async def versioning(self, bucket: str) -> str | None:
        """`Enabled`, `Suspended`, or None where nobody ever chose."""
        answer = await self._call("GET", f"/{bucket}", query={"versioning": ""})
        return ElementTree.fromstring(answer.content).findtext(f"{{{XMLNS}}}Status")

    async def enable_versioning(self, bucket: str) -> None:
        """Keep what is overwritten or deleted from now on."""
        body = f'<VersioningConfiguration xmlns="{XMLNS}"><Status>Enabled</Status></VersioningConfiguration>'
        await self._call("PUT", f"/{bucket}", query={"versioning": ""}, body=body.encode())

    async def bucket_policy(self, bucket: str) -> str | None:
        """The bucket's policy as it stands, JSON; None where it has none."""
        try:
            return (await self._call("GET", f"/{bucket}", query={"policy": ""})).text
        except errors.StoreRefused as error:
            if error.code == "NoSuchBucketPolicy":
                return None
            raise

    async def put_bucket_policy(self, bucket: str, policy: str) -> None:
        """Replace the bucket's policy."""
        await self._call("PUT", f"/{bucket}", query={"policy": ""}, body=policy.encode())

    async def exists(self, bucket: str, key: str) -> bool:
        """Whether there is an object of that key."""
        try:
            await self._call("HEAD", f"/{bucket}/{quote(key)}")
        except errors.StoreRefused as error:
            if error.status == httpx.codes.NOT_FOUND:
                return False
            raise
        return True

    async def is_untouched(self, bucket: str) -> bool:
        """Whether the bucket never held anything: no object, no older version, no trace of a deletion."""
        answer = await self._call("GET", f"/{bucket}", query={"max-keys": "1", "versions": ""})
        document = ElementTree.fromstring(answer.content)
        return all(document.find(f"{{{XMLNS}}}{name}") is None for name in ("Version", "DeleteMarker"))

    async def size(self, bucket: str, *, page: int = 1000) -> tuple[int, int]:
        """Objects and bytes of a bucket, as they stand; older versions are not counted. None and none where there is no bucket.

        `page` is how many are asked for at once.
        """
        objects, size, token = 0, 0, ""
        while True:
            query = {"list-type": "2", "max-keys": str(page)} | ({"continuation-token": token} if token else {})
            try:
                answer = await self._call("GET", f"/{bucket}", query=query)
            except errors.StoreRefused as error:
                if error.code == "NoSuchBucket":
                    return 0, 0
                raise
            document = ElementTree.fromstring(answer.content)
            sizes = [int(one.text or 0) for one in document.iter(f"{{{XMLNS}}}Size")]
            objects, size = objects + len(sizes), size + sum(sizes)
            token = document.findtext(f"{{{XMLNS}}}NextContinuationToken") or ""
            if not token:
                return objects, size

    async def held(self, bucket: str) -> tuple[tuple[str, str], ...]:
        """Some of what a bucket holds, older versions and traces of deletions too: keys and versions; empty where it holds nothing."""
        answer = await self._call("GET", f"/{bucket}", query={"versions": ""})
        document = ElementTree.fromstring(answer.content)
        found = [one for kind in ("Version", "DeleteMarker") for one in document.findall(f"{{{XMLNS}}}{kind}")]
        texts = [[one.findtext(f"{{{XMLNS}}}{name}") or "" for name in ("Key", "VersionId")] for one in found]
        return tuple((key, version) for key, version in texts)

    async def delete_version(self, bucket: str, key: str, version: str) -> None:
        """Remove one version of an object for good. Already gone is success."""
        await self._call("DELETE", f"/{bucket}/{quote(key)}", query={"versionId": version} if version else None)

    async def delete_bucket(self, bucket: str) -> None:
        """Remove an empty bucket. Already gone is success."""
        try:
            await self._call("DELETE", f"/{bucket}")
        except errors.StoreRefused as error:
            if error.code != NO_BUCKET:
                raise

    async def put(
        self, bucket: str, key: str, content: bytes, *, content_type: str = "application/octet-stream"
    ) -> None:
        """Store an object, whole."""
        await self._call("PUT", f"/{bucket}/{quote(key)}", body=content, headers={"Content-Type": content_type})

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        # A space in a query is signed as %20, not as a plus (SigV4, "UriEncode").
        asked = "?" + urlencode(query, quote_via=quote, safe="") if query else ""
        url = f"{self._origin}{path}{asked}"
        signed = AWSRequest(method=method, url=url, data=body, headers=dict(headers or {}))
        S3SigV4Auth(self._signing_keys(), "s3", self._region).add_auth(signed)
        return await self._send(httpx.Request(method, url, headers=dict(signed.headers.items()), content=body))

    def _signing_keys(self) -> BotoCredentials:
        return BotoCredentials(self._keys.access_key, self._keys.secret_key, self._keys.token)

    async def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            answer = await self._http.send(request)
        except httpx.TransportError as error:
            raise errors.StoreUnavailable(
                "the object store does not answer", hint="`etabli status` shows what runs"
            ) from error
        if answer.is_success:
            return answer
        raise failure(answer)


def failure(answer: httpx.Response) -> errors.StoreUnavailable | errors.StoreRefused:
    """What an answer that is no success says."""
    code = _code(answer.content) or f"HTTP {answer.status_code}"
    if answer.is_server_error:
        return errors.StoreUnavailable(f"the object store failed: `{code}`", hint="try again in a moment")
    return errors.StoreRefused(f"the object store refused: `{code}`", code=code, status=answer.status_code)


def _code(content: bytes) -> str | None:
    """The error's name in what S3 (`<Error><Code>`) or STS (`<ErrorResponse><Error><Code>`) answered."""
    try:
        root = ElementTree.fromstring(content)
    except ElementTree.ParseError:
        return None
    return next((element.text for element in root.iter() if element.tag.rpartition("}")[2] == "Code"), None)


def _credentials(document: str) -> models.Credentials:
    fields = {element.tag.rpartition("}")[2]: element.text or "" for element in ElementTree.fromstring(document).iter()}
    expires_at = datetime.fromisoformat(fields["Expiration"]).astimezone(UTC)
    keys = models.Keys(fields["AccessKeyId"], fields["SecretAccessKey"], fields["SessionToken"])
    return models.Credentials(keys=keys, expires_at=expires_at)
