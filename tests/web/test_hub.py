"""The live stream: who hears what, what one hears who was away, and when it ends."""

import asyncio
import json
from collections.abc import AsyncGenerator

import httpx
import pytest

from etabli.identity import models
from etabli.kernel.events import Event
from etabli.services.models import State
from etabli.web import hub as hubs
from etabli.web import live
from tests.web.lab import Lab, csrf


class Reader:
    """One browser's end of a stream."""

    def __init__(self, messages: AsyncGenerator[str, None]) -> None:
        self._messages = messages
        self.position = ""

    async def next(self) -> str:
        """The next message but those that only say that the lab is there."""
        async with asyncio.timeout(20):
            while (message := await anext(self._messages, "")) == live.STILL_HERE:
                pass
        for line in message.splitlines():
            if line.startswith("id: "):
                self.position = line.removeprefix("id: ")
        return message

    async def hints(self) -> set[tuple[str, str]]:
        """The topics and subjects of the next message."""
        data = next(line for line in (await self.next()).splitlines() if line.startswith("data: "))
        return {(hint["topic"], hint["subject"]) for hint in json.loads(data.removeprefix("data: "))["hints"]}

    async def row(self) -> str:
        """The row that the one hint of the next message brings."""
        data = next(line for line in (await self.next()).splitlines() if line.startswith("data: "))
        (hint,) = json.loads(data.removeprefix("data: "))["hints"]
        return str(hint["row"])

    async def close(self) -> None:
        await self._messages.aclose()


def hub_of(lab: Lab) -> hubs.Hub:
    found = lab.web.state.hub
    assert isinstance(found, hubs.Hub)
    return found


async def reader(lab: Lab, session: models.Session, *, after: str | None = None) -> Reader:
    """A stream that is open."""
    hub = hub_of(lab)
    opened = Reader(
        hub.follow(session_id=session.id, language="en", csrf="own", after=hub.position if after is None else after)
    )
    assert "event: open" in await opened.next()
    return opened


async def session_of(lab: Lab, user: models.User) -> models.Session:
    return (await lab.rooms.identity.sessions.open(user_id=user.id, address="127.0.0.1")).session


async def own(lab: Lab, user: models.User) -> str:
    return (await lab.rooms.identity.projects.personal(user_id=user.id)).id


