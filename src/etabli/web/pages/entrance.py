"""Coming in and going out: sign-in, the first administrator's link, invitations, sign-out; and the choices that a browser keeps."""

from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import Response

from etabli.identity import accounts, models, people
from etabli.identity import errors as identity_errors
from etabli.kernel import errors
from etabli.web import audited, language, problems, shell, visitors
from etabli.web.pages import projects
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Anyone, Person, Visitor

router = shell.router()
Next = Annotated[str, Query(alias="next")]
NextField = Annotated[str, Form(alias="next")]
LEADING_ELSEWHERE = ("/open?", "/oidc/")


@router.get("/sign-in")
async def sign_in_page(request: Request, found: Anyone, onward: Next = "/", done: str = "") -> Response:
    """The sign-in page; home for who is signed in already."""
    path = visitors.local_path(onward)
    if found.someone is not None:
        return shell.go(path)
    return sign_in_form(request, found, path=path, done=done)


@router.post("/sign-in")
async def sign_in(
    request: Request,
    found: Anyone,
    login: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
    onward: NextField = "/",
) -> Response:
    """Open a session, or say that the name or the password is wrong."""
    rooms: Rooms = request.app.state.rooms
    path = visitors.local_path(onward)
    try:
        opened = await rooms.identity.sessions.sign_in(
            login=login[:TEXT],
            password=password[:TEXT],
            address=request.state.caller.address,
            user_agent=request.headers.get("user-agent", ""),
        )
    except identity_errors.WrongCredentials as error:
        return sign_in_form(request, found, path=path, login=login[:TEXT], error=error)
    except identity_errors.SecondFactorNeeded as error:
        return to_second_step(error, path)
    return entered(request, found, opened, path)


@router.get("/welcome")
async def welcome_page(request: Request, found: Anyone, token: str = "") -> Response:
    """Where the first administrator's link and invitations lead: the account they make."""
    rooms: Rooms = request.app.state.rooms
    invitation = await rooms.identity.invitations.look(token=token)
    return _welcome(request, found, token=token, invitation=invitation, given={}, error=None)


@router.post("/welcome")
async def welcome(
    request: Request,
    found: Anyone,
    token: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    slug: Annotated[str, Form()] = "",
    email: Annotated[str, Form()] = "",
    password: Annotated[str, Form()] = "",
) -> Response:
    """Make the account and sign it in; a fault keeps what was typed."""
    rooms: Rooms = request.app.state.rooms
    form = accounts.Form(name=name, password=password, email=email, language=found.language, slug=slug or None)
    try:
        invitation = await rooms.identity.invitations.look(token=token)
        user = await rooms.identity.invitations.join(token=token, form=form)
    except (errors.Invalid, errors.Conflict) as error:
        invitation = await rooms.identity.invitations.look(token=token)
        given = {"name": name[:TEXT], "slug": slug[:TEXT], "email": email[:TEXT]}
        return _welcome(request, found, token=token, invitation=invitation, given=given, error=error)
    opened = await rooms.identity.sessions.open(
        user_id=user.id, address=request.state.caller.address, user_agent=request.headers.get("user-agent", "")
    )
    if (project := invitation.project) is None:
        return entered(request, found, opened, "/")
    response = entered(request, found, opened, f"/projects/{project.slug}?done=joined")
    visitors.set_cookie(response, visitors.PROJECT_COOKIE, project.slug)
    return response


@router.post("/welcome/join")
async def join(request: Request, found: Person, token: Annotated[str, Form()] = "") -> Response:
    """Bring somebody who has an account into the project that a link names."""
    rooms: Rooms = request.app.state.rooms
    project = await rooms.identity.invitations.accept(token=token, user=found.user)
    audited.note(request, target_kind="project", target=project.slug, project=project.slug)
    return projects.entering(project, done="joined")


