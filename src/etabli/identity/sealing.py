"""What this lab alone can read, or tell for its own: secrets kept sealed, and challenges that are stored only once they are used.

One key of the lab, 0600, made once, from which each purpose has a key of its own (HMAC as a KDF, NIST SP 800-108): what is sealed for
one opens for no other. Losing the key closes second factors, never an account: an administrator's link makes them anew.
"""

import asyncio
import base64
import hashlib
import hmac
import secrets
from datetime import datetime, timedelta
from pathlib import Path

from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from etabli.identity import opaque
from etabli.kernel import errors, files
from etabli.kernel.clock import Clock

KEY_FILE = "factors-key"
CHALLENGE = timedelta(minutes=5)  # How long one may take with a passkey.
STAMP_BYTES, NONCE_BYTES, MARK_BYTES = (
    8,
    16,
    32,
)  # Of a challenge: when it ends, what makes it one of a kind, who made it.


class Seal:
    """Seals and stamps with the lab's key. `open` comes first."""

    def __init__(self, *, folder: Path, clock: Clock) -> None:
        self._file = folder / KEY_FILE
        self._clock = clock
        self._key = b""

    async def open(self) -> None:
        """Read the key, or make it."""
        self._key = await asyncio.to_thread(files.write_once, self._file, opaque.new())

    def seal(self, secret: str, *, purpose: str) -> str:
        """`secret` under A256GCM, as a compact JWE (RFC 7516)."""
        return jwe.encrypt_compact({"alg": "dir", "enc": "A256GCM"}, secret.encode(), self._oct_key(purpose))

    def unseal(self, sealed: str, *, purpose: str) -> str:
        """What was sealed for `purpose`. Refused where this lab's key opens it not."""
        try:
            plain = jwe.decrypt_compact(sealed, self._oct_key(purpose)).plaintext
        except (JoseError, ValueError) as error:
            raise errors.Refused(
                "this lab's key does not open what it keeps of a second factor",
                hint="ask an administrator for a link that removes it",
            ) from error
        return (plain or b"").decode()

    def challenge(self, *, purpose: str, visit: str) -> bytes:
        """A challenge that is good for CHALLENGE, for one purpose, in one visit."""
        ends = int((self._clock.now() + CHALLENGE).timestamp())
        stamp = ends.to_bytes(STAMP_BYTES, "big") + secrets.token_bytes(NONCE_BYTES)
        return stamp + self._mark(stamp, purpose=purpose, visit=visit)

    def end_of(self, challenge: bytes, *, purpose: str, visit: str) -> datetime | None:
        """When a challenge of ours ends; None where we did not make it for that purpose in that visit, or it has ended."""
        stamp, mark = challenge[:-MARK_BYTES], challenge[-MARK_BYTES:]
        if len(stamp) != STAMP_BYTES + NONCE_BYTES:
            return None
        if not hmac.compare_digest(mark, self._mark(stamp, purpose=purpose, visit=visit)):
            return None
        now = self._clock.now()
        ends = datetime.fromtimestamp(int.from_bytes(stamp[:STAMP_BYTES], "big"), tz=now.tzinfo)
        # One made while the clock was ahead is not ours to accept for longer.
        return ends if now < ends <= now + CHALLENGE else None

    def handle(self, user_id: str) -> bytes:
        """What devices know a person by: 32 bytes that nobody can tell who does not have the key, always the same."""
        return self._derived(f"handle {user_id}")

    def _mark(self, stamp: bytes, *, purpose: str, visit: str) -> bytes:
        return hmac.new(self._derived(f"challenge {purpose}"), stamp + visit.encode(), hashlib.sha256).digest()

    def _oct_key(self, purpose: str) -> OctKey:
        key = base64.urlsafe_b64encode(self._derived(f"seal {purpose}")).rstrip(b"=").decode()
        return OctKey.import_key({"kty": "oct", "k": key})

    def _derived(self, purpose: str) -> bytes:
        return hmac.new(self._key, purpose.encode(), hashlib.sha256).digest()
