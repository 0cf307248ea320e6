"""Two people's services on one machine: what is inside one gets at nothing of the other, and its own keys are renewed for ever."""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etabli.kernel import processes
from tests import lab as labs
from tests.story import people

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(900)]
HERE = Path(__file__).parent
PROBES = (HERE.parent / "sandbox/probes.py").read_text()
SHORT_KEYS = "session_seconds = 20\nrenew_before_seconds = 8"
TURNS = 4  # Keys are renewed between each two.

OWN = """
    import json, os, socket
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    probe.connect(("169.254.170.2", 80))
    print(json.dumps({
        "address": probe.getsockname()[0], "bucket": os.environ["ETABLI_BUCKET"], "folder": os.environ["VAULT_TOP_DIR"],
        "token": open("/run/etabli/token").read(),
    }))
"""
CONNECT = """
    import json, socket, sys
    def tried(address, port):
        try:
            with socket.create_connection((address, port), 3) as connection:
                connection.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
                return "answered: " + connection.recv(40).decode(errors="replace")
        except OSError as error:
            return f"refused: {error}"
    print(json.dumps({f"{a}:{p}": tried(a, p) for a, p in json.loads(sys.argv[1])}))
"""
REACH = """
    import json, os, sys, urllib.request, urllib.error, boto3, botocore, hvac
    theirs, mine = json.loads(sys.argv[1]), os.environ["ETABLI_BUCKET"]
    s3, kv = boto3.client("s3"), hvac.Client().secrets.kv.v2
    mount, folder, other = os.environ["VAULT_MOUNT"], os.environ["VAULT_TOP_DIR"], theirs["folder"]

    def keys(token):
        request = urllib.request.Request("http://169.254.170.2/credentials", headers={"Authorization": token} if token else {})
        return urllib.request.urlopen(request, timeout=20).status

    def tried(attempt):
        try:
            attempt()
        except botocore.exceptions.ClientError as error:
            return "refused: " + error.response["Error"]["Code"]
        except (hvac.exceptions.Forbidden, hvac.exceptions.InvalidPath, urllib.error.HTTPError) as error:
            return f"refused: {type(error).__name__} {error}"
        return "done"

    s3.put_object(Bucket=mine, Key="word", Body=b"mine")
    kv.create_or_update_secret(f"{folder}/word", {"word": "mine"}, mount_point=mount)
    print(json.dumps({
        "own": {
            "read an object": tried(lambda: s3.get_object(Bucket=mine, Key="word")),
            "read a secret": tried(lambda: kv.read_secret_version(f"{folder}/word", mount_point=mount, raise_on_deleted_version=True)),
            "buy keys": tried(lambda: keys(open("/run/etabli/token").read())),
        },
        "theirs": {
            "list the bucket": tried(lambda: s3.list_objects_v2(Bucket=theirs["bucket"])),
            "read an object": tried(lambda: s3.get_object(Bucket=theirs["bucket"], Key="word")),
            "write an object": tried(lambda: s3.put_object(Bucket=theirs["bucket"], Key="mark", Body=b"x")),
            "delete an object": tried(lambda: s3.delete_object(Bucket=theirs["bucket"], Key="word")),
            "copy an object": tried(lambda: s3.copy_object(Bucket=mine, Key="copy", CopySource=theirs["bucket"] + "/word")),
            "open the bucket": tried(lambda: s3.put_bucket_policy(Bucket=theirs["bucket"], Policy="{}")),
            "read a secret": tried(lambda: kv.read_secret_version(f"{other}/word", mount_point=mount, raise_on_deleted_version=True)),
            "write a secret": tried(lambda: kv.create_or_update_secret(f"{other}/mark", {"x": "y"}, mount_point=mount)),
            "list secrets": tried(lambda: kv.list_secrets(other, mount_point=mount)),
            "list everybody's secrets": tried(lambda: kv.list_secrets("", mount_point=mount)),
            "read what the lab keeps": tried(lambda: kv.list_secrets("services", mount_point="lab")),
            "buy keys with a stolen token": tried(lambda: keys(theirs["token"])),
            "buy keys with no token": tried(lambda: keys("")),
        },
        "buckets": [one["Name"] for one in s3.list_buckets()["Buckets"]],
    }))
"""


