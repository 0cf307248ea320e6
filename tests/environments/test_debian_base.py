"""The base `debian-13`, made from the mirror by the real tool, and what builds and services see on it.

It and the trees on it are kept in the user's cache folder, so that only the first run downloads. Left out where the machine has no
`mmdebstrap` or no mirror answers.
"""

import asyncio
import json
import os
import shutil
import tempfile
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.environments import debian
from etabli.environments.service import Environments
from etabli.environments.settings import EnvironmentSettings
from etabli.environments.walls import SandboxBuilder
from etabli.kernel.clock import SystemClock
from etabli.kernel.events import Events
from etabli.sandbox.models import Ground, Root, SandboxSpec
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings
from tests.environments.conftest import leave_out, make_wheel, write_environment

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(900)]
MIRROR_SECONDS = 20.0  # For one small file of it.


@dataclass
class Debian:
    """A lab whose environments stand on a real Debian 13."""

    lab: Environments
    sandboxes: Sandboxes
    ground: Ground
    folder: Path
    started: list[Path] = field(default_factory=list)

    async def said(self, root: Root, script: str) -> str:
        """What a service of that root says."""
        name = f"s{len(self.started)}"
        self.started.append(self.folder / name)
        spec = SandboxSpec(id=name, argv=("bash", "-c", script), root=root)
        log = self.folder / f"{name}.log"
        ended = await self.sandboxes.run(spec, on=self.ground, folder=self.folder / name, log=log)
        assert ended.exit_code == 0, log.read_text()
        return log.read_text()


@pytest.fixture
async def on_debian(tmp_path: Path, wheels: Path, folder: Path) -> AsyncIterator[Debian]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etabli-tests/debian-13"
    await asyncio.to_thread(_check_machine, cache)
    run = Path(tempfile.mkdtemp(prefix="d-"))  # Short, as sockets need.
    clock, settings = SystemClock(), EnvironmentSettings(base="debian-13")
    sandboxes = Sandboxes(state=cache / "sandbox", run=run, settings=SandboxSettings(internet=False), clock=clock)
    lab = Environments(
        folders=(folder,),
        root=cache / "lab",
        builder=SandboxBuilder(sandboxes, settings),
        events=Events(),
        clock=clock,
        environ={**os.environ, "PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1"},
        settings=settings,
    )
    ground = await sandboxes.ensure_project("p-debian")
    made = Debian(lab, sandboxes, ground, tmp_path)
    try:
        yield made
    finally:
        for started in made.started:
            await sandboxes.stop(started, grace=timedelta())
        await sandboxes.remove_ground(ground)
        await lab.close()
        await sandboxes.close()
        shutil.rmtree(run, ignore_errors=True)


def _check_machine(cache: Path) -> None:
    """Leave the test out where a base can be neither found nor made."""
    cache.mkdir(parents=True, exist_ok=True)
    if (cache / "lab/bases/current").exists():
        return
    if shutil.which(debian.TOOL) is None:
        leave_out(f"the base `{debian.NAME}`", f"there is no `{debian.TOOL}`: apt-get install {debian.TOOL}")
    mirror = debian.find_mirror()
    try:
        if mirror is not None:
            urllib.request.urlopen(f"{mirror.main}/dists/{debian.SUITE}/InRelease", timeout=MIRROR_SECONDS).close()
    except OSError as error:
        leave_out(f"the base `{debian.NAME}`", f"the mirror of this machine's apt does not answer: {error}")


async def test_a_service_sees_a_whole_debian_and_nothing_of_the_machine(on_debian: Debian) -> None:
    tree = await on_debian.lab.ensure("etabli/small")
    root = await on_debian.lab.root(tree.digest)
    seen = json.loads(
        await on_debian.said(
            root,
            "python -c \"import alpha, json, os, sys; print(json.dumps({'os': open('/etc/os-release').read(), "
            "'python': sys.version.split()[0], 'prefix': sys.prefix, 'alpha': alpha.VERSION, "
            "'mine': sorted(os.listdir('/usr/bin')), 'user': os.popen('id -un').read(), 'home': os.listdir('/home')}))\"",
        )
    )

    assert "VERSION_CODENAME=trixie" in seen["os"]
    assert seen["python"] == tree.python_version
    assert (seen["prefix"], seen["alpha"], seen["user"], seen["home"]) == (
        "/opt/environment",
        "1.0",
        "etabli\n",
        ["etabli"],
    )
    assert set(seen["mine"]) != set(os.listdir("/usr/bin"))
    assert not {"chromium", "gcc", "mmdebstrap"} & set(seen["mine"])


async def test_git_locales_and_certificates_work_there(on_debian: Debian) -> None:
    tree = await on_debian.lab.ensure("etabli/small")
    root = await on_debian.lab.root(tree.digest)

    said = await on_debian.said(
        root,
        "cd ~ && git init -q r && cd r && git config user.name a && git config user.email a@b.c;"
        " git commit -q --allow-empty -m first && git log --format=%s;"
        " locale -a | grep -c utf8; LC_ALL=fr_FR.UTF-8 date -d 2026-02-01 +%B;"
        " curl --version | head -c 4; echo; python -c 'import ssl; print(len(ssl.create_default_context().get_ca_certs()) > 50)'",
    )

    assert said.split() == ["first", "3", "février", "curl", "True"]


async def test_what_a_service_writes_over_it_dies_with_it(on_debian: Debian) -> None:
    tree = await on_debian.lab.ensure("etabli/small")
    root = await on_debian.lab.root(tree.digest)
    script = (
        "for place in /usr/mine /etc/mine /bin/sh /mine; do touch $place 2>/dev/null && echo wrote $place; done;"
        " python -c 'import alpha, pathlib; pathlib.Path(alpha.__file__).write_text(\"VERSION=0\"); print(alpha.VERSION)'"
    )

    assert [await on_debian.said(root, script) for _ in range(2)] == ["1.0\n", "1.0\n"]


async def test_a_post_build_runs_on_the_base(on_debian: Debian, folder: Path) -> None:
    version = "$(python -c 'import beta; print(beta.VERSION)')"
    script = f"#!/bin/bash\n. /etc/os-release; echo $VERSION_CODENAME {version} > /opt/environment/told\n"
    write_environment(folder, "told", {"requirements.txt": "beta\n", "postBuild": script})

    tree = await on_debian.lab.ensure("etabli/told")

    assert (tree.path / "told").read_text() == "trixie 2.5\n"


async def test_a_script_of_the_tree_starts_with_the_bases_python(on_debian: Debian, folder: Path, wheels: Path) -> None:
    make_wheel(
        wheels,
        "tool",
        files={
            "tool.py": "import sys\ndef main(): print(sys.version_info[:2] >= (3, 13), sys.executable)\n",
            "tool-1.0.dist-info/entry_points.txt": "[console_scripts]\ntool = tool:main\n",
        },
    )
    write_environment(folder, "tool", {"requirements.txt": "tool\n"})

    root = await on_debian.lab.root((await on_debian.lab.ensure("etabli/tool")).digest)

    assert await on_debian.said(root, "tool") == "True /opt/environment/bin/python\n"
