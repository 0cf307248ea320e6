"""What this room needs from others."""

from pathlib import Path
from typing import Protocol

from etabli.environments import models


class Builder(Protocol):
    """Runs the steps of builds behind walls."""

    async def run(self, step: models.Step) -> models.Outcome:
        """Run it to its end. Cancelled, it ends what it started before it raises."""
        ...

    async def end(self, folder: Path) -> None:
        """End the step recorded in `folder`, left by a lab that was killed. None there is success."""
        ...

    async def seal(self, tree: Path, *, environment: str) -> None:
        """Make a finished tree what sandboxes of any project may be given as the lower of an overlay."""
        ...

    async def leave(self, environment: str) -> None:
        """No step of this environment runs any more: let go of what its steps stood on."""
        ...
