"""The terms of use: to read for everybody, to accept for who is signed in."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import markdown, problems, shell, visitors
from etabli.web.pages.entrance import Next, NextField
from etabli.web.rooms import Rooms
from etabli.web.visitors import Anyone, Person, Visitor

router = shell.router()


@router.get("/terms")
async def terms_page(request: Request, found: Anyone, onward: Next = "/") -> Response:
    """The terms that hold. NotFound where there are none."""
    return await _page(request, found, path=visitors.local_path(onward))


@router.post("/terms")
async def accept_terms(
    request: Request, found: Person, version: Annotated[str, Form()] = "", onward: NextField = "/"
) -> Response:
    """Accept the version that was read, and go on."""
    rooms: Rooms = request.app.state.rooms
    path = visitors.local_path(onward)
    try:
        await rooms.identity.terms.accept(user=found.user, version=int(version) if version.isdecimal() else 0)
    except errors.Conflict as error:
        return await _page(request, found, path=path, error=error)
    return shell.go(path)


async def _page(request: Request, found: Visitor, *, path: str, error: errors.EtabliError | None = None) -> Response:
    rooms: Rooms = request.app.state.rooms
    held = rooms.identity.terms.current
    if held is None:
        raise errors.NotFound("there is no such page")
    language, text = held.text(found.language)
    is_due = found.someone is not None and await rooms.identity.terms.is_due(user_id=found.user.id)
    context = {
        "terms": held,
        "text": markdown.html(text),
        "text_language": language,
        "is_due": is_due,
        "next": path,
        "error": error,
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "terms.html", context, status=status)
