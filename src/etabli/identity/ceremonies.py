"""The one seam to `webauthn`: what is asked of a browser, and whether what it answers holds (WebAuthn level 3, sections 7.1 and 7.2).

Loaded when somebody first uses a passkey: it weighs 5 MB that an idle lab does not need. Nothing is stored here.

What is checked beyond the library: that no page of another origin stood around the one that asked (`crossOrigin`; services' pages are
same-site with the portal and may name its host as relying party: the exact origin keeps them out), and the signature counter after the
signature rather than before, so that a copy is told from a forgery.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import webauthn
from webauthn.helpers import base64url_to_bytes, options_to_json, parse_client_data_json
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from etabli.identity import errors

TIMEOUT_MS = 5 * 60 * 1000
MALFORMED = (WebAuthnException, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)


@dataclass(frozen=True)
class Known:
    """A passkey as a browser names it."""

    credential_id: bytes
    transports: tuple[str, ...]


@dataclass(frozen=True)
class Made:
    """A passkey that a device just made."""

    credential_id: bytes
    public_key: bytes
    sign_count: int
    synced: bool
    transports: tuple[str, ...]


@dataclass(frozen=True)
class Answer:
    """What a browser sent, read and not believed yet."""

    content: dict[str, Any]
    challenge: bytes
    credential_id: bytes
    handle: bytes  # Whom the device named; a key that it finds by itself always does.

    def made(self, origin: str) -> Made:
        """The passkey that it makes known. WrongPasskey where it does not hold."""
        try:
            found = webauthn.verify_registration_response(
                credential=self.content,
                expected_challenge=self.challenge,
                expected_rp_id=host_of(origin),
                expected_origin=origin,
                require_user_verification=True,
            )
        except MALFORMED as error:
            raise errors.WrongPasskey() from error
        return Made(
            credential_id=found.credential_id,
            public_key=found.credential_public_key,
            sign_count=found.sign_count,
            synced=found.credential_device_type is CredentialDeviceType.MULTI_DEVICE,
            transports=tuple(one.value for one in _transports(self.content["response"].get("transports"))),
        )

    def counted(self, origin: str, *, public_key: bytes) -> int:
        """The signature counter that it carries, signed with `public_key`. WrongPasskey where it does not hold."""
        try:
            found = webauthn.verify_authentication_response(
                credential=self.content,
                expected_challenge=self.challenge,
                expected_rp_id=host_of(origin),
                expected_origin=origin,
                credential_public_key=public_key,
                credential_current_sign_count=0,  # Whoever calls compares it, once it is known to be signed.
                require_user_verification=True,
            )
        except MALFORMED as error:
            raise errors.WrongPasskey() from error
        return found.new_sign_count


def ask(origin: str, challenge: bytes) -> str:
    """The options of `navigator.credentials.get`, as JSON: any passkey of this very host, its user verified."""
    options = webauthn.generate_authentication_options(
        rp_id=host_of(origin),
        challenge=challenge,
        timeout=TIMEOUT_MS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return options_to_json(options)


def offer(
    origin: str, challenge: bytes, *, lab: str, handle: bytes, slug: str, name: str, known: Sequence[Known]
) -> str:
    """The options of `navigator.credentials.create`, as JSON: a key that the device can find by itself, its user verified."""
    options = webauthn.generate_registration_options(
        rp_id=host_of(origin),
        rp_name=lab,
        user_id=handle,
        user_name=slug,
        user_display_name=name,
        challenge=challenge,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,
            require_resident_key=True,
            user_verification=UserVerificationRequirement.REQUIRED,
        ),
        exclude_credentials=[
            PublicKeyCredentialDescriptor(id=one.credential_id, transports=_transports(one.transports)) for one in known
        ],
    )
    return options_to_json(options)


def read(credential: str) -> Answer:
    """What a browser sent as JSON. WrongPasskey where it is nothing of the kind."""
    try:
        content = json.loads(credential)
        response = content["response"]
        client = parse_client_data_json(base64url_to_bytes(response["clientDataJSON"]))
        credential_id = base64url_to_bytes(content["rawId"])
        handle = base64url_to_bytes(response.get("userHandle") or "")
    except MALFORMED as error:
        raise errors.WrongPasskey() from error
    if client.cross_origin:
        raise errors.WrongPasskey()
    return Answer(content=content, challenge=client.challenge, credential_id=credential_id, handle=handle)


def host_of(origin: str) -> str:
    """The relying party's id: the portal's host exactly, without its port."""
    return urlsplit(origin).hostname or ""


def _transports(said: object) -> list[AuthenticatorTransport]:
    known = {one.value: one for one in AuthenticatorTransport}
    return (
        [known[one] for one in said if isinstance(one, str) and one in known] if isinstance(said, list | tuple) else []
    )