@dataclass
class Street:
    """A lab in which Alice and Bob each have a service."""

    lab: labs.Lab
    bob: people.Person
    alices: str
    bobs: str

    def told(self, service_id: str, program: str, *arguments: object, seconds: float = 120) -> dict[str, object]:
        """The JSON that a program inside a service prints."""
        words = [json.dumps(argument) for argument in arguments]
        found = json.loads(people.inside(self.lab, service_id, program, *words, seconds=seconds))
        assert isinstance(found, dict)
        return found


@pytest.fixture(scope="module")
def street() -> Iterator[Street]:
    with labs.lab(catalog=people.CATALOGS, storage=SHORT_KEYS) as lab:
        lab.up()
        people.joined(lab, lab.link, "Alice")
        bob = people.joined(lab, lab.etabli("invite").strip(), "Bob")
        alices = lab.etabli("launch", "tests/tiny").strip()
        bobs = lab.etabli("--as", "bob", "launch", "tests/tiny").strip()
        lab.until_state(alices, "ready", seconds=labs.BUILD_SECONDS)
        lab.until(lambda: "ready" in lab.etabli("--as", "bob", "show", bobs) or None, 60)
        yield Street(lab, bob, alices, bobs)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Mapping[str, str]]:
    """A process and a socket of the machine to reach for, as test_escapes has them."""
    mark = f"lab-{secrets.token_hex(4)}"
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0{mark}")
        abstract.listen()
        victim = subprocess.Popen(["sleep", "600"], env={"MARK": mark})
        yield {"VICTIM": str(victim.pid), "MARK": mark}
        victim.kill()
        victim.wait()


def test_every_way_out_of_a_real_service_is_refused(street: Street, machine: Mapping[str, str]) -> None:
    """The attempts of the sandbox's own test, but those that fill what a service may use up to its limits."""
    reach = {**machine, "STATE": str(street.lab.data), "OTHER": str(street.lab.data / "engine/services" / street.bobs)}
    program = f"import os\nos.environ.update({reach!r})\n{PROBES}"
    program = program.replace("names or list(ATTEMPTS)", '[name for name in ATTEMPTS if not name.startswith("fill")]')
    said = people.inside(street.lab, street.alices, program, seconds=120)
    seen = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    assert len(seen) > 45
    assert [f"{one['name']}: {one['result']}" for one in seen if not one["refused"]] == []


def test_nothing_of_a_neighbour_answers(street: Street) -> None:
    hers, his = str(street.told(street.alices, OWN)["address"]), str(street.told(street.bobs, OWN)["address"])
    own_gateway, his_network, port = hers.rpartition(".")[0] + ".1", his.rpartition(".")[0], street.lab.port
    # Inner ports of the store, its volumes, its master, the vault and the key server: no password is asked there.
    inner = [
        *((own_gateway, one) for one in (8333, 8888, 9333, 9340, 8200, 9100)),
        *((_address_of_this_machine(), one) for one in (8333, 9333, 9340, 8200, 9100, port)),
        *(("127.0.0.1", one) for one in (8333, 9333, 9340, 8200, 9100)),
    ]
    # Some networks answer for any address: what a neighbour's answer must be like is that of an address which nobody has.
    ports = (8888, 22, port)
    theirs = [(f"{his_network}.{number}", one) for number in (1, 2, 200) for one in ports]
    tried = street.told(street.alices, CONNECT, [*inner, *theirs, (hers, 8888), (own_gateway, port)])
    assert "200 OK" in str(tried[f"{hers}:8888"])
    assert "answered" in str(tried[f"{own_gateway}:{port}"])
    assert [place for place in inner if "answered" in str(tried[f"{place[0]}:{place[1]}"])] == []
    for number in (1, 2):
        for one in ports:
            assert tried[f"{his_network}.{number}:{one}"] == tried[f"{his_network}.200:{one}"]
    assert his == f"{his_network}.2"


