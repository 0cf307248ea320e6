"""The authoriser as a component, in the components' network."""

import asyncio
import re
import sys
from pathlib import Path

import pytest

from etabli.components import inner
from etabli.door import authoriser, component
from etabli.kernel import database, processes
from etabli.kernel.settings import LabSettings, Layout
from tests.door.conftest import answers, spawn, until

LIGHT_KIB = 25 * 1024

ASK = """
import urllib.request, urllib.error
try: print(urllib.request.urlopen("http://127.0.0.1:9100/jwks").read().decode())
except urllib.error.HTTPError as error: print(error.code)
"""


@pytest.mark.binaries
async def test_it_serves_the_labs_public_keys_inside_and_a_private_socket_outside(
    layout: Layout, lab: LabSettings, tables: database.Database
) -> None:
    made = component.component(layout, lab, version="1")
    holder = spawn(inner.holder_argv(), layout.run)
    await until(lambda: inner.is_ready(processes.reference(holder.pid)), "the holder")
    network = processes.reference(holder.pid)
    process = spawn(inner.enter_argv(network, made.argv), layout.run)
    try:
        await until(lambda: answers(layout.socket("authoriser")), "the authoriser")
        assert layout.socket("authoriser").stat().st_mode & 0o777 == 0o600
        ask = inner.enter_argv(network, (sys.executable, "-S", "-c", ASK))
        assert (await output(ask)).strip() == "503"
        component.jwks(layout).write_text('{"keys": []}')
        assert (await output(ask)).strip() == '{"keys": []}'
        assert pss_kib(process.pid) <= LIGHT_KIB
    finally:
        for one in (process, holder):
            one.kill()
            one.wait()


def pss_kib(pid: int) -> int:
    found = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    assert found
    return int(found[1])


async def output(argv: tuple[str, ...]) -> str:
    asked = await asyncio.create_subprocess_exec(*argv, stdout=-1)
    return (await asked.communicate())[0].decode()


def test_a_database_that_cannot_be_read_is_a_wait_not_a_refusal(tmp_path: Path) -> None:
    asked = authoriser.Authoriser(
        routes=authoriser.Routes(tmp_path / "absent.db"), portal="http://etabli.localhost:8000"
    )
    headers = {
        "host": ["a.svc.etabli.localhost:8000"],
        "x-etabli-method": ["GET"],
        "cookie": ["__Host-etabli-service=x"],
    }
    answer = asked.answer(authoriser.Request(path="/authorise", headers=headers))
    assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
