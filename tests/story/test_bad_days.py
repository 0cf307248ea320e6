"""Bad days of a whole, real lab: whatever is killed heals by itself, and a notebook that runs goes on."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from etabli.kernel import processes
from etabli.kernel.processes import ProcessRef
from tests import lab as labs
from tests import parts
from tests.story import people

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(900)]
COMPONENTS = ("portal", "authoriser", "caddy", "seaweedfs", "openbao")

WRITE = """
    import os, sys, boto3, hvac
    boto3.client("s3").put_object(Bucket=os.environ["ETABLI_BUCKET"], Key=sys.argv[1], Body=sys.argv[1].encode())
    path, mount = os.environ["VAULT_TOP_DIR"] + "/" + sys.argv[1], os.environ["VAULT_MOUNT"]
    hvac.Client().secrets.kv.v2.create_or_update_secret(path, {"word": sys.argv[1]}, mount_point=mount)
"""
READ = """
    import os, sys, boto3, hvac
    for word in sys.argv[1:]:
        found = boto3.client("s3").get_object(Bucket=os.environ["ETABLI_BUCKET"], Key=word)["Body"].read().decode()
        assert found == word, found
        path, mount = os.environ["VAULT_TOP_DIR"] + "/" + word, os.environ["VAULT_MOUNT"]
        read = hvac.Client().secrets.kv.v2.read_secret_version(path, mount_point=mount, raise_on_deleted_version=True)
        assert read["data"]["data"] == {"word": word}, read
"""

TELL = """
    import json, os, boto3
    keys = boto3.Session().get_credentials().get_frozen_credentials()
    print(json.dumps({"the vault's token": os.environ["VAULT_TOKEN"], "the service's token": open("/run/etabli/token").read(),
                      "the S3 secret": keys.secret_key, "the S3 session": keys.token}))
"""


@dataclass
class Scene:
    """A lab in which Alice has a notebook open, with a kernel."""

    lab: labs.Lab
    alice: people.Person
    notebook: str
    origin: str
    kernel: str
    written: list[str]  # Acknowledged by the store and by the vault.

    def write(self, word: str) -> None:
        """Keep a word in the bucket and in the vault, with the notebook's own means."""
        people.inside(self.lab, self.notebook, WRITE, word)
        self.written.append(word)

    def reads(self) -> bool | None:
        """Whether all that was written is there."""
        return people.inside(self.lab, self.notebook, READ, *self.written) == "" or None

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
        made = Scene(lab, alice, notebook, origin, started.json()["id"], [])
        made.write("first")
        yield made


@pytest.mark.parametrize("name", COMPONENTS)
def test_a_component_killed_comes_back_and_the_notebook_never_went(scene: Scene, name: str) -> None:
    was, pod = scene.lab.component(name), people.init(scene.lab, scene.notebook)
    scene.write(f"before-{name}")
    processes.send_signal(was, signal.SIGKILL)
    scene.lab.until(lambda: _another(scene.lab.data / "components" / name / "process.json", was), 60)
    scene.lab.until(scene.answers, 60)
    scene.lab.until(scene.reads, 60)
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
    scene.lab.until(scene.reads, 60)
    assert people.init(scene.lab, scene.notebook) == pod


def test_a_supervisor_killed_leaves_all_running_and_the_next_one_adopts_it(scene: Scene) -> None:
    supervisor = processes.load(scene.lab.data / "supervisor.json")
    assert supervisor is not None
    parts = {name: scene.lab.component(name) for name in COMPONENTS}
    processes.send_signal(supervisor, signal.SIGKILL)
    scene.lab.until(lambda: None if processes.is_alive(supervisor) else True, 20)
    assert scene.answers()
    scene.lab.up()
    assert {name: scene.lab.component(name) for name in COMPONENTS} == parts
    assert scene.answers()


def test_a_second_start_says_that_the_lab_runs(scene: Scene) -> None:
    told = scene.lab.etabli("up", "--detach", check=False)
    assert f"error: this lab is already running at {scene.lab.origin}, process " in told
    assert "hint: `etabli status` shows it, `etabli down` stops it" in told
    assert scene.answers()


def test_a_killed_helm_worker_costs_nobody_a_launch(scene: Scene) -> None:
    scene.lab.etabli("launch", "tests/tiny", "--name", "first")
    worker = scene.lab.until(lambda: _helm_worker(scene.lab), 20)
    processes.send_signal(worker, signal.SIGKILL)
    second = scene.lab.etabli("launch", "tests/tiny", "--name", "second").strip()
    scene.lab.until_state(second, "ready")
    _delete_tiny_ones(scene.lab)


