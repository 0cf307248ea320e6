"""The lab's own bucket: copies that outlive what is on the lab's disk. Its name is a reserved slug, so that it is nobody's."""

from etabli.storage.client import Client

BUCKET = "lab"


class OwnBucket:
    """Keeps `audit.ports.Shelf`. Every version of an object is kept."""

    def __init__(self, *, client: Client) -> None:
        self._client = client
        self._ready = False

    async def put(self, *, key: str, content: bytes, content_type: str) -> None:
        """Store an object, whole. StoreUnavailable where the store is away."""
        if not self._ready:
            await self._client.create_bucket(BUCKET)
            await self._client.enable_versioning(BUCKET)
            self._ready = True
        await self._client.put(BUCKET, key, content, content_type=content_type)
