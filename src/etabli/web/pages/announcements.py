"""Announcements, as people read them: above every page (`_announcements.html`), until they put them away."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.web import shell, visitors
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person

router = shell.router()


@router.post("/announcements/{announcement_id}/dismiss")
async def dismiss_announcement(
    request: Request, found: Person, announcement_id: str, onward: Annotated[str, Form(alias="next")] = "/"
) -> Response:
    """Put it away, and go on where one was."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.announcements.dismiss(user_id=found.user.id, announcement_id=announcement_id)
    return shell.go(visitors.local_path(onward))
