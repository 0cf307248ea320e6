"""What can go wrong with services."""

from etabli.kernel import errors


class ServiceNotFound(errors.NotFound):
    """No such service, or none that the one who asks may know of."""

    def __init__(self, service_id: str) -> None:
        super().__init__(
            f"there is no service `{service_id[:40]}`", hint="it may have been deleted; see the list of your services"
        )


class NotOpenable(errors.Refused):
    """It has no address, or does not answer yet."""
