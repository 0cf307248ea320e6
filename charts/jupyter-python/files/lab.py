"""JupyterLab, started without asking `node` for anything.

Where there is a `node`, importing JupyterLab runs yarn to learn the address of the npm registry: a fifth of a second, and more where a
service is told the lab's certificates, for an address that only the installation of an extension's source package would use. Here
npm's own variable says it. Everything else is `jupyter-lab` as it is.
"""

import os
import sys

from jupyterlab import commands


def _registry(_logger: object) -> dict[str, dict[str, str]]:
    """What yarn would have said, as JupyterLab reads it; without a registry it takes its default."""
    known = os.environ.get("npm_config_registry")  # noqa: SIM112 - As npm spells it.
    return {"yarn config": {"registry": known} if known else {}, "npm config": {}}


if __name__ == "__main__":
    if hasattr(commands, "_yarn_config"):
        commands._yarn_config = _registry  # It has no setting of its own.
    from jupyterlab.labapp import main

    sys.argv[0] = "jupyter-lab"
    sys.exit(main())
