"""Bad days of a whole, real lab: whatever is killed heals by itself, and a notebook that runs goes on."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from etabli.kernel import processes
from etabli.kernel.processes import ProcessRef
from tests import lab as labs
from tests.story import people

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(900)]
COMPONENTS = ("portal", "authoriser", "caddy", "seaweedfs", "openbao")

WRITE = """
    import os, sys, boto3, hvac
    boto3.client("s3").put_object(Bucket=os.environ["ETABLI_BUCKET"], Key=sys.argv[1], Body=sys.argv[1].encode())
    vault, folder = hvac.Client(), os.environ["VAULT_TOP_DIR"]
    vault.secrets.kv.v2.create_or_update_secret(f"{folder}/{sys.argv[1]}", {"word": sys.argv[1]}, mount_point=os.environ["VAULT_MOUNT"])
"""
READ = """
    import os, sys, boto3, hvac
    for word in sys.argv[1:]:
        found = boto3.client("s3").get_object(Bucket=os.environ["ETABLI_BUCKET"], Key=word)["Body"].read().decode()
        assert found == word, found
        path = os.environ["VAULT_TOP_DIR"] + "/" + word
        read = hvac.Client().secrets.kv.v2.read_secret_version(path, mount_point=os.environ["VAULT_MOUNT"], raise_on_deleted_version=True)
        assert read["data"]["data"] == {"word": word}, read
"""


@dataclass
class Scene:
    """A lab in which Alice has a notebook open, with a kernel."""

    lab: labs.Lab
    alice: people.Person
    notebook: str
    origin: str
    kernel: str

    def answers(self) -> bool | None:
        """Whether the notebook answers through the front door, to the cookie that was had, with the kernel that it had."""
        answer = self.alice.ask("GET", f"{self.origin}/api/kernels")
        assert answer.status_code == 200, answer.text
        return self.kernel in answer.text or None


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    with labs.lab(catalog=people.CATALOGS) as lab:
        lab.up()
        alice = people.joined(lab, lab.link, "Alice")
        notebook = lab.launch("--name", "notebook")
        origin = alice.open(notebook)
        started = alice.ask("POST", f"{origin}/api/kernels", json={})
        assert started.status_code == 201, started.text
        people.inside(lab, notebook, WRITE, "kept")
        yield Scene(lab, alice, notebook, origin, started.json()["id"])


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_killed_comes_back_and_the_notebook_never_went(scene: Scene, name: str) -> None:
    was, pod = scene.lab.component(name), people.init(scene.lab, scene.notebook)
    people.inside(scene.lab, scene.notebook, WRITE, f"before-{name}")
    processes.send_signal(was, signal.SIGKILL)
    scene.lab.until(lambda: _another(scene.lab.data / "components" / name / "process.json", was), 60)
    scene.lab.until(scene.answers, 60)
    scene.lab.until(lambda: people.inside(scene.lab, scene.notebook, READ, "kept", f"before-{name}") == "" or None, 60)
    assert people.init(scene.lab, scene.notebook) == pod


@pytest.mark.parametrize("name", ["agent", "holder", "pasta"])
def test_what_a_project_stands_on_comes_back_under_the_notebook(scene: Scene, name: str) -> None:
    pod = people.init(scene.lab, scene.notebook)
    (record,) = scene.lab.run.glob(f"g/*/{name}.json")
    was = processes.load(record)
    assert was is not None
    processes.send_signal(was, signal.SIGKILL)
    scene.lab.until(lambda: _another(record, was), 60)
    scene.lab.until(scene.answers, 60)
    scene.lab.until(lambda: people.inside(scene.lab, scene.notebook, READ, "kept") == "" or None, 60)
    assert people.init(scene.lab, scene.notebook) == pod


def _another(record: Path, was: ProcessRef) -> ProcessRef | None:
    """The living process of a record, once it is not the one that was killed."""
    found = processes.load(record)
    return found if found is not None and found != was and processes.is_alive(found) else None
