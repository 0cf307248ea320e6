"""What can go wrong on the way to an outside provider and back.

Refused   ── NotAccepted   the provider said something that is not believed; the reason is for the log and for administrators
          └─ Stale         an answer that nobody here asked for, or that came too late, twice, or to another browser
Forbidden ── NotEntitled   the provider knows them; this lab does not let them in
"""

from etabli.kernel import errors


class NotAccepted(errors.Refused):
    """What a provider answered will not do. `reason` says why, without any of what it said of a person."""

    def __init__(self, provider: str, reason: str) -> None:
        super().__init__(
            f"`{provider}` answered something that this lab does not accept",
            hint="try again; if it happens again, tell an administrator",
        )
        self.reason = reason


class Stale(errors.Refused):
    """Not an answer to what this browser asked, or not any more."""

    def __init__(self) -> None:
        super().__init__("this sign-in was not finished in time, or not in this browser", hint="begin again from here")


class NotEntitled(errors.Forbidden):
    """Known there, not let in here."""

    def __init__(self, provider: str) -> None:
        super().__init__(
            f"`{provider}` knows you, but this lab does not let you in by that alone",
            hint="sign in another way, or ask an administrator of the lab",
        )
