"""The live stream: two hundred browsers, twenty changes a second, through the front door: what the portal uses, when each is seen.

A browser is what static/live.js does: one stream, the row that a hint brings, and the page asked for again where it brings none,
within the time that the hint says. A change is seen when what shows it is there; it happened when the portal said so to who asked for
it (how long that took, disk included, is in the note). Browsers and door share this machine's cores with the portal.
"""

import asyncio
import itertools
import json
import random
import re
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import httpx

from bench import crowded
from bench.lab import Failed
from bench.report import LeftOut, Row, Series
from bench.setting import Setting

PEOPLE, CHANGES, CORES, SEEN_MS = 200, 20, 1.0, 500.0
TOPIC = "service"  # What these pages show.
TEAM = 5  # People in a project, who all look at it.
TAG = re.compile(r'name="etabli-live" content="(\w+) ([\w-]+)')
CHANGED = re.compile(r"change (\d+)")
SETTLE_SECONDS = 6.0  # After the last change: what is not seen by then is lost.


@dataclass
class Seen:
    """When changes were asked for and made, and how long after that each browser saw them."""

    asked: dict[int, float] = field(default_factory=dict)
    done: dict[int, float] = field(default_factory=dict)  # When it was said to be done.
    milliseconds: list[float] = field(default_factory=list)
    asking: set[asyncio.Task[None]] = field(default_factory=set)
    cycle: int = 1  # After how many changes the same service is changed again.
    rows: int = 0  # That hints brought.
    parts: int = 0  # Pages that were asked for again.


def live(setting: Setting) -> list[Row | LeftOut]:
    """In projects of five; and all in one, which is the worst there is."""
    seconds = float(setting.times(20, quick=8))
    rows: list[Row | LeftOut] = []
    for together, name in ((TEAM, f"in projects of {TEAM}"), (PEOPLE, "all in one project")):
        with crowded.running(
            setting.work / f"live-{together}", setting.cache / "environments", people=PEOPLE, together=together
        ) as crowd:
            rows += _rows(*asyncio.run(_measure(crowd, seconds=seconds, together=together)), name=name)
    return rows


def _rows(seen: Seen, cores: float, expected: int, *, name: str) -> list[Row]:
    delays = tuple(sorted(seen.milliseconds))
    tail = delays[min(int(len(delays) * 0.99), len(delays) - 1)]
    making = sorted((done - seen.asked[number]) * 1000 for number, done in seen.done.items())
    note = f"a change takes {making[len(making) // 2]:.0f} ms to make; p99 {tail:.0f} ms"
    count = f"{len(delays)} of {expected} seen; {seen.rows} rows came, {seen.parts} pages were asked for again"
    return [
        Row(
            f"live: {PEOPLE} browsers {name}, {CHANGES} changes a second, portal",
            Series("cores", (cores,)),
            f"≤ {CORES:.0f} core",
            cores <= CORES,
        ),
        Row(
            "live: the same, a change is seen after",
            Series("ms", delays),
            f"p99 ≤ {SEEN_MS:.0f} ms",
            tail <= SEEN_MS and len(delays) == expected,
            notes=(note, count),
        ),
    ]


async def _measure(crowd: crowded.Crowd, *, seconds: float, together: int) -> tuple[Seen, float, int]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None, keepalive_expiry=120)
    host = crowd.origin.removeprefix("http://")
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{crowd.port}", headers={"Host": host}, limits=limits, timeout=60, trust_env=False
    ) as client:
        seen, ready = Seen(), asyncio.Semaphore(0)
        browsers = [asyncio.create_task(_browse(client, member, seen, ready)) for member in crowd.members]
        for _ in browsers:
            await ready.acquire()
        cpu, began = crowd.cpu_seconds, time.monotonic()
        count = await _change(client, crowd, seen, seconds=seconds)
        cores = (crowd.cpu_seconds - cpu) / (time.monotonic() - began)
        await asyncio.sleep(SETTLE_SECONDS)
        for browser in browsers:
            browser.cancel()
        await asyncio.gather(*seen.asking, return_exceptions=True)
        failed = [one for one in await asyncio.gather(*browsers, return_exceptions=True) if isinstance(one, Exception)]
        if failed:
            raise failed[0]
        return seen, cores, count * together


