"""What can go wrong with environments."""

from etabli.kernel.errors import Refused, Unavailable


class BuildFailed(Refused):
    """The build ended badly and would again: a requirement that does not resolve, a `postBuild` that fails.

    Facts: `command`, `exit_code`, `output` (the last KiB of what it wrote, credentials masked).
    """


class DiskFull(Unavailable):
    """There is no room for the tree. Nothing half-made was kept."""


class NotLocked(Unavailable):
    """The exact versions, or those of its base, are not known yet: `Environments.ensure` sees to both, which takes the network."""
