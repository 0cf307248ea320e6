"""What can go wrong with the vault."""

from etabli.kernel import errors


class VaultUnavailable(errors.Unavailable):
    """The vault does not answer, or is not ready."""


class VaultRefused(errors.Refused):
    """The vault will not do it; `status` is what it answered."""

    def __init__(self, message: str, *, status: int, reason: str) -> None:
        super().__init__(message, status=status)
        self.status = status
        self.reason = reason  # The vault's own words; they name no secret of ours.
