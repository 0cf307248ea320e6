"""What keeps a backup secret and true: encryption to recipients (age), names that tell nothing, and a signature of the lab's own.

Encryption says nothing of who encrypted: anybody who knows a public key can. So the lab has two keys of its own, made once
(`keys/backup.json`, 0600, in every backup too). *Naming* is a secret of 32 bytes: a piece's name is the HMAC-SHA256 of its content,
so that equal pieces are stored once and nobody else can tell what they hold. *Signing* is an Ed25519 key: it signs each manifest,
which names every piece.

Formats: age-encryption.org/v1; HMAC (RFC 2104); Ed25519 (RFC 8032).
"""

import base64
import hashlib
import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import pyrage  # type: ignore[import-untyped] # It ships no types.
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pyrage import ssh, x25519

from etabli.kernel import errors, files

FILE = "backup.json"  # In `Layout.keys`.
SIGNER_PREFIX = "etabli-signer-"

Recipient: TypeAlias = "x25519.Recipient | ssh.Recipient"
Identity: TypeAlias = "x25519.Identity | ssh.Identity"


@dataclass(frozen=True)
class Keys:
    """The lab's own."""

    naming: bytes = field(repr=False)  # 32 bytes.
    signing: bytes = field(repr=False)  # 32 bytes, the seed of an Ed25519 key.

    @property
    def signer(self) -> str:
        """The public half of the signing key, as administrators keep it beside their identity."""
        raw = Ed25519PrivateKey.from_private_bytes(self.signing).public_key().public_bytes_raw()
        return SIGNER_PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def sign(self, content: bytes) -> bytes:
        """64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.signing).sign(content)


def keys(folder: Path) -> Keys:
    """The lab's keys for backups, made at first use."""
    fresh = {name: base64.b64encode(secrets.token_bytes(32)).decode() for name in ("naming", "signing")}
    held = json.loads(files.write_once(folder / FILE, json.dumps(fresh)))
    return Keys(naming=base64.b64decode(held["naming"]), signing=base64.b64decode(held["signing"]))


def is_signed(content: bytes, signature: bytes, *, signer: str) -> bool:
    """Whether `signer` signed it."""
    try:
        raw = base64.urlsafe_b64decode(signer.removeprefix(SIGNER_PREFIX) + "=")
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def name_of(content: bytes, naming: bytes) -> str:
    """The name of a piece: 64 hexadecimal digits."""
    return hmac.new(naming, b"name\0" + content, hashlib.sha256).hexdigest()


def mark_of(name: str, sealed: bytes, naming: bytes) -> bytes:
    """What shows without any identity that a sealed piece is the one that the lab wrote: 32 bytes."""
    return hmac.new(naming, b"sealed\0" + name.encode() + sealed, hashlib.sha256).digest()


def recipients(texts: Sequence[str]) -> list[Recipient]:
    """Public keys read. Invalid names the one that is none, Refused where there is none at all."""
    if not texts:
        raise errors.Refused(
            "backups are encrypted, and no key is set to encrypt them to",
            hint="`etabli backup keygen FILE` makes one; its public half goes in `[backup] recipients`",
        )
    return [_recipient(text.strip()) for text in texts]


def identities(path: Path) -> list[Identity]:
    """The private keys of a file: age identities, one a line, or an SSH key without a passphrase."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise errors.Invalid(
            f"`{path}` cannot be read: {error.strerror}", hint="name the file of your identity"
        ) from error
    try:
        if b"PRIVATE KEY-----" in content:
            return [ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode().splitlines()]
        found: list[Identity] = [x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")]
    except (pyrage.IdentityError, UnicodeDecodeError, ValueError) as error:
        raise errors.Invalid(f"`{path}` holds no identity", hint=_IDENTITY_HINT) from error
    if not found:
        raise errors.Invalid(f"`{path}` holds no identity", hint=_IDENTITY_HINT)
    return found


_IDENTITY_HINT = "a line `AGE-SECRET-KEY-1…`, or an OpenSSH private key without a passphrase"


def generate(path: Path) -> str:
    """Write a fresh age identity, 0600, and answer its public half. Conflict where the file is there."""
    if path.exists():
        raise errors.Conflict(f"`{path}` is there already", hint="name a file that is not")
    identity = x25519.Identity.generate()
    public = str(identity.to_public())
    try:
        files.write_atomically(path, f"# public key: {public}\n{identity}\n")
    except OSError as error:
        raise errors.Invalid(f"`{path}` cannot be written: {error.strerror}") from error
    return public


def seal(content: bytes, to: Sequence[Recipient]) -> bytes:
    """Encrypted so that each of `to` can read it."""
    return bytes(pyrage.encrypt(content, list(to)))


def unseal(sealed: bytes, by: Sequence[Identity]) -> bytes:
    """Read by one of `by`. Refused where none may, or where it is damaged."""
    try:
        return bytes(pyrage.decrypt(sealed, list(by)))
    except pyrage.DecryptError as error:
        raise errors.Refused(
            "this identity does not open the backup, or the backup is damaged",
            hint="use the identity of one of its recipients; `etabli backup verify` on the lab's machine finds damage",
        ) from error


def _recipient(text: str) -> Recipient:
    try:
        return ssh.Recipient.from_str(text) if text.startswith("ssh-") else x25519.Recipient.from_str(text)
    except (pyrage.RecipientError, ValueError) as error:
        raise errors.Invalid(
            f"`{text[:30]}…` is no public key that backups can be encrypted to",
            hint="`age1…`, `ssh-ed25519 …` or `ssh-rsa …`",
            fields={"backup.recipients": "not a public key"},
        ) from error
