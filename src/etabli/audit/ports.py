"""What the audit log needs of others."""

from typing import Protocol


class Shelf(Protocol):
    """Where copies lie for good: the lab's own bucket."""

    async def put(self, *, key: str, content: bytes, content_type: str) -> None:
        """Store an object, whole; storing it again is safe. Unavailable where the store is away."""
        ...
