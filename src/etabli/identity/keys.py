"""The keys that sign tokens, and their rotation.

Every key is published before it signs (PUBLISH_AHEAD: longer than anyone caches the key set) and stays published until the last token
it may have signed has expired, so that no verifier ever meets a key it cannot know. The newest key whose turn has come signs.

All keys live in one file, 0600, replaced whole: a kill leaves the old set or the new one. The public halves are written beside it
(`jwks.json`), for the authoriser to serve to S3 and the vault. RS256, since every OpenID client must know it (OpenID Connect Discovery
1.0, section 3).
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import cast

import structlog
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey

from etabli.kernel import errors, files
from etabli.kernel.clock import Clock

log = structlog.get_logger()

ALGORITHM = "RS256"
KEY_BITS = 2048
PUBLISH_AHEAD = timedelta(hours=1)
CACHE = timedelta(minutes=5)  # How long readers of the key set may keep it.
LONGEST_TOKEN = timedelta(hours=12)  # No token lives longer; an S3 session may have 12 hours at most too.
PRIVATE_FILE = "signing-keys.json"
PUBLIC_FILE = "jwks.json"


@dataclass(frozen=True)
class SigningKey:
    """One key, and when its turn comes."""

    key: RSAKey
    created_at: datetime
    signs_from: datetime

    @property
    def kid(self) -> str:
        """Its name in token headers: its thumbprint (RFC 7638)."""
        return self.key.thumbprint()


class KeyRing:
    """The signing keys of one lab. One process at a time may hold it open: the portal."""

    def __init__(self, *, folder: Path, clock: Clock, period: timedelta) -> None:
        self._folder = folder
        self._clock = clock
        self._period = period
        self._keys: tuple[SigningKey, ...] = ()  # Oldest first.
        self._public = KeySet([])
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Read the keys, or make the first one; publish their public halves. To be called before anything else."""
        async with self._changing:
            keys = await asyncio.to_thread(_read, self._folder / PRIVATE_FILE)
            if not keys:
                now = self._clock.now()
                keys = (await asyncio.to_thread(_make, now, now),)
            await self._keep(keys)

    def signing(self) -> SigningKey:
        """The key to sign with now: the newest whose turn has come; the oldest where the clock went back before all."""
        now = self._clock.now()
        due = [key for key in self._keys if key.signs_from <= now]
        return due[-1] if due else self._keys[0]

    def public(self) -> KeySet:
        """The keys to verify with."""
        return self._public

    def jwks(self) -> Mapping[str, object]:
        """The JSON Web Key Set (RFC 7517 section 5), public halves only."""
        return _jwks(self._keys)

    async def tend(self) -> None:
        """Do what is due: make the next key, forget those whose last token has expired. To be called now and then."""
        async with self._changing:
            now = self._clock.now()
            keys = tuple(_sane(key, now) for key in self._keys)
            if now - keys[-1].signs_from >= self._period:
                keys = (*keys, await asyncio.to_thread(_make, now, now + PUBLISH_AHEAD))
                log.info("signing key made", kid=keys[-1].kid)
            keys = _unexpired(keys, now)
            if keys != self._keys:
                await self._keep(keys)

    async def rotate(self) -> None:
        """Make the next key now, whatever the age of the last; it signs after PUBLISH_AHEAD."""
        async with self._changing:
            now = self._clock.now()
            await self._keep((*self._keys, await asyncio.to_thread(_make, now, now + PUBLISH_AHEAD)))

    async def _keep(self, keys: tuple[SigningKey, ...]) -> None:
        # Public first: a key that was published and never signed harms nobody, the reverse would.
        await asyncio.to_thread(_write_public, self._folder / PUBLIC_FILE, keys)
        await asyncio.to_thread(_write_private, self._folder / PRIVATE_FILE, keys)
        self._keys = keys
        self._public = KeySet([RSAKey.import_key(key.key.as_dict(private=False)) for key in keys])


def _make(created_at: datetime, signs_from: datetime) -> SigningKey:
    key = RSAKey.generate_key(KEY_BITS, parameters={"use": "sig", "alg": ALGORITHM}, private=True)
    return SigningKey(key=key, created_at=created_at, signs_from=signs_from)


def _sane(key: SigningKey, now: datetime) -> SigningKey:
    """A key made while the clock was ahead has its turn when one made now would."""
    return (
        key
        if key.created_at <= now
        else replace(key, created_at=now, signs_from=min(key.signs_from, now + PUBLISH_AHEAD))
    )


def _unexpired(keys: tuple[SigningKey, ...], now: datetime) -> tuple[SigningKey, ...]:
    """The keys that may still have signed a token that lives: all but those whose successor took over long enough ago."""
    successors = pairwise(keys)
    old = {key.kid for key, successor in successors if successor.signs_from + LONGEST_TOKEN + PUBLISH_AHEAD <= now}
    return tuple(key for key in keys if key.kid not in old)


def _jwks(keys: tuple[SigningKey, ...]) -> Mapping[str, object]:
    return {"keys": [{**key.key.as_dict(private=False), "kid": key.kid} for key in keys]}


def _write_public(path: Path, keys: tuple[SigningKey, ...]) -> None:
    files.write_atomically(path, json.dumps(_jwks(keys)))


def _write_private(path: Path, keys: tuple[SigningKey, ...]) -> None:
    stored = [
        {
            "created_at": key.created_at.isoformat(),
            "signs_from": key.signs_from.isoformat(),
            "key": key.key.as_dict(private=True),
        }
        for key in keys
    ]
    files.write_atomically(path, json.dumps({"version": 1, "keys": stored}))


def _read(path: Path) -> tuple[SigningKey, ...]:
    try:
        content = json.loads(path.read_text())
        return tuple(_read_key(item) for item in content["keys"])
    except FileNotFoundError:
        return ()
    except (ValueError, KeyError, TypeError, JoseError) as error:
        raise errors.Refused(
            f"`{path}` holds no keys that can be read",
            hint="restore it from a backup, or remove it: tokens already given then stop working",
        ) from error


def _read_key(item: Mapping[str, object]) -> SigningKey:
    return SigningKey(
        key=RSAKey.import_key(cast("dict[str, str | list[str]]", item["key"])),
        created_at=datetime.fromisoformat(str(item["created_at"])),
        signs_from=datetime.fromisoformat(str(item["signs_from"])),
    )
