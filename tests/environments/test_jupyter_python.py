"""The built-in environment, built from the package index, on real S3: each tool reads and writes with nothing in the code.

Its tree is kept in the user's cache folder, so that only the first run downloads.
"""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sysconfig
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from etabli.environments import base, build, spec
from etabli.environments.models import Tree
from etabli.environments.service import Environments
from etabli.environments.settings import EnvironmentSettings
from etabli.environments.walls import SandboxBuilder
from etabli.kernel.clock import SystemClock
from etabli.kernel.events import Events
from etabli.sandbox.service import Sandboxes
from etabli.sandbox.settings import SandboxSettings

BUILT_IN = Path(__file__).parents[2] / "environments"
NAME = "jupyter-python"
WEED = Path(sysconfig.get_path("scripts"), "weed")
KEY, SECRET = "AKTEST", "a-secret-of-this-test"


def test_the_lock_belongs_to_what_is_asked_and_names_the_tree_without_a_network() -> None:
    found = spec.read(BUILT_IN / NAME)

    assert found.lock is not None, "requirements changed: `etabli environments lock jupyter-python`"
    assert len(build.digest(found, base.host(), found.lock)) == 64


def test_duckdb_and_its_extensions_are_one_version() -> None:
    lock = spec.read(BUILT_IN / NAME).lock or ""
    versions = {line.split()[0].partition("==")[2] for line in lock.splitlines() if line.startswith("duckdb")}

    assert len(versions) == 1


@dataclass
class Store:
    """A bucket `alice` and the credential endpoint, as a service would see them: `env` is all that it is given."""

    env: Mapping[str, str]
    home: Path


@pytest.fixture(scope="module")
def tree() -> Tree:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etabli-tests/environments"
    cache.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_build(cache))


