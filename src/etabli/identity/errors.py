"""What can go wrong in identity.

Refused      ── WrongCredentials   name or password wrong; never says which
             └─ ProtocolError      an OAuth 2.0 error, with its code
Unavailable  ── TooManyAttempts    the limit on failed sign-ins; `retry_after` says how long
"""

from etabli.kernel import errors


class WrongCredentials(errors.Refused):
    """The name or the password is wrong, or there is no such person: one text for all."""


class TooManyAttempts(errors.Unavailable):
    """Too many failed attempts; `retry_after` is when the next one is allowed (HTTP 429)."""


class ProtocolError(errors.Refused):
    """An error of OAuth 2.0 or OpenID Connect. `code` is the protocol's word (RFC 6749 sections 4.1.2.1 and 5.2)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RefusedBack(ProtocolError):
    """A request that is refused by sending the browser back to its application, at `location`, with the error."""

    def __init__(self, code: str, message: str, *, location: str) -> None:
        super().__init__(code, message)
        self.location = location
