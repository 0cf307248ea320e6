"""Opaque tokens: 32 random bytes for whoever holds them, their SHA-256 for us. A stolen database opens nothing.

256 random bits cannot be guessed, so a plain hash is enough, and looking one up by an index tells nothing by its timing.
"""

import hashlib
import secrets

BYTES = 32
LONGEST = 200  # Characters; a longer text cannot be ours, and is not hashed.


def new() -> str:
    """A fresh token: 43 characters that are safe in URLs, headers and files."""
    return secrets.token_urlsafe(BYTES)


def digest(token: str) -> str:
    """What we store of a token: SHA-256, in hexadecimal. Any text is accepted; what is not ours matches nothing."""
    return digest_text(token[:LONGEST])


def digest_text(text: str) -> str:
    """SHA-256 of any text, in hexadecimal: a key that tells nothing of what it stands for."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
