"""What it costs that a write is on the disk before it is acknowledged: objects in the store, commits in the database.

The store is the lab's own: its flush rule is taken away and its index is no longer written through for as long as the comparison
lasts, then both are put back (decision 0701).
"""

import fcntl
import itertools
import os
import sqlite3
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket

from botocore.auth import SigV4Auth  # type: ignore[import-untyped] # It ships no types.
from botocore.awsrequest import AWSRequest  # type: ignore[import-untyped] # The same.
from botocore.credentials import Credentials  # type: ignore[import-untyped] # The same.

from bench.lab import Failed, Lab
from bench.report import LeftOut, Peer, Row, Series
from bench.setting import Setting
from etabli.components import seaweedfs
from etabli.kernel.settings import Layout

SIZE, WRITERS = 4096, 8
BUCKET = "bench"  # The administrator's own, made by their first launch.
RULES = "/etc/seaweedfs/filer.conf"
NO_RULE = b'{"version": 1, "locations": []}'


def durability(setting: Setting) -> list[Row | LeftOut]:
    """No target: a promise has its price, and this is it."""
    return [_objects(setting), _commits(setting)]


def _objects(setting: Setting) -> Row:
    """PUTs per second with the lab's promise and without it, in turn."""
    lab, seconds = setting.lab, setting.times(5, quick=2)
    lab.delete(lab.open("echo", catalog="bench", to="/").id)  # Which makes the bucket.
    kept: list[float] = []
    loose: list[float] = []
    for turn in range(setting.times(5, quick=2)):
        kept.append(_puts(lab, f"kept-{turn}", seconds))
        with _careless(lab):
            loose.append(_puts(lab, f"loose-{turn}", seconds))
    return Row(
        f"objects of 4 KiB stored, {WRITERS} writers",
        Series("PUT/s", tuple(kept)),
        "",
        None,
        peers=(Peer("not on the disk yet", Series("PUT/s", tuple(loose))),),
    )


def _commits(setting: Setting) -> Row:
    """Transactions of one row, as the lab's database is set and with WAL's default for speed."""
    full: list[float] = []
    normal: list[float] = []
    for turn in range(setting.times(5, quick=2)):
        full.append(_transactions(setting.work / f"full-{turn}.db", "FULL", seconds=2))
        normal.append(_transactions(setting.work / f"normal-{turn}.db", "NORMAL", seconds=2))
    peer = Peer("synchronous=NORMAL", Series("commit/s", tuple(normal)))
    return Row("database commits, synchronous=FULL", Series("commit/s", tuple(full)), "", None, peers=(peer,))


def _puts(lab: Lab, prefix: str, seconds: float) -> float:
    """Objects a second. Failed where one was refused."""
    layout = Layout(data=lab.data, run=lab.run)
    keys = seaweedfs.keys(layout)
    signer = SigV4Auth(Credentials(keys.access_key, keys.secret_key), "s3", "us-east-1")
    began = time.monotonic()

    def write(writer: int) -> int:
        with closing(_Connection(layout.socket("s3"))) as connection:
            for number in itertools.count():
                if time.monotonic() > began + seconds:
                    return number
                _put(connection, signer, f"/{BUCKET}/{prefix}/{writer}-{number}")
        raise AssertionError

    with ThreadPoolExecutor(WRITERS) as pool:
        stored = sum(pool.map(write, range(WRITERS)))
    return stored / (time.monotonic() - began)


def _put(connection: HTTPConnection, signer: SigV4Auth, path: str) -> None:
    body = os.urandom(SIZE)
    request = AWSRequest("PUT", f"http://localhost{path}", headers={"Host": "localhost"}, data=body)
    request.headers["X-Amz-Content-SHA256"] = "UNSIGNED-PAYLOAD"
    signer.add_auth(request)
    connection.request("PUT", path, body=body, headers=dict(request.headers.items()))
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != 200:
        raise Failed(f"the store answered {answer.status}: {said[:200].decode(errors='replace')}")


@contextmanager
def _careless(lab: Lab) -> Iterator[None]:
    """The same store without its promise, for as long as the block lasts."""
    layout = Layout(data=lab.data, run=lab.run)
    index = layout.components / "seaweedfs/data/filerldb2"
    with closing(_Connection(layout.socket("filer"))) as filer:
        before = _rules(filer, "GET", b"")
        _rules(filer, "PUT", NO_RULE)
        _write_through(index, False)
        try:
            yield
        finally:
            _write_through(index, True)
            _rules(filer, "PUT", before)


def _rules(filer: HTTPConnection, method: str, body: bytes) -> bytes:
    filer.request(method, RULES, body=body, headers={"Host": "localhost"})
    answer = filer.getresponse()
    said = answer.read()
    if answer.status >= 300:
        raise Failed(f"the store's rules: {method} answered {answer.status}")
    return said


def _write_through(folder: Path, on: bool) -> None:
    """Set or clear the flag of a folder and of what is in it, where the file system has it."""
    for path in (folder, *folder.rglob("*")):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            held = struct.unpack("i", fcntl.ioctl(descriptor, seaweedfs.FS_IOC_GETFLAGS, bytes(4)))[0]
            wanted = held | seaweedfs.FS_SYNC_FL if on else held & ~seaweedfs.FS_SYNC_FL
            fcntl.ioctl(descriptor, seaweedfs.FS_IOC_SETFLAGS, struct.pack("i", wanted))
        except OSError:
            return  # Not this file system: then the lab has no such promise either.
        finally:
            os.close(descriptor)


def _transactions(path: Path, synchronous: str, *, seconds: float) -> float:
    """Commits a second of one connection."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("pragma journal_mode=WAL")
        connection.execute(f"pragma synchronous={synchronous}")
        connection.execute("create table events (id integer primary key, at text, detail text)")
        began = time.monotonic()
        for number in itertools.count(1):
            connection.execute("insert into events (at, detail) values ('2026-01-01 00:00:00', 'ready')")
            if time.monotonic() > began + seconds:
                return number / (time.monotonic() - began)
    raise AssertionError


class _Connection(HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=60)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
