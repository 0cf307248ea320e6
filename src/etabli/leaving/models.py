"""The vocabulary of leaving. No I/O."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Consequences:
    """What becomes of what, when a person's account ends."""

    services: tuple[str, ...]  # Names of services of their own project: they are deleted.
    slug: str  # Their bucket and vault folder: erased.
    leaves: tuple[str, ...]  # Names of shared projects that go on without them.
    to_hand_over: tuple[str, ...]  # Names of shared projects that would have no owner: it cannot be before they have.
    is_last_administrator: bool

    @property
    def may_be(self) -> bool:
        """Whether the account can end now."""
        return not self.to_hand_over and not self.is_last_administrator
