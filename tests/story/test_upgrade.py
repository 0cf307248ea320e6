"""An upgrade under an open notebook: from what was released, and from a copy of this version that becomes newer, then older again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
import uv

from etabli.assembly import revisions
from etabli.kernel.processes import ProcessRef
from tests import lab as labs
from tests.story import people

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(900)]
RELEASED = "v0.1.0"
REPLACED, ADOPTED = ("portal", "authoriser"), ("caddy", "seaweedfs", "openbao")
REVISION = """
\"\"\"Add a table.

Came with a version to come.
\"\"\"

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "next", "{before}", None, None


def upgrade() -> None:
    op.create_table("marks", sa.Column("id", sa.String(32), primary_key=True))
"""


@pytest.fixture
def copy() -> Iterator[Path]:
    """A copy of this tree's program, with an interpreter of its own."""
    with tempfile.TemporaryDirectory(prefix="etb-", dir="/tmp") as folder:
        made = Path(folder)
        leave = shutil.ignore_patterns("__pycache__")
        for part in ("src", "charts", "environments"):
            shutil.copytree(labs.TREE / part, made / part, ignore=leave)
        venv.create(made / "venv", symlinks=True, with_pip=False)
        # Lines of a .pth file that are folders go on sys.path as they are: the packages, without this tree's own Etabli.
        packages = Path(pytest.__file__).parent.parent
        (site,) = (made / "venv/lib").glob("python3*/site-packages")
        (site / "copy.pth").write_text(f"{made / 'src'}\n{packages}\n")
        yield made


@pytest.fixture
def released() -> Iterator[Path]:
    """The interpreter of the version that was released first, in an environment made from its own lock."""
    git = ("git", "-c", f"safe.directory={labs.TREE}", "-C", str(labs.TREE))
    archive = subprocess.run([*git, "archive", "--format=tar", RELEASED], capture_output=True, check=False)
    if archive.returncode != 0:
        pytest.skip(f"this clone has no tag `{RELEASED}`: `git fetch --tags` brings it")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etabli/tests"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="released-", dir=cache) as folder:  # Beside uv's cache: hard links.
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        environ = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        sync = [uv.find_uv_bin(), "sync", "--quiet", "--frozen", "--no-dev", "--python", sys.executable]
        subprocess.run(sync, cwd=folder, env=environ, check=True)
        yield Path(folder) / ".venv/bin/python"


def test_a_lab_of_the_first_release_becomes_this_one_under_an_open_notebook(released: Path) -> None:
    with labs.lab() as lab:
        lab.python = released
        lab.up()
        alice = people.joined(lab, lab.link, "Alice")
        notebook = lab.launch("--name", "notebook")
        origin = alice.open(notebook)
        kernel = alice.ask("POST", f"{origin}/api/kernels", json={}).json()["id"]
        before, pod, was = _components(lab), people.init(lab, notebook), revisions.current(lab.data / "etabli.db")

        def answers() -> bool | None:
            return kernel in alice.ask("GET", f"{origin}/api/kernels").text or None

        lab.python = Path(sys.executable)
        lab.up()
        lab.until(answers, 30)
        assert people.init(lab, notebook) == pod
        assert all(_components(lab)[name] != before[name] for name in REPLACED)
        saved = [revisions.current(copy) for copy in (lab.data / "backups").glob("*.db")]
        assert saved == ([] if revisions.current(lab.data / "etabli.db") == was else [was])
        lab.until_state(notebook, "ready")
        # Signed in still: the page of their services, and a service opened anew.
        address, page = alice.visit(f"{lab.origin}/services")
        assert (address, page.status_code) == (f"{lab.origin}/services", 200)
        assert f"/services/{notebook}" in page.text
        assert alice.open(notebook) == origin