@router.post("/sign-out")
async def sign_out(request: Request, found: Person) -> Response:
    """End this session, here and on every service's origin."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.sessions.end(user_id=found.user.id, session_id=found.session_id)
    await rooms.door.end_session(session_id=found.session_id)
    response = shell.go("/sign-in")
    visitors.drop_cookie(response, visitors.SESSION_COOKIE)
    visitors.drop_cookie(response, visitors.PROJECT_COOKIE)
    return response


@router.post("/language")
async def choose_language(
    request: Request, found: Anyone, onward: NextField = "/", chosen: Annotated[str, Form(alias="language")] = ""
) -> Response:
    """Read on in another language; remembered by the account where there is one, else by the browser."""
    response = shell.go(visitors.local_path(onward))
    if chosen not in language.NAMES:
        return response
    if found.someone is not None:
        rooms: Rooms = request.app.state.rooms
        user = found.user
        profile = people.Profile(name=user.name, email=user.email, language=chosen)
        await rooms.identity.people.change_profile(user_id=user.id, profile=profile)
    visitors.set_cookie(response, visitors.LANGUAGE_COOKIE, chosen)
    return response


@router.post("/look")
async def choose_look(
    request: Request,
    found: Anyone,
    onward: NextField = "/",
    theme: Annotated[str, Form()] = "",
    density: Annotated[str, Form()] = "",
) -> Response:
    """Read on in another theme or density; remembered by the account where there is one, and by the browser."""
    was = found.look
    look = visitors.look_of(f"{theme or was.theme}.{density or was.density}")
    if found.someone is not None:
        rooms: Rooms = request.app.state.rooms
        await rooms.identity.profiles.choose_look(user_id=found.user.id, look=look)
    response = shell.go(visitors.local_path(onward))
    visitors.keep_look(response, look)
    return response


@router.post("/project")
async def choose_project(found: Person, project: Annotated[str, Form()] = "", onward: NextField = "/") -> Response:
    """See another of one's projects, on the same page where that has one there."""
    response = shell.go(_same_page(visitors.local_path(onward), project))
    if any(access.project.slug == project for access in found.accesses):
        visitors.set_cookie(response, visitors.PROJECT_COOKIE, project)
    return response


def _same_page(path: str, project: str) -> str:
    """A page that shows the chosen project stays; one of a single project, or of its service, gives way to its like."""
    first, _, rest = path.partition("?")[0].strip("/").partition("/")
    if first == "projects" and rest not in ("", "new"):
        return f"/projects/{project}"
    return "/services" if first == "services" else path


def sign_in_form(
    request: Request,
    found: Visitor,
    *,
    path: str,
    login: str = "",
    error: errors.EtabliError | None = None,
    done: str = "",
) -> Response:
    """The sign-in page with every way in, and what went wrong with one of them."""
    rooms: Rooms = request.app.state.rooms
    context = {
        "next": path,
        "login": login,
        "error": error,
        "done": done,
        "providers": rooms.identity.outside.providers(),
        "order": rooms.identity.sign_in_page,
        "takes_requests": rooms.identity.requests.are_open,
    }
    status = 200 if error is None else problems.status_of(error)
    if isinstance(error, identity_errors.WrongCredentials):
        status = 401
    return shell.page(request, found, "sign_in.html", context, status=status)


def to_second_step(needed: identity_errors.SecondFactorNeeded, path: str) -> Response:
    """To the page of the second factor, and on to `path` after. Whoever shows a first factor by another way leads here too."""
    response = shell.go("/sign-in/second", **({"next": path} if path != "/" else {}))
    visitors.set_cookie(response, visitors.STEP_COOKIE, needed.step, max_age=None)
    return response


def entered(request: Request, found: Visitor, opened: models.Opened, path: str) -> Response:
    """Signed in: the session's cookie, and on to `path`."""
    # A form's redirects must stay here (CSP form-action); what goes on to another origin starts from a page of its own.
    audited.note(request, actor=opened.user)
    leads_elsewhere = path.startswith(LEADING_ELSEWHERE)
    response = shell.page(request, found, "continue.html", {"next": path}) if leads_elsewhere else shell.go(path)
    visitors.set_cookie(response, visitors.SESSION_COOKIE, opened.token, max_age=None)
    visitors.keep_look(response, opened.user.look)
    visitors.drop_cookie(response, visitors.VISIT_COOKIE)
    visitors.drop_cookie(response, visitors.STEP_COOKIE)
    return response


def _welcome(
    request: Request,
    found: Visitor,
    *,
    token: str,
    invitation: models.Invitation,
    given: dict[str, str],
    error: errors.EtabliError | None,
) -> Response:
    return shell.page(
        request,
        found,
        "welcome.html",
        {"token": token, "invitation": invitation, "given": given, "error": error, "faults": faults_of(error)},
        status=200 if error is None else 422,
    )
