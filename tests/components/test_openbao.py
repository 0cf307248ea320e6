"""OpenBao as the lab runs it: set up once from wherever a kill left it, nothing acknowledged lost, nothing secret shown."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from etabli.components import openbao, vault_setup
from etabli.kernel import errors
from etabli.kernel.settings import LabSettings, Layout
from tests import parts

pytestmark = pytest.mark.binaries


@dataclass
class Running:
    layout: Layout
    enclave: parts.Enclave
    child: subprocess.Popen[bytes]

    async def restart(self) -> None:
        os.kill(self.child.pid, signal.SIGKILL)
        await asyncio.to_thread(self.child.wait)
        self.child = await asyncio.to_thread(self.enclave.start, openbao.component(self.layout, parts.LAB))

    async def set_up(self, lab: LabSettings = parts.LAB) -> None:
        await vault_setup.ensure_vault_ready(self.layout, lab, clock=parts.CLOCK)

    def http(self) -> httpx.AsyncClient:
        transport = httpx.AsyncHTTPTransport(uds=str(self.layout.socket("vault")))
        token = {"X-Vault-Token": openbao.lab_token(self.layout)}
        return httpx.AsyncClient(transport=transport, base_url="http://vault/v1/", headers=token)


@asynccontextmanager
async def vault(folder: Path) -> AsyncIterator[Running]:
    with tempfile.TemporaryDirectory(prefix="etabli-test-") as run:
        layout = parts.layout(folder, Path(run))
        await parts.publish_keys(layout, folder)
        enclave = await asyncio.to_thread(parts.Enclave, folder)
        try:
            child = await asyncio.to_thread(enclave.start, openbao.component(layout, parts.LAB))
            yield Running(layout, enclave, child)
        finally:
            enclave.close()


class Killed(BaseException):
    """Stands for SIGKILL at one moment of the set-up: nothing of ours runs after it."""


class DyingTransport(httpx.AsyncBaseTransport):
    """A real transport whose process dies at the n-th request: before it is sent, or after the vault did it."""

    def __init__(self, socket: Path, moments: Iterator[None]) -> None:
        self._inner, self._moments = httpx.AsyncHTTPTransport(uds=str(socket)), moments

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if next(self._moments, "dead") == "dead":
            raise Killed
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        if next(self._moments, "dead") == "dead":
            raise Killed
        return answer

    async def aclose(self) -> None:
        await self._inner.aclose()


async def test_set_up_killed_at_every_step_goes_on(tmp_path: Path) -> None:
    async with vault(tmp_path) as running:
        restarts = await _die_at_every_moment(running)
        # The answer to `sys/init` was lost with who asked: that vault holds nothing, and the next start makes a fresh one.
        assert restarts == 1
        recovery = running.layout.keys / openbao.RECOVERY
        recovery.write_text(json.dumps({**json.loads(recovery.read_text()), "applied": "an older one"}))
        assert await _die_at_every_moment(running) == 0
        assert json.loads(recovery.read_text())["root_token"] is None
        async with running.http() as http:
            assert (await http.post("lab/data/a", json={"data": {"k": "v"}})).is_success


async def _die_at_every_moment(running: Running) -> int:
    """Run the set-up to its end through as many deaths as it has moments; how often the vault had to be made anew."""
    restarts = 0
    for life in range(200):
        transport = DyingTransport(running.layout.socket("vault"), iter([None] * life))
        try:
            await vault_setup.ensure_vault_ready(running.layout, parts.LAB, clock=parts.CLOCK, transport=transport)
        except Killed:
            continue
        except errors.Unavailable:
            assert not (running.layout.keys / openbao.RECOVERY).exists()
            restarts += 1
            await running.restart()
            continue
        return restarts
    raise AssertionError("the set-up never ends")


async def test_the_root_token_is_gone_and_the_labs_own_does_little(tmp_path: Path) -> None:
    async with vault(tmp_path) as running:
        await running.set_up()
        kept = json.loads((running.layout.keys / openbao.RECOVERY).read_text())
        assert kept["root_token"] is None
        async with running.http() as http:
            for path in (
                "sys/mounts",
                "sys/policies/acl/own-folder",
                "kv/metadata/alice?list=true",
                "auth/token/accessors?list=true",
            ):
                assert (await http.get(path)).status_code == 403, path
            assert (await http.put("sys/policies/acl/lab", json={"policy": ""})).status_code == 403
            assert (await http.post("auth/token/create", json={})).status_code == 403
            me = (await http.get("auth/token/lookup-self")).json()["data"]
        assert me["policies"] == ["lab"]
        assert me["period"] == 30 * 24 * 3600


async def test_keys_are_private_and_shown_nowhere(tmp_path: Path) -> None:
    async with vault(tmp_path) as running:
        await running.set_up()
        keys = running.layout.keys
        kept = json.loads((keys / openbao.RECOVERY).read_text())
        secrets = [
            kept["recovery_key"].encode(),
            (keys / openbao.LAB_TOKEN).read_bytes(),
            (keys / openbao.UNSEAL_KEY).read_bytes(),
        ]
        shown = parts.command_lines() + openbao.component(running.layout, parts.LAB).log.read_bytes()
        assert not [secret for secret in secrets if secret in shown]
        for path in keys.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        socket = running.layout.socket("vault").stat().st_mode
        assert stat.S_ISSOCK(socket)
        assert not socket & 0o077
        assert os.readlink(f"/proc/{running.child.pid}/ns/net") != os.readlink("/proc/self/ns/net")


async def test_no_acknowledged_secret_is_lost_to_kill_9(tmp_path: Path) -> None:
    async with vault(tmp_path) as running:
        await running.set_up()
        acknowledged: list[int] = []
        enough = asyncio.Event()

        async def write() -> None:
            async with running.http() as http:
                for number in range(100_000):
                    try:
                        answer = await http.post(f"lab/data/{number}", json={"data": {"n": number}})
                    except httpx.TransportError:
                        return
                    if not answer.is_success:
                        return
                    acknowledged.append(number)
                    if number >= 100:
                        enough.set()

        writer = asyncio.create_task(write())
        await asyncio.wait_for(enough.wait(), timeout=60)
        await running.restart()
        await writer
        async with running.http() as http:
            for number in acknowledged:
                answer = await http.get(f"lab/data/{number}")
                assert answer.json()["data"]["data"] == {"n": number}


async def test_a_change_of_what_is_wanted_is_brought_in(tmp_path: Path) -> None:
    async with vault(tmp_path) as running:
        await running.set_up()
        before = (running.layout.keys / openbao.RECOVERY).read_text()
        await running.set_up()
        assert (running.layout.keys / openbao.RECOVERY).read_text() == before
        await running.set_up(LabSettings(port=9000))
        after = json.loads((running.layout.keys / openbao.RECOVERY).read_text())
        assert after["applied"] != json.loads(before)["applied"]
        assert after["root_token"] is None


async def test_a_running_vault_is_never_set_aside(tmp_path: Path) -> None:
    async with vault(tmp_path) as running:
        await running.set_up()
        recovery = running.layout.keys / openbao.RECOVERY
        recovery.rename(recovery.with_suffix(".kept"))
        openbao.component(running.layout, parts.LAB)
        folder = running.layout.components / openbao.NAME
        assert not list(folder.glob("data.without-keys-*"))
        async with running.http() as http:
            assert (await http.get("auth/token/lookup-self")).is_success
