"""Each tool that people use, with nothing in the code, through three renewals of keys that live 20 s and a portal that restarts.

The tools are in an environment of their own, made by uv at first use and kept in the cache folder of whoever runs the tests.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from etabli.components import seaweedfs
from etabli.identity.models import Project
from etabli.kernel.ids import new_id
from etabli.storage import models
from etabli.storage.client import Client
from etabli.storage.endpoint import CredentialEndpoint
from etabli.storage.service import Storage
from etabli.storage.settings import StorageSettings
from tests import parts

pytestmark = [pytest.mark.binaries, pytest.mark.timeout(300)]

PACKAGES = (
    *("awscli", "boto3", "obstore", "pandas", "polars", "pyarrow", "s3fs"),
    *("duckdb==1.5.5", "duckdb-extensions==1.5.5", "duckdb-extension-httpfs==1.5.5", "duckdb-extension-aws==1.5.5"),
)
TOOLS = ("boto3", "s3fs", "pandas", "polars", "pyarrow", "duckdb", "obstore", "awscli")
SESSION = timedelta(seconds=20)
HERE = Path(__file__).parent / "tools"


@pytest.fixture(scope="module")
def interpreter() -> Path:
    """A Python that has the tools."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etabli-tests"
    folder = cache / f"s3-tools-{hashlib.sha256(' '.join(PACKAGES).encode()).hexdigest()[:12]}"
    if not (folder / "ready").exists():
        uv = Path(sys.executable).with_name("uv")
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", folder / "bin/python", *PACKAGES], check=True)
        (folder / "ready").touch()
    return folder / "bin/python"


class Tool:
    """One process of one tool, in a network like a project's."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name, self._process = name, process

    async def turn(self) -> str:
        """Let it work once; what it says."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(b"go\n")
        async with asyncio.timeout(90):
            line = await self._process.stdout.readline()
        return f"{self.name}: {line.decode().strip()}"

    async def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        await self._process.wait()


async def start(name: str, *, interpreter: Path, folder: Path, storage: Storage, project: Project, run: Path) -> Tool:
    variables = dict(storage.variables(project=project))
    variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = str(folder / "token")
    home = folder / name
    home.mkdir()
    environment = {"HOME": str(home), "PATH": f"{os.defpath}:/usr/sbin:/sbin", **variables}
    inside = [sys.executable, str(HERE / "inside.py"), str(run / "s3.sock"), str(folder / "credentials.sock")]
    inside += [
        f"project {project.id} 10.64.0.2",
        str(folder / "hosts"),
        "--",
        str(interpreter),
        str(HERE / "work.py"),
        name,
    ]
    with (folder / f"{name}.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *("unshare", "--map-root-user", "--net", "--mount", *inside),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            limit=1 << 20,
        )
    return Tool(name, process)


async def test_tools_renew_their_keys_with_nothing_in_the_code(interpreter: Path, tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="etabli-test-") as run:
        layout = parts.layout(tmp_path, Path(run))
        await parts.publish_keys(layout, tmp_path)
        enclave = await asyncio.to_thread(parts.Enclave, tmp_path)
        try:
            await asyncio.to_thread(enclave.start, seaweedfs.component(layout, parts.LAB, session=SESSION))
            async with parts.people(tmp_path, layout) as people:
                keys = seaweedfs.keys(layout)
                client = Client(
                    socket=layout.socket("s3"),
                    origin=parts.LAB.s3_origin,
                    region="eu-west-3",
                    keys=models.Keys(keys.access_key, keys.secret_key),
                )
                settings = StorageSettings(renew_before_seconds=8)
                storage = Storage(
                    client=client, issuer=people.issuer, lab=parts.LAB, settings=settings, clock=parts.CLOCK
                )
                await _work(people, storage, interpreter, tmp_path, Path(run))
                await client.close()
        finally:
            enclave.close()


async def _work(people: parts.People, storage: Storage, interpreter: Path, folder: Path, run: Path) -> None:
    project = await people.own(await people.person(f"worker-{new_id()}"))
    await storage.offer_sample(project=project)
    (folder / "hosts").write_text("127.0.0.1 localhost s3.etabli.localhost\n")
    (folder / "token").write_text(await people.tokens.issue(service_id=new_id(), project_id=project.id))
    common = {"interpreter": interpreter, "folder": folder, "storage": storage, "project": project, "run": run}
    tools = [await start(name, **common) for name in TOOLS]
    said: list[str] = []
    try:
        for turn in range(4):
            # Another endpoint each time, as after a restart of the portal: nothing of the last one is left but its socket.
            endpoint = CredentialEndpoint(storage=storage, tokens=people.tokens)
            async with endpoint.serving(folder / "credentials.sock"):
                said += await asyncio.gather(*(tool.turn() for tool in tools))
            assert said[-len(tools) :] == [f"{name}: done {turn}" for name in TOOLS]
            await _outlive_keys(storage, project)
    finally:
        await asyncio.gather(*(tool.close() for tool in tools))


async def _outlive_keys(storage: Storage, project: Project) -> None:
    """Wait until every key given so far has ended."""
    last = await storage.credentials(subject=project)
    await asyncio.to_thread(parts.wait_until, lambda: parts.CLOCK.now() > last.expires_at, "the keys ended")
