"""A portal that does nothing but keep the engine, in a process of its own, for tests that kill it.

`python -m tests.engines.process.portal FOLDER`: reads one JSON line per command from its input — `{"apply": id}`, `{"destroy": id}`,
`{"status": id}` — and answers one line each.
"""

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

import structlog

from etabli.engines.process import engine as process
from etabli.kernel.settings import Layout
from tests.engines import charts
from tests.engines.conftest import ProcessBench, marked


async def serve(root: Path) -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    bench = ProcessBench(Layout(data=root / "data", run=root / "run"))
    await bench.engine.start()
    print(json.dumps("started"), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        print(json.dumps(await answer(bench, json.loads(line))), flush=True)
    await bench.leave()


async def answer(bench: ProcessBench, command: dict[str, str]) -> object:
    [(verb, service_id)] = command.items()
    engine, handle = bench.engine, process.handle(service_id)
    if verb == "apply":
        template = charts.pod(charts.web_container(args=[marked(bench.layout)]))
        chart = [charts.stateful_set(template), charts.service(), charts.ingress()]
        await engine.apply(charts.request(*chart, service_id=service_id))
    elif verb == "destroy":
        await engine.stop(handle, grace=GRACE)
        await engine.destroy(handle)
    status = await engine.status(handle)
    return {"phase": status.phase, "starts": [str(pod.started_at) for pod in status.pods], "message": status.message}


GRACE = timedelta()

if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
