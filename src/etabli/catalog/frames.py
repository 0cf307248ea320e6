"""How the portal and the rendering worker talk: frames over pipes, 4 bytes of length (big-endian), then JSON."""

import json
import struct
from collections.abc import Mapping

HEADER = struct.Struct(">I")
MAX_REQUEST = 32 * 1024 * 1024  # Bytes of one request.


def pack(content: Mapping[str, object]) -> bytes:
    """One frame."""
    data = json.dumps(content).encode()
    return HEADER.pack(len(data)) + data
