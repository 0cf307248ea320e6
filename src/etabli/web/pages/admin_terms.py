"""The terms of use, to publish and to take back. For administrators; for others the page does not exist."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import markdown, problems, shell
from etabli.web.rooms import Rooms
from etabli.web.shell import faults_of
from etabli.web.visitors import Person, Visitor

router = shell.router(shell.AdminRoute)
HERE = "/admin/terms"


@router.get("/admin/terms")
async def terms_admin_page(request: Request, found: Person, done: str = "") -> Response:
    """The version that holds, those before, and who accepted."""
    return await _page(request, found, done=done)


@router.post("/admin/terms")
async def publish_terms(
    request: Request,
    found: Person,
    en: Annotated[str, Form()] = "",
    fr: Annotated[str, Form()] = "",
    preview: Annotated[str, Form()] = "",
) -> Response:
    """Publish a version, or show how it would look."""
    rooms: Rooms = request.app.state.rooms
    texts = {"en": en, "fr": fr}
    if preview:
        return await _page(request, found, texts=texts, is_preview=True)
    try:
        await rooms.identity.terms.publish(by=found.user, texts=texts)
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, found, texts=texts, error=error)
    return shell.go(HERE, done="published")


@router.post("/admin/terms/withdraw")
async def withdraw_terms(request: Request, found: Person) -> Response:
    """Ask nobody any more."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.terms.withdraw(by=found.user)
    return shell.go(HERE, done="withdrawn")


async def _page(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    texts: dict[str, str] | None = None,
    is_preview: bool = False,
    error: errors.EtabliError | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    held = rooms.identity.terms.current
    shown = texts or (dict(held.texts) if held else {})
    context = {
        "done": done,
        "held": held,
        "texts": shown,
        "previews": {code: markdown.html(text) for code, text in shown.items() if text.strip()} if is_preview else {},
        "versions": await rooms.identity.terms.versions(by=found.user),
        "error": error,
        "faults": faults_of(error),
    }
    return shell.page(
        request, found, "admin/terms.html", context, status=200 if error is None else problems.status_of(error)
    )
