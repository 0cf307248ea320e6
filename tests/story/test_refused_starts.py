"""Starts that cannot be, each said in a sentence with nothing left behind; and a disk that is full, then has room again."""

from __future__ import annotations

import json
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from etabli.components import seaweedfs
from etabli.kernel import settings
from tests import lab as labs
from tests.story import people

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(600)]
DISK_MIB = 400


@pytest.fixture
def lab() -> Iterator[labs.Lab]:
    """A lab that nobody started yet."""
    with labs.lab() as made:
        yield made


def test_an_unknown_setting_is_named_and_nothing_is_started(lab: labs.Lab) -> None:
    file = lab.data / "etabli.toml"
    file.write_text(file.read_text().replace("port =", "prot ="))
    told = lab.etabli("up", "--detach", check=False)
    assert "`lab.prot`" in told
    assert "hint: " in told
    assert lab.recorded() == []


def test_a_lab_is_not_moved(lab: labs.Lab) -> None:
    for words, sentence in (
        (("--port", "9"), f"this lab answers with port `{lab.port}` since its first start, not `9`"),
        (("--domain", "lab.example.org"), "this lab answers with domain `etabli.localhost` since its first start"),
    ):
        told = lab.etabli("up", "--detach", *words, check=False)
        assert sentence in told
        assert "another lab is another data folder" in told
    assert lab.recorded() == []


def test_a_taken_port_is_said_with_who_has_it(lab: labs.Lab) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", lab.port))
        taken.listen()
        told = lab.etabli("up", "--detach", check=False)
    assert f"error: port {lab.port} is taken by process " in told
    assert Path(sys.executable).name[:6] in told
    assert "hint: stop it, or choose another with `--port`" in told
    assert lab.recorded() == []


def test_a_full_disk_is_said_and_corrupts_nothing(lab: labs.Lab) -> None:
    with _small_disk(lab) as seen:
        lab.up()
        lab.until(lambda: _vault_is_set_up(seen / "keys/openbao-recovery.json") or None, 60)
        person = people.joined(lab, lab.link, "Alice")
        store = _store(lab, settings.Layout(data=seen, run=lab.run))
        store.create_bucket(Bucket="alice")
        acknowledged = {f"before-{number}": bytes([number]) * 100_000 for number in range(5)}
        for key, body in acknowledged.items():
            store.put_object(Bucket="alice", Key=key, Body=body)

        _fill(seen / "fill")
        assert _until_refused(store, acknowledged)
        told = [lab.etabli("projects", "create", f"P{number}", check=False) for number in range(40)]
        said = next((one for one in told if "error" in one), "")
        assert "error: the lab's disk is full" in said, told
        assert "hint: " in said
        assert person.ask("GET", f"{lab.origin}/services").status_code == 200  # What asks for no room goes on.

        (seen / "fill").unlink()
        lab.until(lambda: store.put_object(Bucket="alice", Key="after", Body=b"after") and True, 60)
        lab.until(lambda: "error" not in lab.etabli("projects", "create", "Room", check=False) or None, 60)
        acknowledged["after"] = b"after"
        for key, body in acknowledged.items():
            assert store.get_object(Bucket="alice", Key=key)["Body"].read() == body
        lab.until(lambda: lab.etabli("status") and True, 120)
        lab.etabli("down")
        shutil.copytree(seen, lab.folder / "copy", ignore=shutil.ignore_patterns("*.sock"))
    with closing(sqlite3.connect(lab.folder / "copy/etabli.db")) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]


def _vault_is_set_up(recovery: Path) -> bool:
    """A vault whose first set-up a full disk cut off is made anew by the next `etabli up`, not by itself."""
    known = json.loads(recovery.read_text()) if recovery.exists() else {}
    return bool(known.get("applied")) and not known.get("root_token")


def _until_refused(store, acknowledged: dict[str, bytes]) -> bool:  # type: ignore[no-untyped-def] # boto3 has no types.
    """Put objects until the store says no; what it had set aside on the disk may still take some."""
    for number in range(100):
        body = bytes([number]) * 1_000_000
        try:
            store.put_object(Bucket="alice", Key=f"full-{number}", Body=body)
        except ClientError:
            return True
        acknowledged[f"full-{number}"] = body
    return False


@contextmanager
def _small_disk(lab: labs.Lab) -> Iterator[Path]:
    """The lab's data folder on a file system of DISK_MIB, in a mount namespace of its own; where it is seen from here."""
    mounting = f'mount -t tmpfs -o size={DISK_MIB}m,mode=700 tmpfs "$0" && echo ready && read -r over'
    holder = subprocess.Popen(
        ["unshare", "--map-current-user", "--keep-caps", "--mount", "sh", "-c", mounting, lab.data],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    assert holder.stdout.readline() == "ready\n"
    seen = Path(f"/proc/{holder.pid}/root") / lab.data.relative_to("/")
    shutil.copy(lab.data / "etabli.toml", seen)
    lab.within = ("nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials", "--")
    try:
        yield seen
    finally:
        lab.etabli("down", check=False, timeout=240)
        lab.within = ()
        holder.communicate()  # The end of its input ends it, and the file system with it.


def _store(lab: labs.Lab, layout: settings.Layout):  # type: ignore[no-untyped-def] # boto3 has no types.
    """The store through the front door, by the lab's own key."""
    keys = seaweedfs.keys(layout)
    client = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{lab.port}",
        aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key,
        region_name="eu-west-3",
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, read_timeout=60),
    )
    host = f"s3.etabli.localhost:{lab.port}"
    client.meta.events.register("before-sign.s3", lambda request, **_: request.headers.__setitem__("Host", host))
    return client


def _fill(path: Path) -> None:
    """Leave no byte."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
