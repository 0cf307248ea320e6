"""The plan of an embedded lab: every component, how it is started, what needs what.

Portal and authoriser carry a fingerprint of the code: after an upgrade they are restarted, and whatever did not change is adopted.
"""

import hashlib
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from etabli.assembly.configuration import Configuration
from etabli.components import caddy, models, openbao, plan, seaweedfs
from etabli.door import component as authoriser
from etabli.kernel import files, settings

PORTAL = "portal"
PACKAGE = Path(__file__).resolve().parent.parent

# What a machine's administrator set for everybody holds in the portal, and through it in builds and services.
PASSED = ("_PROXY", "_proxy", "SSL_CERT", "CA_BUNDLE", "PIP_", "UV_", "OPENBLAS_", "LANG", "LC_", "TZ")


def make(layout: settings.Layout, configuration: Configuration, *, environ: Mapping[str, str]) -> models.Plan:
    """Render every component's configuration and say how each is run. Refused where a part does not accept it."""
    lab = configuration.lab
    return models.Plan(
        data=layout.data,
        run=layout.run,
        components=(
            seaweedfs.component(layout, lab, session=timedelta(seconds=configuration.storage.session_seconds)),
            openbao.component(layout, lab),
            authoriser.component(layout, lab, version=fingerprint()),
            _portal(layout, configuration, environ),
            caddy.component(layout, lab, configuration.front_door),
        ),
    )


def path(layout: settings.Layout) -> Path:
    """Where the plan is kept."""
    return layout.components / plan.FILE_NAME


def fingerprint() -> str:
    """A digest of the package's code: what tells one version of it from another, released or not."""
    digest = hashlib.sha256()
    for file in sorted(PACKAGE.rglob("*")):
        if file.is_file() and "__pycache__" not in file.parts:
            digest.update(f"{file.relative_to(PACKAGE)}\0".encode())
            digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _portal(layout: settings.Layout, configuration: Configuration, environ: Mapping[str, str]) -> models.Component:
    secrets = {one.client_secret_env for one in configuration.identity.providers}
    passed = {name: value for name, value in environ.items() if name in secrets or any(part in name for part in PASSED)}
    return models.Component(
        name=PORTAL,
        argv=(sys.executable, "-m", "etabli.assembly.portal"),
        folder=files.private_folder(layout.components / PORTAL),
        env={
            **passed,
            "ETABLI_DATA": str(layout.data),
            "ETABLI_RUN": str(layout.run),
            "MALLOC_ARENA_MAX": "2",  # Threads come and go; each would keep an arena of its own.
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        files=(layout.settings,),
        version=fingerprint(),
        health=models.Health(socket=layout.socket(PORTAL)),
        start_seconds=60,
    )


def search_path(environ: Mapping[str, str]) -> str:
    """PATH, with the folder of what was unpacked without root."""
    cache = Path(environ.get("XDG_CACHE_HOME") or Path(environ.get("HOME", "/")) / ".cache")
    return os.pathsep.join([environ.get("PATH", os.defpath), str(cache / "etabli/tools/usr/bin")])