def test_nothing_of_a_neighbour_is_read_or_bought(street: Street) -> None:
    hers, his = street.told(street.alices, OWN), street.told(street.bobs, OWN)
    for inside, other in ((street.alices, his), (street.bobs, hers)):
        said = street.told(inside, REACH, other)
        assert set(said["own"].values()) == {"done"}  # type: ignore[attr-defined] # JSON objects.
        assert {what: how for what, how in said["theirs"].items() if not how.startswith("refused")} == {}  # type: ignore[attr-defined] # The same.
        assert other["bucket"] not in said["buckets"]  # type: ignore[operator] # A list.


def test_a_neighbour_is_told_of_a_service_what_is_told_of_none(street: Street) -> None:
    answers = []
    for service_id in (street.alices, "abcdefghij"):
        page = street.bob.ask("GET", f"{street.lab.origin}/api/v1/services/{service_id}")
        problem = {**page.json(), "request": ""}
        answers.append((page.status_code, str(problem).replace(service_id, "")))
        assert page.status_code == 404
    assert answers[0] == answers[1]
    host = f"tiny-{street.alices}.svc.etabli.localhost"
    answer = street.bob.ask("GET", f"http://{host}:{street.lab.port}/")
    assert answer.status_code in (303, 401)
    _, page = street.bob.visit(f"http://{host}:{street.lab.port}/")
    assert page.status_code == 404


def test_every_tool_outlives_its_keys_and_the_portal(street: Street) -> None:
    """Three renewals in one process. The built-in environment carries no obstore: tests/storage has it."""
    lab, service_id = street.lab, street.alices
    with ThreadPoolExecutor() as pool:
        working = pool.submit(people.inside, lab, service_id, (HERE / "renewing.py").read_text(), seconds=600)
        for turn in range(TURNS):
            people.inside(lab, service_id, f"from pathlib import Path; (Path.home() / 'go-{turn}').touch()")
            assert _turn(lab, service_id, turn, working.done) == 7 * ["well"]
            ended = _end_of_keys(lab, service_id)
            portal = lab.component("portal")
            processes.send_signal(portal, signal.SIGKILL)
            lab.until(lambda ended=ended: datetime.now(UTC) > ended or None, 60)  # type: ignore[misc] # mypy cannot infer the defaults of a lambda.
            lab.until(lambda portal=portal: lab.component("portal") != portal or None, 60)  # type: ignore[misc] # The same.
        working.result(timeout=60)


def _turn(lab: labs.Lab, service_id: str, turn: int, over: object) -> list[str]:
    """What each tool says of a turn."""
    reading = f"from pathlib import Path; done = Path.home() / 'done-{turn}'; print(done.read_text() if done.exists() else '')"
    said = lab.until(lambda: people.inside(lab, service_id, reading).strip() or None, 180)
    return [line.partition(": ")[2] for line in said.splitlines()]


def _end_of_keys(lab: labs.Lab, service_id: str) -> datetime:
    """When every key given so far has ended."""
    asking = """
        import json, urllib.request
        headers = {"Authorization": open("/run/etabli/token").read()}
        request = urllib.request.Request("http://169.254.170.2/credentials", headers=headers)
        print(json.load(urllib.request.urlopen(request, timeout=20))["Expiration"])
    """
    return datetime.fromisoformat(people.inside(lab, service_id, asking).strip().replace("Z", "+00:00"))


def _address_of_this_machine() -> str:
    """One that is not the loopback's; where there is none, one that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # TEST-NET-1, RFC 5737: nothing is sent.
            return str(probe.getsockname()[0])
        except OSError:
            return "192.0.2.1"
