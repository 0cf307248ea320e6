"""Signed words of a provider: ID tokens, and userinfo where it is signed too. Believed whole or not at all.

OpenID Connect Core 1.0 sections 3.1.3.7 and 5.3.2; RFC 8725. The algorithm is one that the provider announces and we accept
(`directory.ALGORITHMS`), and the key is one of its public ones of the kind that the algorithm needs, whatever the token says of
itself.
"""

import base64
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from joserfc import jws, jwt
from joserfc.errors import JoseError

from etabli.identity.outside.directory import PublicKey
from etabli.identity.outside.models import LONGEST_SUBJECT, Claims

LONGEST = 64 << 10  # Characters of one token; an ordinary one has two thousand.
LONGEST_LIFE = timedelta(minutes=15)  # How old an ID token may be: it was made for this very answer.
_MOMENTS = (("iat", None), ("exp", None), ("nbf", 0))
_KINDS = {"R": "RSA", "P": "RSA", "ES": "EC", "Ed": "OKP"}


class NotBelieved(Exception):
    """Why a token is not believed, in words that hold none of what it says of a person."""


class UnknownKey(NotBelieved):
    """It names a key that is not known (yet)."""


@dataclass(frozen=True)
class Expected:
    """What a token must say to be for us, now."""

    issuer: str
    client_id: str
    algorithms: Collection[str]
    now: datetime
    leeway: timedelta


def read(token: str, *, keys: Sequence[PublicKey], expected: Expected, nonce: str) -> Claims:
    """The claims of an ID token made for this answer. NotBelieved, or UnknownKey, where they are not to be believed."""
    claims = signed(token, keys=keys, algorithms=expected.algorithms)
    _check_parties(claims, expected)
    _check_time(claims, expected)
    if claims.get("nonce") != nonce:
        raise NotBelieved("its nonce is not the one that was sent")
    check_subject(claims)
    return claims


def read_userinfo(token: str, *, keys: Sequence[PublicKey], expected: Expected) -> Claims:
    """The claims of a signed userinfo (Core 5.3.2: `iss` and `aud` as in an ID token). NotBelieved as above."""
    claims = signed(token, keys=keys, algorithms=expected.algorithms)
    _check_parties(claims, expected)
    return claims


def signed(token: str, *, keys: Sequence[PublicKey], algorithms: Collection[str]) -> Claims:
    """The claims under a signature that holds."""
    if len(token) > LONGEST or token.count(".") != 2:
        raise NotBelieved("it is no signed token")
    header = _header(token)
    algorithm, name = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in algorithms:
        raise NotBelieved(f"it is signed by `{str(algorithm)[:20]}`, which is not accepted from this provider")
    kind = _KINDS.get(algorithm[:1]) or _KINDS.get(algorithm[:2])
    fitting = [key for key in keys if key.key_type == kind and name in (None, key.kid)]
    if not fitting:
        raise UnknownKey("it is signed by a key that the provider does not list")
    registry = jws.JWSRegistry(
        algorithms=[algorithm], strict_check_header=False
    )  # RFC 7515 4: unknown ones are ignored.
    for key in fitting:
        try:
            return jwt.decode(token, key, registry=registry).claims
        except (JoseError, ValueError, RecursionError):
            continue
    raise NotBelieved("its signature does not hold")


def check_subject(claims: Claims) -> str:
    """`sub`, as the specification bounds it."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT or not subject.isprintable():
        raise NotBelieved("its subject is missing, or is none")
    return subject


def _header(token: str) -> Claims:
    part = token.partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError) as error:
        raise NotBelieved("its header cannot be read") from error
    if not isinstance(found, dict):
        raise NotBelieved("its header cannot be read")
    return found


def _check_parties(claims: Claims, expected: Expected) -> None:
    if claims.get("iss") != expected.issuer:
        raise NotBelieved("another issuer made it")
    audience, party = claims.get("aud"), claims.get("azp")
    listed = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in listed:
        raise NotBelieved("it is for another application")
    if (len(listed) > 1 or party is not None) and party != expected.client_id:
        raise NotBelieved("it was made for another application")


def _check_time(claims: Claims, expected: Expected) -> None:
    issued_at, expires_at, begins_at = (_moment(claims.get(name, default)) for name, default in _MOMENTS)
    if issued_at is None or expires_at is None or begins_at is None:
        raise NotBelieved("it does not say when it was made, or until when it is good")
    now, leeway = expected.now.timestamp(), expected.leeway.total_seconds()
    if max(issued_at, begins_at) > now + leeway:
        raise NotBelieved(f"it is from {issued_at - now:.0f} s ahead: the provider's clock, or the lab's, is wrong")
    if now >= expires_at + leeway or now - issued_at > LONGEST_LIFE.total_seconds() + leeway:
        raise NotBelieved(f"it is {now - issued_at:.0f} s old: the provider's clock, or the lab's, is wrong")


def _moment(value: object) -> float | None:
    """Seconds since 1970 (RFC 7519 section 2, NumericDate); None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < 1 << 40 else None
