"""The live stream of each browser: small hints of what changed, of what this session may see.

A hint names a thing, never what it is now: pages ask for themselves again, each with its own rights, and an answer that is the same
costs nothing to send (`shell.page`). One on a service also brings its row (`rows`), which is what most pages show of it. One listener
on the bus serves every stream. A reader that is slow, or was away for longer than the last KEPT events, is told to look at everything:
a stream holds at most MOST_PENDING hints, and the portal's memory is bounded.

What a session may see is asked again when a table of `identity.standing` was written to, for all streams in two queries; nothing is
polled. A stream whose session stands no more says so and ends.
"""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass

import structlog

from etabli.environments.service import TOPIC as BUILDS
from etabli.identity.standing import TOPIC as PEOPLE
from etabli.identity.standing import Standing, Standings
from etabli.kernel import ids
from etabli.kernel.events import Event, Events
from etabli.web import live, rows
from etabli.web.rows import Reader, Rows

log = structlog.get_logger()

KEPT = 1024  # Events that a stream that comes back may have missed.
MOST_PENDING = 64  # Hints that wait for one reader; past that, it looks at everything.
GATHER_SECONDS = 0.05  # Changes come in bursts; one message tells them.
MOST_GATHER_SECONDS = 0.2  # Where two hundred hear each change, messages themselves are the cost.
STILL_HERE_SECONDS = 15.0
SPREAD_MS = 8  # What one page's look costs the portal, about: those who hear the same hint look one after the other.
LONGEST_SPREAD_MS = 5_000
SHORTEST_SPREAD_MS = 40
EVERYTHING_MS = 500  # At least: after a restart, all browsers come back at once.

RETRY_SECONDS = 1.0

MEMBERS = "members"  # Topic: who is in a project, or in which role.
PROJECTS = "projects"  # Topic: which projects the person is in.


@dataclass(frozen=True)
class Numbered:
    """An event in its place among all of this portal's."""

    number: int
    event: Event


class Hub:
    """Every stream of this portal."""

    def __init__(self, *, events: Events, standings: Standings, rows: Rows) -> None:
        self._standings = standings
        self._rows = rows
        self._streams: set[Stream] = set()
        self._guards: set[Stream] = set()  # Of streams that are not hints.
        self._kept: deque[Numbered] = deque(maxlen=KEPT)
        self._number = 0
        self._portal = (
            ids.new_id()
        )  # Numbers of another portal, or of this one before it was started again, say nothing.
        self._written = 0  # How often it was said that people's standing may be otherwise.
        self._checking: asyncio.Task[None] | None = None
        self._check_again = False
        events.subscribe(self._hear)

    @property
    def position(self) -> str:
        """Where the stream is now: a page that was made after this knows all that came before."""
        return f"{self._portal}-{self._number}"

    @property
    def count(self) -> int:
        """How many streams are open."""
        return len(self._streams)

    async def follow(self, *, session_id: str, language: str, csrf: str, after: str = "") -> AsyncGenerator[str, None]:
        """The messages of one browser's stream, from `after` (a position) on, until its session ends or its reader goes away.

        Rows are in `language`, and their forms carry `csrf`.
        """
        stream = await self._begin(session_id, among=self._streams)
        if stream is None:
            yield _ENDED
            return
        self._catch_up(stream, after)
        try:
            yield f"id: {self.position}\nevent: open\ndata:\n\n"
            async for taken in stream.batches():
                position = self.position  # Rows take a moment: what happens meanwhile is for the next message.
                yield (
                    f"id: {position}\n{await self._message(taken, stream, language, csrf)}"
                    if taken
                    else live.STILL_HERE
                )
            yield _ENDED
        finally:
            self._streams.discard(stream)

    async def _begin(self, session_id: str, *, among: "set[Stream]") -> "Stream | None":
        """A stream that hears from now on; None where the session is over. What is written while it is asked for counts."""
        while True:
            asked = self._written
            standing = (await self._standings.of(session_ids=[session_id])).get(session_id)
            if standing is None:
                return None
            if asked == self._written:
                stream = Stream(session_id=session_id, standing=standing)
                among.add(stream)
                return stream

    async def guarded(
        self, messages: AsyncGenerator[str, None], *, session_id: str, project: str
    ) -> AsyncGenerator[str, None]:
        """Those messages, for as long as that session stands and may see that project: for streams that are not hints."""
        guard = await self._begin(session_id, among=self._guards)
        left = asyncio.ensure_future(guard.left(project)) if guard is not None else None
        coming: asyncio.Future[str | None] | None = None
        try:
            while guard is not None and left is not None:
                coming = asyncio.ensure_future(anext(messages, None))
                await asyncio.wait({coming, left}, return_when=asyncio.FIRST_COMPLETED)
                if left.done() or (message := coming.result()) is None:
                    return
                yield message
        finally:
            if coming is not None:  # Whoever reads may go at any moment: a generator that runs cannot be closed.
                coming.cancel()
                await asyncio.gather(coming, return_exceptions=True)
            if guard is not None and left is not None:
                left.cancel()
                self._guards.discard(guard)
            await messages.aclose()

    async def _message(self, taken: "Batch", stream: "Stream", language: str, csrf: str) -> str:
        if taken.is_everything:
            within = min(LONGEST_SPREAD_MS, max(EVERYTHING_MS, len(self._streams) * SPREAD_MS))
            return live.message(json.dumps({"everything": True, "within": within}, separators=(",", ":")))
        hints: list[dict[str, object]] = []
        for (topic, subject, project), version in taken.hints.items():
            hint: dict[str, object] = {"topic": topic, "subject": subject, "project": project, "version": version}
            if topic == rows.TOPIC and project is not None:
                reader = Reader(language=language, works=project in stream.standing.works)
                hint["row"] = await self._rows.html(service_id=subject, version=version, reader=reader)
            hints.append(hint)
        text = json.dumps({"hints": hints, "within": taken.within}, separators=(",", ":"), ensure_ascii=False)
        return live.message(text.replace(rows.TOKEN_PLACE, csrf))

    def _catch_up(self, stream: "Stream", after: str) -> None:
        portal, _, number = after.rpartition("-")
        oldest = self._kept[0].number if self._kept else self._number + 1
        if portal != self._portal or not number.isdigit() or int(number) < oldest - 1:
            stream.put_everything()
            return
        for kept in self._kept:
            if kept.number > int(number) and stream.may_see(kept.event):
                stream.put(kept.event, version=kept.number, within=SHORTEST_SPREAD_MS)

    def _hear(self, event: Event) -> None:
        if event.topic == PEOPLE:
            self._check_soon()
            return
        if event.topic == BUILDS:
            return  # Pages follow the services that wait for it, and hear of those.
        self._number += 1
        self._kept.append(Numbered(self._number, event))
        audience = [stream for stream in self._streams if stream.may_see(event)]
        within = min(LONGEST_SPREAD_MS, max(SHORTEST_SPREAD_MS, len(audience) * SPREAD_MS))
        for stream in audience:
            stream.put(event, version=self._number, within=within)

    def _check_soon(self) -> None:
        """One check at a time; what is written while it runs is looked at once more."""
        self._written += 1
        if not self._streams and not self._guards:
            return
        self._check_again = True
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._check())

    async def _check(self) -> None:
        while self._check_again:
            self._check_again = False
            streams = (*self._streams, *self._guards)
            try:
                standings = await self._standings.of(session_ids={stream.session_id for stream in streams})
            except Exception:  # The outermost frame of this work: a database that is away for a moment is asked again.
                log.exception("streams could not be checked")
                self._check_again = True
                await asyncio.sleep(RETRY_SECONDS)
                continue
            for stream in streams:
                self._stand(stream, standings)

    def _stand(self, stream: "Stream", standings: Mapping[str, Standing]) -> None:
        standing = standings.get(stream.session_id)
        if standing is None:
            stream.end()
            return
        before = stream.stand(standing)
        for project in before.projects.keys() & standing.projects.keys():
            if before.projects[project] != standing.projects[project]:
                stream.put(Event(MEMBERS, project, project), version=self._number, within=SHORTEST_SPREAD_MS)
        if before.projects.keys() != standing.projects.keys():
            event = Event(PROJECTS, standing.user_id, user=standing.user_id)
            stream.put(event, version=self._number, within=SHORTEST_SPREAD_MS)


