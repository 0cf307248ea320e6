"""The API against its own description: Schemathesis with every check, as a member and as an administrator, on a real server.

What only the database, the catalogue or a chart's own schema can judge (a project that is not theirs, a value no chart knows) is
not in a description: refusing it by 4xx is right, and said to the check. Streams do not end and are asked elsewhere.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from etabli.web import visitors
from tests.web import parts
from tests.web.lab import Lab, served

SECONDS = 20  # For each of the two.
STREAMS = ("/api/v1/events", "/api/v1/services/{service_id}/logs")
CONFIG = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 413, 422, 503]
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 404, 422]
"""
# Every wrong token counts against an address, and Schemathesis shows hundreds from one.
PATIENT = parts.CHEAP.model_copy(update={"address_failures": 1_000_000})


@pytest.mark.parametrize("who", ["member", "administrator"])
@pytest.mark.timeout(240)
async def test_the_api_keeps_what_its_description_says(tmp_path: Path, who: str) -> None:
    async with served(tmp_path / "lab", people=PATIENT) as lab:
        ada = await lab.admin()
        person = ada if who == "administrator" else await lab.person("Bob", by=ada)
        await lab.launched(person)
        status, said = await _examined(lab, tmp_path, token=await lab.token(person))
    assert status == 0, said[-6000:]
    assert "Tested:" in said


async def _examined(lab: Lab, folder: Path, *, token: str) -> tuple[int, str]:
    """Schemathesis' exit status, and what it said."""
    port = lab.rooms.lab.port
    (folder / "api.json").write_text(json.dumps(await _described(port)))
    (folder / "schemathesis.toml").write_text(CONFIG)
    headers = {
        "Host": f"etabli.localhost:{port}",
        "Cookie": f"{visitors.SESSION_COOKIE}={token}",
        "X-CSRF-Token": visitors.csrf_token(token),
        "Sec-Fetch-Site": "same-origin",
    }
    words = ["--config-file", "schemathesis.toml", "run", "api.json", "--url", f"http://127.0.0.1:{port}"]
    words += [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
    words += [word for path in STREAMS for word in ("--exclude-path", path)]
    words += [
        "--phases",
        "examples,coverage,fuzzing",
        "--checks",
        "all",
        "--max-time",
        str(SECONDS),
        "--max-examples",
        "10",
    ]
    words += ["--generation-deterministic", "--no-color", "--warnings", "off"]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "schemathesis"),
        *words,
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), 200)
    return process.returncode or 0, out.decode()


async def _described(port: int) -> dict[str, Any]:
    """The description, but for who may ask: here each request has a cookie, which the checks could not take away (test_access.py)."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.get(
            f"http://127.0.0.1:{port}/api/v1/openapi.json", headers={"Host": f"etabli.localhost:{port}"}
        )
    described: dict[str, Any] = answer.json()
    del described["components"]["securitySchemes"]
    for path in described["paths"].values():
        for operation in path.values():
            del operation["security"]
    return described
