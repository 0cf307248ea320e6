"""The authoriser as a supervised component, in the network where OpenBao and SeaweedFS ask it for the lab's public keys."""

import sys
from pathlib import Path

from etabli.components import models
from etabli.door import activity
from etabli.kernel import files
from etabli.kernel.settings import LabSettings, Layout

NAME = "authoriser"


def component(
    layout: Layout, lab: LabSettings, *, version: str, needs: tuple[str, ...] = (), python: Path | None = None
) -> models.Component:
    """How it is run. `version` is Etabli's own: an older one is replaced at an upgrade. Its socket reaches Caddy across networks."""
    argv: tuple[str, ...] = (str(python or sys.executable), "-m", "etabli.door.authoriser")
    argv += ("--database", str(layout.database), "--socket", str(layout.socket(NAME)))
    argv += ("--activity", str(layout.socket(activity.NAME)))
    argv += ("--portal", lab.origin, "--jwks", str(jwks(layout)))
    return models.Component(
        name=NAME,
        argv=argv,
        folder=files.private_folder(layout.components / NAME),
        env={"PYTHONDONTWRITEBYTECODE": "1"},
        version=f"etabli {version}",
        needs=needs,
        health=models.Health(socket=layout.socket(NAME), path="/health"),
        inner=True,
        grace_seconds=2.0,
    )


def jwks(layout: Layout) -> Path:
    """The file of the lab's public keys, which identity writes."""
    return layout.keys / "jwks.json"
