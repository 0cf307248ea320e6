"""The account's sessions: where one is signed in, and signing out there."""

from fastapi import Request
from starlette.responses import Response

from etabli.web import shell
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()
# The first mark that is there tells: Edge and Chrome name Safari too, iPhones name Mac OS.
BROWSERS = (("Edg/", "Edge"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS", "macOS"),
    ("Linux", "Linux"),
)


@router.get("/account/sessions")
async def sessions_page(request: Request, found: Person, done: str = "") -> Response:
    """Where I am signed in."""
    rooms: Rooms = request.app.state.rooms
    sessions = await rooms.identity.sessions.list(user_id=found.user.id)
    return shell.page(request, found, "account/sessions.html", {"done": done, "sessions": sessions, "device": device})


@router.post("/account/sessions/{session_id}/end")
async def end_session(request: Request, found: Person, session_id: str) -> Response:
    """Sign out somewhere else."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.sessions.end(user_id=found.user.id, session_id=session_id)
    await rooms.door.end_session(session_id=session_id)
    return shell.go("/account/sessions", done="session")


def device(user_agent: str) -> str:
    """A browser's name of itself, in two words that people know; nothing where it is none of those."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return ", ".join(filter(None, (browser, system)))
