"""The account's data: all that the lab keeps of one, to take along; and the end of the account, what it does said before."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response, StreamingResponse

from etabli.kernel import errors
from etabli.web import problems, shell, visitors
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router()
TEXT = 100


@router.get("/account/data")
async def data_page(request: Request, found: Person) -> Response:
    """What is kept of me, and how I leave."""
    return await _page(request, found)


@router.get("/account/data/export.zip")
async def export(request: Request, found: Person) -> Response:
    """All of it, as one file."""
    rooms: Rooms = request.app.state.rooms
    headers = {"Content-Disposition": f'attachment; filename="{found.user.slug}.zip"'}
    return StreamingResponse(rooms.leaving.export.of(user=found.user), media_type="application/zip", headers=headers)


@router.post("/account/data/leave")
async def end_account(request: Request, found: Person, slug: Annotated[str, Form()] = "") -> Response:
    """End my account, once I typed its name."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.leaving.leave(user=found.user, typed=slug[:TEXT])
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, found, typed=slug[:TEXT], error=error)
    response = shell.go("/")
    visitors.drop_cookie(response, visitors.SESSION_COOKIE)
    visitors.drop_cookie(response, visitors.PROJECT_COOKIE)
    return response


async def _page(
    request: Request, found: Visitor, *, typed: str = "", error: errors.EtabliError | None = None
) -> Response:
    rooms: Rooms = request.app.state.rooms
    context = {
        "consequences": await rooms.leaving.consequences(user=found.user),
        "typed": typed,
        "error": error,
        "faults": shell.faults_of(error),
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "account/data.html", context, status=status)
