"""What can go wrong, as types that carry the policy.

    EtabliError
    ├── Refused            asking again changes nothing
    │   ├── Invalid        a value is wrong; `fields` names each one
    │   ├── NotFound       there is no such thing, or not for the one who asks: both answer alike
    │   ├── Forbidden      known, seen, and not allowed
    │   ├── Conflict       it collides with what is already there
    │   └── QuotaExceeded  it does not fit in what is granted or free
    └── Unavailable        later may work; `retry_after` says when

Errors know nothing of HTTP or exit codes: one table in `web` and one in `cli` translate them. The message and the hint are for the
person asking, end without a full stop, quote values in backticks, and never hold a secret or somebody else's name.
"""

from collections.abc import Mapping
from datetime import timedelta


class EtabliError(Exception):
    """The root of our errors: a sentence, a hint that says what to do next, and the facts."""

    def __init__(self, message: str, *, hint: str | None = None, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.facts: Mapping[str, object] = facts


class Refused(EtabliError):
    """Asking again changes nothing."""


class Invalid(Refused):
    """A value is wrong. `fields` maps the dotted name of each field to what is wrong with it."""

    def __init__(
        self, message: str, *, hint: str | None = None, fields: Mapping[str, str] | None = None, **facts: object
    ) -> None:
        super().__init__(message, hint=hint, **facts)
        self.fields: Mapping[str, str] = dict(fields or {})


class NotFound(Refused):
    """No such thing, or none that the one who asks may know of."""


class Forbidden(Refused):
    """The thing is known to the one who asks, and this may not be done to it."""


class Conflict(Refused):
    """It collides with what is already there."""


class QuotaExceeded(Refused):
    """It does not fit in what is granted or free."""


class Unavailable(EtabliError):
    """Later may work. `retry_after` is how long to wait first."""

    def __init__(
        self, message: str, *, hint: str | None = None, retry_after: timedelta = timedelta(seconds=5), **facts: object
    ) -> None:
        super().__init__(message, hint=hint, **facts)
        self.retry_after = retry_after
