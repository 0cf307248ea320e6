"""The vocabulary of the vault. No I/O."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class VaultToken:
    """A token, and the accessor by which the lab renews and ends it without holding it."""

    token: str = field(repr=False)
    accessor: str
