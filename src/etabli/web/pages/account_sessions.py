"""The account's sessions: where one is signed in, and signing out there; and how long this one lasts if nobody uses it."""

from fastapi import Request
from starlette.responses import JSONResponse, Response

from etabli.web import shell, visitors
from etabli.web.browsers import device
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()


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


@router.post("/account/sessions/end")
async def end_other_sessions(request: Request, found: Person) -> Response:
    """Sign out everywhere else."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.sessions.end_all(user_id=found.user.id, keep=found.session_id)
    return shell.go("/account/sessions", done="others")


@router.get(visitors.CLOCK)
async def session_clock(request: Request, found: Person) -> Response:
    """Seconds that this session lasts without use, by the lab's clock. Asking is no use of it."""
    return _clock(request, found)


@router.post(visitors.CLOCK)
async def stay_signed_in(request: Request, found: Person) -> Response:
    """Go on: this is use of the session."""
    return _clock(request, found)


def _clock(request: Request, found: Person) -> Response:
    rooms: Rooms = request.app.state.rooms
    session = found.session
    left = int(rooms.identity.sessions.left(session).total_seconds()) if session else 0
    return JSONResponse({"left": left})
