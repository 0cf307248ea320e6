"""What the authoriser tells the portal of sessions that are used: through the real front door, and its two ends alone."""

import asyncio
import socket

import pytest

from etabli.door import activity
from etabli.kernel.settings import Layout
from tests.door.conftest import FrontDoor, person, until


@pytest.mark.binaries
async def test_use_of_a_service_is_heard_once_a_minute_and_a_hand_told_from_a_poll(front: FrontDoor) -> None:
    alice = await person(front.tables, "alice")
    host = await front.service("lab", alice)
    cookie = ("Cookie", await front.cookie("lab", alice))
    own = ("Origin", front.origin("lab"))
    heard: list[tuple[str, bool]] = []

    async def hear(session_id: str, by_hand: bool) -> None:
        heard.append((session_id, by_hand))

    await front.ask(host, "/api/kernels", headers=[cookie])  # Nobody listens yet: lost, and nobody waits for it.
    async with activity.listening(front.layout.socket(activity.NAME), hear):
        await front.ask(host, "/", headers=[cookie, ("Sec-Fetch-Mode", "navigate"), ("Sec-Fetch-Dest", "document")])
        await front.ask(host, "/api/contents/a.ipynb", method="PUT", headers=[cookie, own])
        await until(lambda: bool(heard), "what the authoriser saw")
        await front.ask(host, "/", headers=[("Cookie", "__Host-etabli-service=wrong")])
    assert heard == [(alice.session_id, True)]


async def test_the_portals_end_takes_what_is_ours_and_outlives_the_rest(layout: Layout) -> None:
    heard: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()

    async def hear(session_id: str, by_hand: bool) -> None:
        await heard.put((session_id, by_hand))

    path = layout.socket(activity.NAME)
    for _ in range(2):  # The second portal takes the place of a killed one.
        async with activity.listening(path, hear):
            assert path.stat().st_mode & 0o777 == 0o600
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as anyone:
                for wrong in (b"", b"x", b"a b", b"../x h", b"x" * 100 + b" h", b"\xff h", b"abc h\n"):
                    anyone.sendto(wrong, str(path))
            teller = activity.Teller(path)
            teller.tell("abc", by_hand=False)
            teller.tell("abc", by_hand=False)
            teller.tell("abc", by_hand=True)
            teller.close()
            assert [await heard.get(), await heard.get()] == [("abc", False), ("abc", True)]
        assert heard.empty()
    activity.Teller(None).tell("abc", by_hand=True)
