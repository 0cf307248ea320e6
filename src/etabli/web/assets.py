"""Files that pages load: each has the hash of its content in its address, so that browsers keep it for good and never an old one."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "static"
TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Asset:
    """One file, as it is served."""

    content: bytes
    media_type: str
    address: str
    integrity: str  # Subresource Integrity, SHA-384.


class Assets:
    """Every static file, read once at start: they are few and small."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._by_name = {
            str(path.relative_to(folder)): _asset(path, folder)
            for path in sorted(folder.rglob("*"))
            if path.suffix in TYPES
        }
        self._by_address: Mapping[str, Asset] = {asset.address: asset for asset in self._by_name.values()}

    def address(self, name: str) -> str:
        """Where a page finds the file. KeyError for a name that is not there: a template's mistake."""
        return self._by_name[name].address

    def integrity(self, name: str) -> str:
        """The file's Subresource Integrity."""
        return self._by_name[name].integrity

    def find(self, address: str) -> Asset | None:
        """The file at an address; None for any other hash than its own."""
        return self._by_address.get(address)


def _asset(path: Path, folder: Path) -> Asset:
    content = path.read_bytes()
    digest = hashlib.sha256(content).hexdigest()[:16]
    return Asset(
        content=content,
        media_type=TYPES[path.suffix],
        address=f"/static/{digest}/{path.relative_to(folder)}",
        integrity="sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode(),
    )
