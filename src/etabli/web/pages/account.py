"""The account: what one is called, the language, the password, where one is signed in; for administrators, who else may come in."""

from datetime import timedelta
from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import errors as identity_errors
from etabli.identity import people
from etabli.kernel import errors
from etabli.web import language, problems, shell
from etabli.web.pages.entrance import TEXT, faults_of
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router()
INVITATION = timedelta(days=7)
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


@router.get("/account")
async def account_page(request: Request, found: Person, done: str = "") -> Response:
    """My account."""
    return await _page(request, found, done=done)


@router.post("/account/profile")
async def change_profile(
    request: Request,
    found: Person,
    name: Annotated[str, Form()] = "",
    email: Annotated[str, Form()] = "",
    chosen: Annotated[str, Form(alias="language")] = "",
) -> Response:
    """Change name, e-mail, language; a fault keeps what was typed."""
    rooms: Rooms = request.app.state.rooms
    code = chosen if chosen in language.NAMES else found.language
    given = people.Profile(name=name[:TEXT], email=email[:TEXT], language=code)
    try:
        await rooms.identity.people.change_profile(user_id=found.user.id, profile=given)
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, found, profile=given, error=error)
    return shell.go("/account", done="profile")


@router.post("/account/password")
async def change_password(
    request: Request, found: Person, current: Annotated[str, Form()] = "", new: Annotated[str, Form()] = ""
) -> Response:
    """Change the password, and sign out everywhere else."""
    rooms: Rooms = request.app.state.rooms
    try:
        await rooms.identity.people.change_password(
            user_id=found.user.id,
            current=current[:TEXT],
            new=new[:TEXT],
            address=request.state.caller.address,
            session_id=found.session_id,
        )
    except identity_errors.WrongCredentials as error:
        return await _page(request, found, faults={"current": error.message}, error=error)
    except errors.Invalid as error:
        return await _page(request, found, error=error)
    return shell.go("/account", done="password")


@router.post("/account/sessions/{session_id}/end")
async def end_session(request: Request, found: Person, session_id: str) -> Response:
    """Sign out somewhere else."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.sessions.end(user_id=found.user.id, session_id=session_id)
    await rooms.door.end_session(session_id=session_id)
    return shell.go("/account", done="session")


@router.post("/account/invite")
async def invite(request: Request, found: Person) -> Response:
    """Make a link that lets one person in, and show it, this once. For administrators; Forbidden for others."""
    rooms: Rooms = request.app.state.rooms
    invited = await rooms.identity.invitations.invite(by=found.user, lifetime=INVITATION)
    return await _page(request, found, link=f"{rooms.lab.origin}/welcome?token={invited.token}")


async def _page(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    profile: people.Profile | None = None,
    error: errors.EtabliError | None = None,
    faults: dict[str, str] | None = None,
    link: str = "",
) -> Response:
    rooms: Rooms = request.app.state.rooms
    user = found.user
    return shell.page(
        request,
        found,
        "account.html",
        {
            "done": done,
            "link": link,
            "profile": profile or people.Profile(name=user.name, email=user.email, language=user.language),
            "faults": faults if faults is not None else faults_of(error),
            "sessions": await rooms.identity.sessions.list(user_id=user.id),
            "device": device,
        },
        status=200 if error is None else problems.status_of(error),
    )


def device(user_agent: str) -> str:
    """A browser's name of itself, in two words that people know; nothing where it is none of those."""
    browser = next((name for mark, name in BROWSERS if mark in user_agent), "")
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return ", ".join(filter(None, (browser, system)))