async def _change(client: httpx.AsyncClient, crowd: crowded.Crowd, seen: Seen, *, seconds: float) -> int:
    """Rename services of all projects in turn, evenly in time; each service once in a while, so that each change can be told."""
    firsts = {member.project: member for member in crowd.members}
    each = [(member, service) for service in range(crowded.EACH) for member in firsts.values()]
    turns, seen.cycle = itertools.cycle(each), len(each)
    began, count, waiting = time.monotonic(), 0, set()
    while (now := time.monotonic()) - began < seconds:
        member, place = next(turns)
        seen.asked[count] = now
        waiting.add(asyncio.create_task(_rename(client, member, member.services[place], count, seen, crowd.origin)))
        count += 1
        await asyncio.sleep(max(0.0, began + count / CHANGES - time.monotonic()))
    await asyncio.gather(*waiting)
    return count


async def _rename(
    client: httpx.AsyncClient, member: crowded.Member, service: str, number: int, seen: Seen, origin: str
) -> None:
    headers = {**member.headers, "Accept": "application/json", "X-CSRF-Token": member.csrf, "Origin": origin}
    named = {"name": f"change {number}"}
    (await client.patch(f"/api/v1/services/{service}", json=named, headers=headers)).raise_for_status()
    seen.done[number] = time.monotonic()


async def _browse(client: httpx.AsyncClient, member: crowded.Member, seen: Seen, ready: asyncio.Semaphore) -> None:
    page = await client.get("/services", headers=member.headers)
    page.raise_for_status()
    found = TAG.search(page.text)
    assert found is not None
    looker = _Looker(client, member, seen)
    async for line in _stream(client, f"/live?tag={found[1]}", {**member.headers, "Last-Event-ID": found[2]}):
        if line.startswith("event: open"):
            ready.release()
        if line.startswith("data: {"):
            told = json.loads(line.removeprefix("data: "))
            hints = [hint for hint in told.get("hints", [{}]) if hint.get("topic", TOPIC) == TOPIC]
            brought = [looker.take(hint) for hint in hints]
            if not all(brought):
                looker.look(within=told.get("within", 500))


async def _stream(client: httpx.AsyncClient, path: str, headers: Mapping[str, str]) -> AsyncGenerator[str, None]:
    """The lines of a stream, on a bare connection: a client that does more would be the load. HTTP/1.0 has no chunks."""
    reader, writer = await asyncio.open_connection("127.0.0.1", client.base_url.port, limit=1 << 22)
    sent = {**headers, "Host": client.headers["Host"], "Accept": "text/event-stream"}
    writer.write(
        "\r\n".join([f"GET {path} HTTP/1.0", *(f"{name}: {value}" for name, value in sent.items()), "", ""]).encode()
    )
    try:
        if b" 200 " not in (status := await reader.readline()):
            raise Failed(f"the stream answered {status!r}")
        while line := await reader.readline():
            yield line.decode().rstrip()
    finally:
        writer.close()


class _Looker:
    """The page asked for again, one question at a time, as the script does."""

    def __init__(self, client: httpx.AsyncClient, member: crowded.Member, seen: Seen) -> None:
        self._client, self._member, self._seen = client, member, seen
        self._etag = ""
        self._known: set[int] = set()
        self._due: asyncio.Task[None] | None = None
        self._again = False

    def take(self, hint: Mapping[str, str]) -> bool:
        """Put the row that a hint brings in its place, as the script does; whether it brought one."""
        now, row = time.monotonic(), hint.get("row", "")
        self._seen.rows += bool(row)
        for text in CHANGED.findall(row):
            self._note(int(text), now)
        return bool(row)

    def look(self, *, within: float) -> None:
        if self._due is not None and not self._due.done():
            self._again = True
            return
        self._start(random.uniform(0, within) / 1000)

    def _start(self, wait: float) -> None:
        self._due = asyncio.create_task(self._ask(wait))
        self._seen.asking.add(self._due)
        self._due.add_done_callback(self._seen.asking.discard)

    async def _ask(self, wait: float) -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(wait)
            self._again = False
            headers = {
                **self._member.headers,
                "Etabli-Part": "1",
                **({"If-None-Match": self._etag} if self._etag else {}),
            }
            answer = await self._client.get("/services", headers=headers)
            now = time.monotonic()
            self._seen.parts += 1
            self._etag = answer.headers.get("ETag", "")
            for text in CHANGED.findall(answer.text):
                self._note(int(text), now)
            if self._again:
                self._start(0)

    def _note(self, number: int, now: float) -> None:
        """A change is seen, and with it those before it of the same service, which it came after."""
        while number >= 0 and number not in self._known:
            self._known.add(number)
            self._seen.milliseconds.append(max(0.0, now - self._seen.done.get(number, now)) * 1000)
            number -= self._seen.cycle
