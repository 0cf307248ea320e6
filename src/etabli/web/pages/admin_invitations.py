"""Who may come in: requests that wait for an answer, links that are open. For administrators; for others the page does not exist."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.kernel import errors
from etabli.web import audited, letters, shell
from etabli.web.api.admin_entry import refusal_letter
from etabli.web.pages.asking import link_of, send_invitation
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Person, Visitor

router = shell.router(shell.AdminRoute)
DAYS = (1, 7, 30, 90)


@dataclass(frozen=True)
class Made:
    """A link to show this once, for whom it is, and whether it was sent there."""

    link: str
    email: str = ""
    sent: bool = False


@router.get("/admin/invitations")
async def invitations_page(request: Request, found: Person, done: str = "") -> Response:
    """Requests and links."""
    return await _page(request, found, done=done)


@router.post("/admin/invitations")
async def make_invitation(
    request: Request,
    found: Person,
    email: Annotated[str, Form()] = "",
    days: Annotated[str, Form()] = "7",
    uses: Annotated[str, Form()] = "1",
    administrator: Annotated[str, Form()] = "",
) -> Response:
    """Make a link, sent where an e-mail is given, and shown this once."""
    rooms: Rooms = request.app.state.rooms
    given = {"email": email[:TEXT], "days": days[:10], "uses": uses[:10], "administrator": administrator[:10]}
    try:
        invited = await rooms.identity.invitations.invite(
            by=found.user,
            lifetime=timedelta(days=_whole(given["days"])),
            uses=_whole(given["uses"]),
            makes_admin=bool(administrator),
            email=email[:TEXT] or None,
        )
    except errors.Invalid as error:
        return await _page(request, found, given=given, faults=faults_of(error))
    audited.note(request, target_kind="invitation", target=invited.invitation.id)
    sent = bool(invited.invitation.email) and await send_invitation(
        rooms, request.app.state.renderer, invited, inviter=found.user.name, code=found.language
    )
    made = Made(link=link_of(rooms, invited), email=invited.invitation.email or "", sent=sent)
    return await _page(request, found, made=made)


@router.post("/admin/invitations/{invitation_id}/end")
async def end_invitation(request: Request, found: Person, invitation_id: str) -> Response:
    """Take a link back."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.invitations.end(by=found.user, invitation_id=invitation_id)
    return shell.go("/admin/invitations", done="ended")


@router.post("/admin/requests/{request_id}/approve")
async def approve_request(request: Request, found: Person, request_id: str) -> Response:
    """Answer a request with a link, sent where messages are, shown where not."""
    rooms: Rooms = request.app.state.rooms
    asked, invited = await rooms.identity.requests.approve(by=found.user, request_id=request_id)
    audited.note(request, target_kind="request", target=asked.id, invitation=invited.invitation.id)
    sent = await send_invitation(
        rooms, request.app.state.renderer, invited, inviter=found.user.name, code=asked.language
    )
    return await _page(request, found, made=Made(link=link_of(rooms, invited), email=asked.email, sent=sent))


@router.post("/admin/requests/{request_id}/refuse")
async def refuse_request(
    request: Request, found: Person, request_id: str, reason: Annotated[str, Form()] = ""
) -> Response:
    """Answer a request with no."""
    rooms: Rooms = request.app.state.rooms
    asked = await rooms.identity.requests.refuse(by=found.user, request_id=request_id)
    sent = await letters.sent(rooms.mail, refusal_letter(request, asked, reason))
    return shell.go("/admin/invitations", done="refused" if sent else "refused-untold")


def _whole(text: str) -> int:
    """A number that was typed; 0, which is refused by its field, where it is none."""
    return int(text) if text.isascii() and text.isdigit() else 0


async def _page(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    made: Made | None = None,
    given: dict[str, str] | None = None,
    faults: dict[str, str] | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    formats = request.app.state.renderer.formats(found.language)
    context = {
        "requests": await rooms.identity.requests.list(by=found.user),
        "invitations": await rooms.identity.invitations.list(by=found.user),
        "takes_requests": rooms.identity.requests.are_open,
        "sends": rooms.mail.is_set_up,
        "days": [(str(days), formats.duration(timedelta(days=days))) for days in DAYS],
        "made": made,
        "done": done,
        "given": given or {"email": "", "days": "7", "uses": "1", "administrator": ""},
        "faults": faults or {},
    }
    return shell.page(request, found, "admin/invitations.html", context, status=422 if faults else 200)
