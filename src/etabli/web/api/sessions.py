"""Where one is signed in. No token reaches this: it takes a session, or the lab's operator."""

from datetime import datetime

from fastapi import Request
from pydantic import Field
from starlette.responses import Response

from etabli.web.api import answers, shared
from etabli.web.browsers import device
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shared.router("sessions")


class SessionAnswer(answers.Answer):
    """One browser's stay."""

    id: str
    device: str = Field(description="What the browser says of itself, in words; empty where that is none we know.")
    address: str
    created_at: datetime
    last_seen_at: datetime
    expires_at: datetime = Field(description="If nobody uses it from now on.")
    is_this: bool = Field(description="Whether this request is of it.")


@router.get("/sessions")
async def list_sessions(request: Request, found: Person) -> list[SessionAnswer]:
    """Where I am signed in, last used first."""
    rooms: Rooms = request.app.state.rooms
    here = found.session.id if found.session else ""
    return [
        SessionAnswer(
            id=session.id,
            device=device(session.user_agent),
            address=session.address,
            created_at=session.created_at,
            last_seen_at=session.last_seen_at,
            expires_at=session.expires_at,
            is_this=session.id == here,
        )
        for session in await rooms.identity.sessions.list(user_id=found.user.id)
    ]


@router.delete("/sessions", status_code=204)
async def end_other_sessions(request: Request, found: Person) -> Response:
    """Sign me out everywhere but here."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.sessions.end_all(user_id=found.user.id, keep=found.session.id if found.session else None)
    return Response(status_code=204)


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(request: Request, found: Person, session_id: str) -> Response:
    """Sign me out there, at once, on services' pages too."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.sessions.end(user_id=found.user.id, session_id=session_id)
    await rooms.door.end_session(session_id=session_id)
    return Response(status_code=204)
