"""The form of tokens that programs carry: recognised by scanners, checked without a database, and never stored as they are.

`etabli_pat_` (a person's) or `etabli_sat_` (a service account's), 32 random bytes, CRC-32 of what stands before it: the last two in
base 62, so that a double click takes the whole. As GitHub's, for the same reasons: a prefix that a search of sources finds, and a
checksum by which such a search tells a token from what only looks like one ("Behind GitHub's new authentication token formats", 2021).
"""

import re
import secrets
import string
import zlib
from enum import StrEnum

from etabli.identity import opaque

ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
RANDOM_LENGTH = 43  # 62^43 is above 2^256.
CHECKSUM_LENGTH = 6  # 62^6 is above 2^32.
PATTERN = re.compile(rf"etabli_(pat|sat)_[0-9A-Za-z]{{{RANDOM_LENGTH + CHECKSUM_LENGTH}}}")


class Kind(StrEnum):
    """Who a token speaks for."""

    PERSONAL = "pat"
    SERVICE_ACCOUNT = "sat"


def new(kind: Kind) -> str:
    """A fresh token: 60 characters."""
    body = f"etabli_{kind}_" + _base62(int.from_bytes(secrets.token_bytes(opaque.BYTES)), RANDOM_LENGTH)
    return body + _checksum(body)


def is_well_formed(text: str) -> bool:
    """Whether `text` may be a token of ours: its form and its checksum. Says nothing of whether it is good."""
    return PATTERN.fullmatch(text) is not None and _checksum(text[:-CHECKSUM_LENGTH]) == text[-CHECKSUM_LENGTH:]


def _checksum(body: str) -> str:
    return _base62(zlib.crc32(body.encode()), CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, len(ALPHABET))
        digits = ALPHABET[digit] + digits
    return digits
