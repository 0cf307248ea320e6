"""`etabli …`: the command line over the lab of this machine.

The supervisor starts the portal by itself (`assembly.portal`), so that a command loads no more than it needs.
"""

import os
import sys

from etabli.assembly import local
from etabli.cli import app
from etabli.kernel import settings


def main() -> int:
    """Run what was typed; the exit status."""
    layout = settings.default_layout(os.environ)
    environ = dict(os.environ)
    return app.run(app.create(local.LocalLab(layout=layout, environ=environ), environ=environ))


if __name__ == "__main__":
    sys.exit(main())
