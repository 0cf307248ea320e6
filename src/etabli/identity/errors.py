"""What can go wrong in identity.

Refused      ├─ WrongCredentials   name or password wrong; never says which
             │   └─ WrongPasskey   the same of a passkey
             ├─ WrongToken         a program's token that is not good; never says why
             ├─ SecondFactorNeeded the first one was good
             └─ ProtocolError      an OAuth 2.0 error, with its code
Forbidden    ── MissingScope       the token may not do this; says which scope would
Unavailable  ── TooManyAttempts    the limit on failed sign-ins; `retry_after` says how long
"""

from etabli.kernel import errors


class WrongCredentials(errors.Refused):
    """The name or the password is wrong, or there is no such person: one text for all."""


class WrongToken(errors.Refused):
    """A program's token is unknown, ended, expired, or of somebody who may not enter: one text for all."""


class MissingScope(errors.Forbidden):
    """The token may not do this. `scope` is the one that could; empty where no token may."""

    def __init__(self, message: str, *, hint: str, scope: str) -> None:
        super().__init__(message, hint=hint)
        self.scope = scope


class WrongPasskey(WrongCredentials):
    """What a browser says of a passkey does not hold, or nobody here has it: one text for all."""

    def __init__(self) -> None:
        super().__init__(
            "this passkey opens nothing here", hint="try again; it may have been removed, or have taken too long"
        )


class SecondFactorNeeded(errors.Refused):
    """The first factor was good, and this person has a second one. `step` is where their sign-in waits, for the browser alone."""

    def __init__(self, step: str) -> None:
        super().__init__("this account asks a second factor", hint="sign in from a browser")
        self.step = step


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