async def _build(cache: Path) -> Tree:
    run = Path(tempfile.mkdtemp(prefix="e-"))
    clock, settings = SystemClock(), EnvironmentSettings()
    sandboxes = Sandboxes(state=cache / "sandbox", run=run, settings=SandboxSettings(), clock=clock)
    lab = Environments(
        folders=(BUILT_IN,),
        root=cache / "lab",
        builder=SandboxBuilder(sandboxes, settings),
        events=Events(),
        clock=clock,
        environ=os.environ,
        settings=settings,
    )
    try:
        built = await lab.ensure(f"etabli/{NAME}")
        await lab.prune(in_use=())
        return built
    finally:
        await lab.close()
        await sandboxes.close()
        shutil.rmtree(run, ignore_errors=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("s3")
    (folder / "home").mkdir()
    (folder / "token").write_text("token")
    identity = {"name": "a", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]}
    (folder / "iam.json").write_text(json.dumps({"identities": [identity]}))
    ports = [_free_port() for _ in range(5)]
    command = [str(WEED), "mini", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-webdav=false"]
    command += ["-master.telemetry=false", "-admin.ui=false", "-s3.port.iceberg=0", "-s3.port.lance=0"]
    command += [
        f"-{name}.port={port}" for name, port in zip(("s3", "master", "volume", "filer", "admin"), ports, strict=True)
    ]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([*command, f"-s3.config={folder}/iam.json"], stdout=log, stderr=log, cwd=folder)
    credentials = ThreadingHTTPServer(("127.0.0.1", 0), _Credentials)
    threading.Thread(target=credentials.serve_forever, daemon=True).start()
    try:
        _wait_for(ports[0])
        yield Store(env=_variables(folder, ports[0], credentials.server_address[1]), home=folder / "home")
    finally:
        credentials.shutdown()
        credentials.server_close()
        server.terminate()
        server.wait()


TOOLS = {
    "boto3": "import boto3; s = boto3.client('s3'); s.put_object(Bucket='alice', Key='k', Body=b'499500'); "
    "print(s.get_object(Bucket='alice', Key='k')['Body'].read().decode())",
    "pandas": "import pandas as pd; print(pd.read_parquet('s3://alice/numbers.parquet').a.sum())",
    "pandas csv": "import pandas as pd; f = 's3://alice/n.csv'; pd.DataFrame({'a': [499500]}).to_csv(f); print(pd.read_csv(f).a[0])",
    "polars": "import polars as pl; print(pl.scan_parquet('s3://alice/numbers.parquet').collect()['a'].sum())",
    "polars write": "import polars as pl; f = 's3://alice/p.parquet'; pl.DataFrame({'a': [499500]}).write_parquet(f); "
    "print(pl.read_parquet(f)['a'][0])",
    "pyarrow address": "import pyarrow.parquet as pq; print(sum(pq.read_table('s3://alice/numbers.parquet')['a'].to_pylist()))",
    "pyarrow bare": "import pyarrow.parquet as pq; from pyarrow import fs; f = fs.S3FileSystem(); "
    "print(sum(pq.read_table('alice/numbers.parquet', filesystem=f)['a'].to_pylist()))",
    "s3fs": "import s3fs; f = s3fs.S3FileSystem(); f.pipe('alice/s', b'499500'); print(f.cat('alice/s').decode())",
    "duckdb": "import duckdb; print(duckdb.sql(\"select sum(a) from 's3://alice/numbers.parquet'\").fetchone()[0])",
    "duckdb connection": "import duckdb; c = duckdb.connect('local.db'); "
    "c.sql(\"copy (select 499500 as a) to 's3://alice/d.parquet'\"); "
    "print(c.sql(\"select a from 's3://alice/d*.parquet'\").fetchone()[0])",
}


@pytest.mark.binaries
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tool", TOOLS)
async def test_a_tool_reads_and_writes_s3_with_nothing_in_the_code(tree: Tree, store: Store, tool: str) -> None:
    await _python(tree, store, PREPARE)

    assert await _python(tree, store, TOOLS[tool]) == "499500\n"


PREPARE = (
    "import boto3, pandas as pd; s = boto3.client('s3'); names = [b['Name'] for b in s.list_buckets()['Buckets']]\n"
    "if 'alice' not in names:\n"
    "    s.create_bucket(Bucket='alice', CreateBucketConfiguration={'LocationConstraint': 'eu-west-3'})\n"
    "    pd.DataFrame({'a': range(1000)}).to_parquet('s3://alice/numbers.parquet')"
)


@pytest.mark.binaries
async def test_pyarrow_stays_itself(tree: Tree, store: Store) -> None:
    code = (
        "import pickle; from pyarrow import fs; own = fs.FileSystem.from_uri('s3://alice/x')[0]; bare = fs.S3FileSystem()\n"
        "print(isinstance(own, fs.S3FileSystem), isinstance(pickle.loads(pickle.dumps(bare)), fs.S3FileSystem))\n"
        "print(isinstance(fs.LocalFileSystem(), fs.S3FileSystem), fs.S3FileSystem(endpoint_override='e.example', region='r').region)"
    )
    assert await _python(tree, store, code) == "True True\nFalse r\n"


@pytest.mark.binaries
async def test_duckdb_makes_its_secret_once_a_home_and_keeps_it_private(tree: Tree, store: Store) -> None:
    await _python(tree, store, "import duckdb")
    secret = store.home / ".duckdb/stored_secrets/etabli.duckdb_secret"
    first = secret.stat()

    await _python(tree, store, "import duckdb")

    assert secret.stat().st_mtime_ns == first.st_mtime_ns
    assert first.st_mode & 0o777 == 0o600


@pytest.mark.binaries
async def test_without_s3_nothing_is_watched_nor_written(tree: Tree, store: Store, tmp_path: Path) -> None:
    code = "import duckdb, pyarrow.fs, os; print(pyarrow.fs.S3FileSystem.__mro__[0], os.path.exists(os.path.expanduser('~/.duckdb')))"

    answer = await _python(tree, Store(env={"HOME": str(tmp_path)}, home=tmp_path), code)

    assert answer == "<class 'pyarrow._s3fs.S3FileSystem'> False\n"


@pytest.mark.binaries
async def test_a_credential_endpoint_that_does_not_answer_leaves_duckdb_usable(
    tree: Tree, store: Store, tmp_path: Path
) -> None:
    env = {
        **store.env,
        "HOME": str(tmp_path),
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{_free_port()}/",
    }

    assert (
        await _python(tree, Store(env=env, home=tmp_path), "import duckdb; print(duckdb.sql('select 1').fetchone()[0])")
        == "1\n"
    )


@pytest.mark.binaries
async def test_jupyterlab_asks_nobody_outside_for_news(tree: Tree, store: Store) -> None:
    code = (
        "import json, subprocess; shown = subprocess.run(['jupyter-lab', '--show-config-json'], capture_output=True).stdout\n"
        "lab = json.loads(shown)['LabApp']; never = 'Never' in lab['check_for_updates_class']\n"
        "print(lab['news_url'], lab['extension_manager'], never)"
    )
    inside = {**store.env, "PATH": f"{tree.path}/bin:/usr/bin:/bin"}

    assert await _python(tree, Store(env=inside, home=store.home), code) == "None readonly True\n"


@pytest.mark.binaries
async def test_what_the_catalogue_promises_is_there(tree: Tree, store: Store) -> None:
    modules = "jupyterlab, jupyterlab_git, ipykernel, pip, numpy, pandas, polars, pyarrow, duckdb"
    modules += ", s3fs, sklearn, matplotlib, altair, hvac"

    assert (
        await _python(tree, store, f"import {modules}; print(jupyterlab.__version__[:2], s3fs.__version__[:2])")
        == "4. 20\n"
    )


async def _python(tree: Tree, store: Store, code: str) -> str:
    """What the tree's own interpreter prints. Not in a sandbox: the store of this test listens on the machine's loopback."""
    process = await asyncio.create_subprocess_exec(
        tree.path / "bin/python",
        "-c",
        code,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=dict(store.env),
        cwd=store.home,
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()[-2000:]
    return output.decode()


class _Credentials(BaseHTTPRequestHandler):
    """What a service finds at the container's credential endpoint."""

    def do_GET(self) -> None:
        until = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = json.dumps({"AccessKeyId": KEY, "SecretAccessKey": SECRET, "Token": "", "Expiration": until}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - The name is http.server's.
        """Say nothing."""


def _variables(folder: Path, s3_port: int, credentials_port: int) -> dict[str, str]:
    return {
        "HOME": str(folder / "home"),
        "PATH": "/usr/bin:/bin",
        "AWS_REGION": "eu-west-3",
        "AWS_DEFAULT_REGION": "eu-west-3",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ALLOW_HTTP": "true",
        "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{s3_port}",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"http://127.0.0.1:{credentials_port}/credentials",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(folder / "token"),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
            return
        except urllib.error.HTTPError as error:
            error.close()
            return  # It refuses who has no key: it is there.
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
