"""The real Caddy, SeaweedFS, OpenBao and authoriser under one supervisor: killed one by one, then all at once."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from etabli.components import caddy, models, openbao, seaweedfs
from etabli.components.settings import FrontDoorSettings
from etabli.door import component as authoriser
from etabli.kernel import database, processes
from etabli.kernel.settings import LabSettings, Layout
from tests.components.conftest import Lab, tell_network, until
from tests.components.test_caddy import free_port

pytestmark = pytest.mark.binaries

INNER = ("authoriser", "seaweedfs", "openbao")
SECONDS = 60.0  # OpenBao's first election takes some.


@pytest.fixture
async def whole() -> AsyncIterator[tuple[Lab, LabSettings]]:
    root = Path(tempfile.mkdtemp(prefix="whole-"))
    layout = Layout(data=root / "data", run=root / "run")
    layout.make()
    tables = database.Database(database.sqlite_url(layout.database))
    await tables.create_tables()
    await tables.close()
    settings = LabSettings(port=free_port())
    lab = Lab(root)
    lab.plan = models.Plan(
        data=layout.data,
        run=layout.run,
        components=(
            authoriser.component(layout, settings, version="1"),
            seaweedfs.component(layout, settings),
            openbao.component(layout, settings),
            caddy.component(layout, settings, FrontDoorSettings()),
        ),
    )
    yield lab, settings
    lab.close()
    await asyncio.to_thread(shutil.rmtree, root)


async def test_each_part_and_all_at_once_come_back_and_what_runs_is_adopted(whole: tuple[Lab, LabSettings]) -> None:
    lab, settings = whole
    names = [*INNER, "caddy"]
    supervisor = lab.up()
    await lab.ready(within=SECONDS)
    for name in (*names, "network"):
        before = {one: lab.ref(one) for one in names}
        killed = lab.kill(name)
        if name == "network":  # Healed by the next start of a component that lives in it.
            before.pop("authoriser")
            lab.kill("authoriser")
        await until(lambda name=name, killed=killed: lab.ref(name) != killed, f"another {name}", within=SECONDS)  # type: ignore[misc]
        await lab.ready(within=SECONDS)
        assert [one for one in before if lab.ref(one) != before[one]] == [one for one in before if one == name]
    assert len({tell_network(lab.ref(name)) for name in (*INNER, "network")}) == 1
    assert tell_network(lab.ref("caddy")) != tell_network(lab.ref("network"))

    before = {one: lab.ref(one) for one in names}
    supervisor.kill()
    supervisor.wait()
    supervisor = lab.up()
    await lab.ready(within=SECONDS)
    assert {one: lab.ref(one) for one in names} == before

    supervisor.kill()
    for name in (*names, "network"):
        lab.kill(name)
    supervisor.wait()
    lab.up()
    await lab.ready(within=SECONDS)
    assert all(lab.ref(one) != before[one] and processes.is_alive(lab.ref(one)) for one in names)
    assert await answer(settings, f"s3.{settings.domain}", "/") == 403
    assert await answer(settings, f"vault.{settings.domain}", "/v1/sys/health") == 404


async def answer(settings: LabSettings, host: str, path: str) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        url = f"http://127.0.0.1:{settings.port}{path}"
        return (await client.get(url, headers={"Host": f"{host}:{settings.port}"})).status_code