def test_a_sandbox_whose_pid_1_is_killed_is_started_again_and_its_history_says_so(scene: Scene) -> None:
    service_id = scene.lab.etabli("launch", "tests/tiny", "--name", "victim").strip()
    scene.lab.until_state(service_id, "ready")
    was, notebook = people.init(scene.lab, service_id), people.init(scene.lab, scene.notebook)
    processes.send_signal(was, signal.SIGKILL)
    scene.lab.until(lambda: None if people.init(scene.lab, service_id) == was else True, 60)
    scene.lab.until_state(service_id, "ready")
    told = scene.lab.until(lambda: _event(scene, service_id, "restarted"), 20)
    assert "killed" in str(told["detail"]), told
    assert people.init(scene.lab, scene.notebook) == notebook
    _delete_tiny_ones(scene.lab)


MOMENTS = {
    "nothing was done yet": "record.json.never",
    "the engine had stored it": "record.json",
    "its pod was recorded": "pods/*/pod.json",
    "its sandbox was recorded": "pods/*/run/*/process.json",
}


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # httpcore leaves the socket that failed.
def test_a_launch_whose_portal_is_killed_is_one_service(scene: Scene) -> None:
    """Not two and not none, wherever between stored and started the kill falls; and a repeated request is the same one."""
    launched = []
    for moment, sign in MOMENTS.items():
        portal = scene.lab.component("portal")
        service_id = _post(scene.lab, key=moment)
        folder = scene.lab.data / "engine/services" / service_id
        if not sign.endswith("never"):
            scene.lab.until(lambda folder=folder, sign=sign: next(folder.glob(sign), None), 60)  # type: ignore[misc] # mypy cannot infer the defaults of a lambda.
        processes.send_signal(portal, signal.SIGKILL)
        again = scene.lab.until(lambda moment=moment: _post(scene.lab, key=moment), 60)  # type: ignore[misc] # The same.
        assert again == service_id, moment
        launched.append(service_id)
    for service_id in launched:
        scene.lab.until_state(service_id, "ready", seconds=120)
    assert sorted(_tiny_ones(scene.lab)) == sorted(launched)
    assert sorted(path.name for path in (scene.lab.data / "engine/services").iterdir()) == sorted(
        [scene.notebook, *launched]
    )
    for service_id in launched:
        assert len(_sandboxes(scene.lab, service_id)) == 1
    _delete_tiny_ones(scene.lab)


def test_two_requests_with_one_key_are_one_service(scene: Scene) -> None:
    with ThreadPoolExecutor() as pool:
        asked = [pool.submit(_post, scene.lab, key="twice") for _ in range(2)]
        launched = {one.result(timeout=60) for one in asked}
    assert len(launched) == 1
    assert _tiny_ones(scene.lab) == list(launched)
    _delete_tiny_ones(scene.lab)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # The same.
def test_a_launch_killed_before_its_answer_is_found_by_its_key(scene: Scene) -> None:
    portal = scene.lab.component("portal")
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(_post, scene.lab, key="unanswered")
        scene.lab.until(lambda: _stored(scene.lab, "unanswered") or asked.done() or None, 60)
        processes.send_signal(portal, signal.SIGKILL)
        failed = asked.exception(timeout=60)
    assert failed is None or isinstance(failed, httpx.TransportError), failed
    service_id = scene.lab.until(lambda: _post(scene.lab, key="unanswered"), 60)
    scene.lab.until_state(service_id, "ready", seconds=120)
    assert _tiny_ones(scene.lab) == [service_id]
    _delete_tiny_ones(scene.lab)


def test_all_killed_at_once_heals_with_the_next_start(scene: Scene) -> None:
    scene.write("last")
    halves = [_post(scene.lab, key=f"half-{number}") for number in range(2)]
    assert scene.lab.kill_everything() > 8
    scene.lab.up()
    for service_id in [scene.notebook, *halves]:
        scene.lab.until_state(service_id, "ready", seconds=120)
        assert len(_sandboxes(scene.lab, service_id)) == 1
    assert scene.alice.ask("GET", f"{scene.origin}/api/kernels").status_code == 200
    scene.lab.until(scene.reads, 60)
    _delete_tiny_ones(scene.lab)


def test_stopping_leaves_no_process_and_starting_brings_services_back(scene: Scene) -> None:
    family = _family(scene.lab)
    assert len(family) > 10
    scene.lab.down()
    assert [ref for ref in family if processes.is_alive(ref)] == []
    assert _mentioning(scene.lab.folder) == []
    scene.lab.up()
    scene.lab.until_state(scene.notebook, "ready", seconds=120)
    assert scene.alice.ask("GET", f"{scene.origin}/api/kernels").status_code == 200
    scene.lab.until(scene.reads, 60)


def test_no_secret_is_in_a_log_a_command_line_or_an_error(scene: Scene) -> None:
    """The last of this lab, which has seen every bad day."""
    told = [
        scene.lab.etabli(*command, check=False)
        for command in (
            ("up", "--detach"),
            ("show", "nobody"),
            ("--as", "nobody", "ls"),
            ("launch", "tests/tiny", "--set", "resources=none"),
            ("launch", "nothing"),
            ("status",),
            ("doctor",),
        )
    ]
    places = {"the command line's words": "\n".join(told).encode(), "command lines": parts.command_lines()}
    logs = [*scene.lab.folder.rglob("*.log"), *scene.lab.folder.rglob("log")]
    places |= {str(path.relative_to(scene.lab.folder)): path.read_bytes() for path in logs if path.is_file()}
    assert len(places) > 10
    secrets = _secrets(scene)
    assert len(secrets) > 15
    assert [(name, place) for name, secret in secrets.items() for place, text in places.items() if secret in text] == []