async def test_one_hears_of_ones_own_projects_of_the_lab_and_of_oneself_alone(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    stream = await reader(lab, await session_of(lab, ada))
    publish = lab.rooms.events.publish
    publish(Event("service", "his", await own(lab, bob)))
    publish(Event("notice", "to bob", user=bob.id))
    publish(Event("service", "hers", await own(lab, ada)))
    publish(Event("notice", "to ada", user=ada.id))
    publish(Event("announcement", "everybody's"))
    assert await stream.hints() == {("service", "hers"), ("notice", "to ada"), ("announcement", "everybody's")}
    await stream.close()


async def test_a_services_row_comes_with_its_hint_for_what_the_reader_may_do(lab: Lab, ada: models.User) -> None:
    bob, prices = await lab.person("Bob Martin", by=ada), await shared(lab, ada)
    await lab.rooms.identity.projects.set_member(by=ada, project_id=prices, slug=bob.slug, role=models.Role.VIEWER)
    service = await lab.launched_in(ada, prices, "Index of May")
    await lab.until(ada, service.id, State.READY)
    await lab.rooms.services.stop(user_id=ada.id, service_id=service.id)
    await lab.until(ada, service.id, State.STOPPED)
    hers, his = [await reader(lab, await session_of(lab, user)) for user in (ada, bob)]
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Index of <June>")
    seen, looked = await hers.row(), await his.row()
    assert f'<li id="row-{service.id}"' in seen
    assert "Index of &lt;June&gt;" in seen
    assert 'name="csrf" value="own"' in seen
    assert "<form" not in looked
    await hers.close()
    await his.close()


async def test_who_comes_back_hears_what_was_missed_and_no_more(lab: Lab, ada: models.User) -> None:
    session, project = await session_of(lab, ada), await own(lab, ada)
    stream = await reader(lab, session)
    lab.rooms.events.publish(Event("service", "one", project))
    assert await stream.hints() == {("service", "one")}
    await stream.close()
    lab.rooms.events.publish(Event("service", "two", project))
    lab.rooms.events.publish(Event("service", "another's", "another"))
    back = await reader(lab, session, after=stream.position)
    assert await back.hints() == {("service", "two")}
    await back.close()


@pytest.mark.parametrize("after", ["", "another portal-3", "nonsense", "-", "x" * 64])
async def test_who_was_away_for_too_long_looks_at_everything(lab: Lab, ada: models.User, after: str) -> None:
    stream = await reader(lab, await session_of(lab, ada), after=after)
    assert '"everything":true' in await stream.next()
    await stream.close()


async def test_a_reader_who_missed_more_than_is_kept_looks_at_everything(lab: Lab, ada: models.User) -> None:
    session, hub = await session_of(lab, ada), hub_of(lab)
    before = hub.position
    for number in range(hubs.KEPT + 1):
        lab.rooms.events.publish(Event("service", str(number), "another"))
    stream = await reader(lab, session, after=before)
    assert '"everything":true' in await stream.next()
    await stream.close()


async def test_a_slow_reader_costs_a_bounded_memory_and_looks_at_everything(lab: Lab, ada: models.User) -> None:
    stream = await reader(lab, await session_of(lab, ada))
    for number in range(10 * hubs.MOST_PENDING):
        lab.rooms.events.publish(Event("announcement", str(number)))
    assert '"everything":true' in await stream.next()
    lab.rooms.events.publish(Event("announcement", "after"))
    assert await stream.hints() == {("announcement", "after")}
    await stream.close()


async def test_many_who_hear_the_same_look_one_after_the_other(lab: Lab, ada: models.User) -> None:
    sessions = [await session_of(lab, ada) for _ in range(20)]
    streams = [await reader(lab, session) for session in sessions]
    lab.rooms.events.publish(Event("announcement", "one"))
    for stream in streams:
        assert f'"within":{20 * hubs.SPREAD_MS}' in await stream.next()
        await stream.close()
    assert hub_of(lab).count == 0


async def test_a_stream_ends_with_its_session_and_no_other(lab: Lab, ada: models.User) -> None:
    here, there = await session_of(lab, ada), await session_of(lab, ada)
    ending, going_on = await reader(lab, here), await reader(lab, there)
    await lab.rooms.identity.sessions.end(user_id=ada.id, session_id=here.id)
    assert "event: end" in await ending.next()
    assert await ending.next() == ""
    lab.rooms.events.publish(Event("announcement", "one"))
    assert await going_on.hints() == {("announcement", "one")}
    await going_on.close()


async def test_a_stream_ends_when_its_person_is_suspended(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    stream = await reader(lab, await session_of(lab, bob))
    await lab.rooms.identity.people.suspend(by=ada, user_id=bob.id)
    assert "event: end" in await stream.next()


async def test_who_leaves_a_project_hears_no_more_of_it(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    projects = lab.rooms.identity.projects
    prices = await shared(lab, ada)
    stream = await reader(lab, await session_of(lab, bob))
    await projects.set_member(by=ada, project_id=prices, slug=bob.slug, role=models.Role.MEMBER)
    assert await stream.hints() == {("projects", bob.id)}
    lab.rooms.events.publish(Event("service", "theirs", prices))
    assert await stream.hints() == {("service", "theirs")}
    await projects.set_member(by=ada, project_id=prices, slug=bob.slug, role=models.Role.VIEWER)
    assert await stream.hints() == {("members", prices)}
    await projects.remove_member(by=ada, project_id=prices, user_id=bob.id)
    assert await stream.hints() == {("projects", bob.id)}
    lab.rooms.events.publish(Event("service", "theirs", prices))
    lab.rooms.events.publish(Event("announcement", "everybody's"))
    assert await stream.hints() == {("announcement", "everybody's")}
    await stream.close()


async def test_what_a_service_writes_is_followed_no_longer_than_its_project_is_seen(lab: Lab, ada: models.User) -> None:
    bob = await lab.person("Bob Martin", by=ada)
    projects, prices = lab.rooms.identity.projects, await shared(lab, ada)
    await projects.set_member(by=ada, project_id=prices, slug=bob.slug, role=models.Role.VIEWER)
    session = await session_of(lab, bob)
    guarded = Reader(hub_of(lab).guarded(lines(), session_id=session.id, project=prices))
    assert await guarded.next() == "a line"
    await projects.remove_member(by=ada, project_id=prices, user_id=bob.id)
    assert await guarded.next() == ""


async def lines() -> AsyncGenerator[str, None]:
    """What is written by something that never ends."""
    yield "a line"
    await asyncio.Event().wait()


async def test_a_session_that_is_over_opens_no_stream(lab: Lab, ada: models.User, browser: httpx.AsyncClient) -> None:
    session = await session_of(lab, ada)
    await lab.rooms.identity.sessions.end(user_id=ada.id, session_id=session.id)
    ended = Reader(hub_of(lab).follow(session_id=session.id, language="en", csrf="own"))
    assert "event: end" in await ended.next()
    async with lab.browser() as nobody:
        assert (await nobody.get("/live", headers={"Accept": "text/event-stream"})).status_code == 401
    assert (await browser.get("/live?tag=of-another", headers={"Accept": "text/event-stream"})).status_code == 401


async def test_a_page_asked_for_again_answers_nothing_where_nothing_changed(
    lab: Lab, ada: models.User, browser: httpx.AsyncClient
) -> None:
    service = await lab.launched(ada, "Prices")
    await lab.until(ada, service.id, State.READY)
    whole = (await browser.get("/services")).text
    part = await browser.get("/services", headers={"Etabli-Part": "1"})
    assert "<nav" in whole
    assert "<nav" not in part.text
    assert csrf(whole) in whole
    assert f'name="etabli-live" content="{part.headers["Etabli-Live-Tag"]} ' in whole
    known = {"Etabli-Part": "1", "If-None-Match": part.headers["ETag"]}
    same = await browser.get("/services", headers=known)
    assert (same.status_code, same.content) == (304, b"")
    await lab.rooms.services.rename(user_id=ada.id, service_id=service.id, name="Wages")
    changed = await browser.get("/services", headers=known)
    assert changed.status_code == 200
    assert "Wages" in changed.text


async def shared(lab: Lab, owner: models.User) -> str:
    """The id of a project that people share."""
    return (await lab.rooms.identity.projects.create(by=owner, name="Prices", slug="prices")).id