class Stream:
    """What waits for one reader."""

    def __init__(self, *, session_id: str, standing: Standing) -> None:
        self.session_id = session_id
        self.standing = standing
        self._pending: dict[tuple[str, str, str | None], int] = {}
        self._within = 0
        self._is_everything = False
        self._is_over = False
        self._arrived = asyncio.Event()
        self._stood = asyncio.Event()  # It was looked at again, or is over.

    def stand(self, standing: Standing) -> Standing:
        """Take what the session may see from now on; what it might before."""
        before, self.standing = self.standing, standing
        self._stood.set()
        return before

    async def left(self, project: str) -> None:
        """Wait until the session is over, or sees that project no more."""
        while not self._is_over and project in self.standing.projects:
            self._stood.clear()
            await self._stood.wait()

    def may_see(self, event: Event) -> bool:
        """Whether the event concerns a project of this person, themselves, or the whole lab."""
        if event.user is not None and event.user != self.standing.user_id:
            return False
        return event.project is None or event.project in self.standing.projects

    def put(self, event: Event, *, version: int, within: int) -> None:
        """Keep a hint for the reader; one on the same thing takes the place of the one before."""
        self._pending[event.topic, event.subject, event.project] = version
        self._within = max(self._within, within)
        if len(self._pending) > MOST_PENDING:
            self.put_everything()
        self._arrived.set()

    def put_everything(self) -> None:
        """Have the reader look at everything: what it missed is not known, or is too much."""
        self._pending.clear()
        self._is_everything = True
        self._arrived.set()

    def end(self) -> None:
        """Say that the session is over, and nothing after that."""
        self._is_over = True
        self._arrived.set()
        self._stood.set()

    async def batches(self) -> "AsyncGenerator[Batch | None, None]":
        """What there is to tell, as it comes; None where nothing came for a while. It ends with the session."""
        while not self._is_over:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), STILL_HERE_SECONDS)
                await asyncio.sleep(max(GATHER_SECONDS, min(MOST_GATHER_SECONDS, self._within / 8_000)))
            if self._is_over:
                return
            yield self._take()

    def _take(self) -> "Batch | None":
        self._arrived.clear()
        taken = Batch(self._pending, self._within, self._is_everything)
        self._pending, self._within, self._is_everything = {}, 0, False
        return taken if taken.hints or taken.is_everything else None


@dataclass(frozen=True)
class Batch:
    """What waits for a reader, taken at once."""

    hints: Mapping[tuple[str, str, str | None], int]  # Topic, subject and project → version.
    within: int  # Milliseconds in which pages ask again.
    is_everything: bool


_ENDED = "event: end\ndata:\n\n"