def test_an_upgrade_keeps_the_notebook_and_the_way_back_is_refused(copy: Path) -> None:
    scripts = copy / "src/etabli/migrations/versions"
    with labs.lab() as lab:
        lab.python = copy / "venv/bin/python"
        lab.up()
        alice = people.joined(lab, lab.link, "Alice")
        notebook = lab.launch("--name", "notebook")
        origin = alice.open(notebook)
        kernel = alice.ask("POST", f"{origin}/api/kernels", json={}).json()["id"]
        before, pod = _components(lab), people.init(lab, notebook)

        def answers() -> bool | None:
            return kernel in alice.ask("GET", f"{origin}/api/kernels").text or None

        was = revisions.current(lab.data / "etabli.db")
        (scripts / "next_adds_a_table.py").write_text(REVISION.format(before=was))
        lab.up()
        lab.until(answers, 30)
        after = _components(lab)
        assert people.init(lab, notebook) == pod
        assert [name for name in before if after[name] != before[name]] == list(REPLACED)
        assert revisions.current(lab.data / "etabli.db") == "next"
        (saved,) = (lab.data / "backups").glob("*.db")
        assert revisions.current(saved) == was
        lab.until_state(notebook, "ready")

        (scripts / "next_adds_a_table.py").unlink()
        told = lab.etabli("up", "--detach", check=False)
        assert "error: this lab's data was written by a newer Etabli (revision `next`)" in told
        assert "hint: start it with that version" in told
        assert _components(lab) == after
        assert people.init(lab, notebook) == pod
        assert answers()


def test_upgrade_brings_a_lab_to_another_folder_and_back_where_that_one_does_not_come_up(copy: Path) -> None:
    scripts, portal = copy / "src/etabli/migrations/versions", copy / "src/etabli/assembly/portal.py"
    with labs.lab() as lab:
        lab.up()
        alice = people.joined(lab, lab.link, "Alice")
        notebook = lab.launch("--name", "notebook")
        origin = alice.open(notebook)
        kernel = alice.ask("POST", f"{origin}/api/kernels", json={}).json()["id"]
        before, pod, was = _components(lab), people.init(lab, notebook), revisions.current(lab.data / "etabli.db")

        def answers() -> bool | None:
            return kernel in alice.ask("GET", f"{origin}/api/kernels").text or None

        nowhere = lab.etabli("upgrade", "--to", str(copy / "src"), check=False)
        assert "holds no Etabli that can be started" in nowhere
        assert "error: the lab runs the version of" in lab.etabli("upgrade", "--to", str(copy / "venv"), check=False)
        assert _components(lab) == before

        # The new one migrates, then its portal ends at each start.
        (scripts / "next_adds_a_table.py").write_text(REVISION.format(before=was))
        well = portal.read_text()
        broken = well.replace("stopped = asyncio.Event()", 'raise errors.Refused("broken on purpose")')
        assert broken != well
        portal.write_text(broken)
        told = lab.etabli("upgrade", "--to", str(copy / "venv"), check=False, timeout=300)
        assert "only the database is kept" in told
        assert "error: the new version did not come up, and the lab is back at the former one" in told
        assert "broken on purpose" in told
        lab.until(answers, 30)
        after = _components(lab)
        assert people.init(lab, notebook) == pod
        assert {name: after[name] for name in ADOPTED} == {name: before[name] for name in ADOPTED}
        assert revisions.current(lab.data / "etabli.db") == was
        assert alice.visit(f"{lab.origin}/services")[1].status_code == 200
        lab.until_state(notebook, "ready")

        portal.write_text(well)
        assert "the lab is upgraded" in lab.etabli("upgrade", "--to", str(copy / "venv"), timeout=300)
        lab.until(answers, 30)
        newest = _components(lab)
        assert people.init(lab, notebook) == pod
        assert [name for name in after if newest[name] != after[name]] == list(REPLACED)
        assert revisions.current(lab.data / "etabli.db") == "next"
        assert alice.visit(f"{lab.origin}/services")[1].status_code == 200
        # The way back is refused by the one that is gone back to, which touches nothing.
        told = lab.etabli("upgrade", "--to", sys.prefix, check=False, timeout=300)
        assert "error: the new version refuses this lab" in told
        assert "was written by a newer Etabli" in told
        assert _components(lab) == newest
        lab.python = copy / "venv/bin/python"  # Whose it is now, for its end too.
        lab.until_state(notebook, "ready")


def _components(lab: labs.Lab) -> dict[str, ProcessRef]:
    return {name: lab.component(name) for name in (*REPLACED, *ADOPTED)}