def _post(lab: labs.Lab, *, key: str) -> str:
    """A launch asked of the portal itself, as the command line does, with a key; the service's id."""
    with httpx.Client(transport=httpx.HTTPTransport(uds=str(lab.run / "portal.sock")), timeout=60) as client:
        body = {"catalog": "tests", "chart": "tiny", "name": key, "key": key}
        headers = {"X-Etabli-Operator": "@admin"}
        answer = client.post("http://portal/api/v1/services", json=body, headers=headers)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _stored(lab: labs.Lab, name: str) -> bool:
    with closing(sqlite3.connect(lab.data / "etabli.db")) as database:
        return bool(database.execute("select count(*) from services where name = ?", [name]).fetchone()[0])


def _event(scene: Scene, service_id: str, kind: str) -> dict[str, object] | None:
    answer = scene.alice.ask("GET", f"{scene.lab.origin}/api/v1/services/{service_id}/history")
    return next((event for event in answer.json() if event["kind"] == kind), None)


def _tiny_ones(lab: labs.Lab) -> list[str]:
    return [line.split()[0] for line in lab.etabli("ls").splitlines() if " tiny " in line]


def _delete_tiny_ones(lab: labs.Lab) -> None:
    """Nothing is left of them: not in the list, not in the engine's folder."""
    found = _tiny_ones(lab)
    lab.etabli("rm", *found)
    engine = lab.data / "engine/services"
    lab.until(lambda: None if any((engine / one).exists() for one in found) or _tiny_ones(lab) else True, 60)


def _sandboxes(lab: labs.Lab, service_id: str) -> list[ProcessRef]:
    """The living ones of a service."""
    records = (lab.data / "engine/services" / service_id).glob("pods/*/run/*/process.json")
    return [ref for path in records if (ref := processes.load(path)) is not None and processes.is_alive(ref)]


def _helm_worker(lab: labs.Lab) -> ProcessRef | None:
    portal = lab.component("portal")
    for ref, parent in _all_processes().items():
        if parent == portal.pid and b"etabli.catalog.helm" in Path(f"/proc/{ref.pid}/cmdline").read_bytes():
            return ref
    return None


def _all_processes() -> dict[ProcessRef, int]:
    """Every process of this machine, with its parent's pid."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(FileNotFoundError, ProcessLookupError):
            found[processes.reference(int(path.parent.name))] = int(path.read_text().rpartition(")")[2].split()[1])
    return found


def _family(lab: labs.Lab) -> list[ProcessRef]:
    """What the lab recorded, and all that came of it."""
    everything = _all_processes()
    family = set(lab.recorded())
    while True:
        pids = {ref.pid for ref in family}
        grown = family | {ref for ref, parent in everything.items() if parent in pids}
        if grown == family:
            return sorted(family, key=lambda ref: ref.pid)
        family = grown


def _mentioning(folder: Path) -> list[bytes]:
    """Command lines that name the lab's folder."""
    return [line for line in parts.command_lines().splitlines() if str(folder).encode() in line]


def _secrets(scene: Scene) -> dict[str, bytes]:
    """All that nobody may read: by what it is."""
    found = {"the password": labs.PASSWORD.encode(), "the first link": scene.lab.link.rpartition("=")[2].encode()}
    for host, jar in scene.alice.jars.items():
        found |= {f"cookie {name} of {host}": value.encode() for name, value in jar.items() if len(value) > 20}
    for file in (scene.lab.data / "keys").iterdir():
        found |= {f"{file.name} {number}": secret for number, secret in enumerate(_strings(file))}
    told = people.inside(scene.lab, scene.notebook, TELL)
    return found | {name: value.encode() for name, value in json.loads(told).items()}


def _strings(file: Path) -> list[bytes]:
    """The secrets in a key file: long values of JSON, the middle of a PEM, else the whole of it."""
    content = file.read_bytes()
    if content.startswith(b"{"):
        private = {"d", "k", "p", "q", "dp", "dq", "qi"}
        return [
            v.encode()
            for n, v in _pairs(json.loads(content))
            if len(v) >= 20 and (n in private or "key" in n or "token" in n)
        ]
    if content.startswith(b"-----"):
        return content.splitlines()[1:-1]
    return [content.strip()]


def _pairs(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _pairs(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from _pairs(inner, name)
    elif isinstance(value, str):
        yield name, value


def _another(record: Path, was: ProcessRef) -> ProcessRef | None:
    """The living process of a record, once it is not the one that was killed."""
    found = processes.load(record)
    return found if found is not None and found != was and processes.is_alive(found) else None
