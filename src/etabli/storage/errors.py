"""What can go wrong in storage."""

from etabli.kernel import errors


class StoreUnavailable(errors.Unavailable):
    """The object store does not answer, or answers that it cannot now."""


class StoreRefused(errors.Refused):
    """The object store will not do it; `code` is S3's own word (`AccessDenied`, `NoSuchBucket`…)."""

    def __init__(self, message: str, *, code: str, status: int) -> None:
        super().__init__(message, code=code, status=status)
        self.code = code
        self.status = status
