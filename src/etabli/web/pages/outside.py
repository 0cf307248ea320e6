"""Coming in by an outside provider: off to it, back from it, the account that it makes; and the links of an account to providers."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Form, Query, Request
from starlette.responses import RedirectResponse, Response

from etabli.identity import errors as identity_errors
from etabli.identity import forms
from etabli.identity.outside import errors as outside_errors
from etabli.identity.outside.models import Arrival, Button, Identity, Newcomer
from etabli.kernel import errors
from etabli.web import problems, shell, visitors
from etabli.web.pages import entrance
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Anyone, Person, Visitor

router = shell.router()
SECURITY = "/account/security"
# The address of a provider holds the state, that of an answer its code: neither goes on to another site.
HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


@router.get("/sign-in/with/{provider_id}")
async def leave_for_provider(
    request: Request, found: Anyone, provider_id: str, onward: Annotated[str, Query(alias="next")] = "/"
) -> Response:
    """Off to a provider; where it is down, back on the sign-in page with the other ways."""
    rooms: Rooms = request.app.state.rooms
    path = visitors.local_path(onward)
    if found.someone is not None:
        return shell.go(path)
    (browser,) = _browsers(request, found)[:1]
    try:
        departure = await rooms.identity.outside.begin(
            provider_id=provider_id, browser=browser, onward=path, language=found.language
        )
    except (errors.Unavailable, outside_errors.NotAccepted) as error:
        return entrance.sign_in_form(request, found, path=path, error=error)
    response = RedirectResponse(departure.location, status_code=303, headers=HEADERS)
    if found.fresh_visit is not None:
        visitors.set_cookie(response, visitors.VISIT_COOKIE, found.fresh_visit, max_age=None)
    return response


@router.get("/sign-in/with/{provider_id}/back")
async def come_back_from_provider(request: Request, found: Anyone, provider_id: str) -> Response:
    """Back from a provider: signed in, or asked what to do; an error leaves the other ways."""
    rooms: Rooms = request.app.state.rooms
    try:
        outcome = await rooms.identity.outside.finish(
            provider_id=provider_id,
            browsers=_browsers(request, found),
            query=forms.single(request.query_params.multi_items()),
            address=request.state.caller.address,
            user_id=found.someone.id if found.someone else None,
        )
        if isinstance(outcome, Arrival):
            return await _entered(request, found, outcome)
    except errors.NotFound:
        raise
    except (errors.Refused, errors.Unavailable) as error:
        if found.someone is not None:
            raise
        return entrance.sign_in_form(request, found, path="/", error=error)
    response = shell.go(f"/sign-in/with/{provider_id}/new", attempt=outcome.attempt_id)
    response.headers.update(HEADERS)
    return response


@router.get("/sign-in/with/{provider_id}/new")
async def newcomer_page(request: Request, found: Anyone, attempt: str = "") -> Response:
    """What a newcomer, or somebody who asked for a link, must say."""
    rooms: Rooms = request.app.state.rooms
    newcomer = await rooms.identity.outside.look(attempt_id=attempt[:TEXT], browsers=_browsers(request, found))
    return _newcomer(request, found, newcomer, given={"name": newcomer.name, "slug": newcomer.slug})


@router.post("/sign-in/with/{provider_id}/new")
async def create_outside_account(
    request: Request,
    found: Anyone,
    attempt: Annotated[str, Form()] = "",
    name: Annotated[str, Form()] = "",
    slug: Annotated[str, Form()] = "",
) -> Response:
    """Make the account and sign it in; a fault keeps what was typed."""
    rooms: Rooms = request.app.state.rooms
    browsers = _browsers(request, found)
    try:
        arrival = await rooms.identity.outside.join(
            attempt_id=attempt[:TEXT],
            browsers=browsers,
            name=name[: 2 * TEXT],
            slug=slug[:TEXT],
            language=found.language,
        )
    except (errors.Invalid, errors.Conflict) as error:
        newcomer = await rooms.identity.outside.look(attempt_id=attempt[:TEXT], browsers=browsers)
        given = {"name": name[:TEXT], "slug": slug[:TEXT]}
        return _newcomer(request, found, newcomer, given=given, error=error)
    return await _entered(request, found, arrival)


@router.post("/account/providers/{provider_id}")
async def ask_for_link(request: Request, found: Person, provider_id: str) -> Response:
    """Off to a provider, to link who one is there. By a page: a form's own redirects stay here (CSP form-action)."""
    rooms: Rooms = request.app.state.rooms
    (browser,) = _browsers(request, found)[:1]
    departure = await rooms.identity.outside.begin(
        provider_id=provider_id, browser=browser, onward=SECURITY, language=found.language, user_id=found.user.id
    )
    context = {"location": departure.location, "provider": departure.provider}
    response = shell.page(request, found, "outside_leave.html", context)
    response.headers.update(HEADERS)
    return response


@router.post("/account/providers/{provider_id}/link")
async def link_provider(request: Request, found: Person, attempt: Annotated[str, Form()] = "") -> Response:
    """Link who came back to the account that is signed in."""
    rooms: Rooms = request.app.state.rooms
    browsers = _browsers(request, found)
    await rooms.identity.outside.link(attempt_id=attempt[:TEXT], browsers=browsers, user=found.user)
    return shell.go(SECURITY, done="linked")


@router.post("/account/identities/{identity_id}/end")
async def unlink_provider(request: Request, found: Person, identity_id: str) -> Response:
    """Take a link away."""
    rooms: Rooms = request.app.state.rooms
    await rooms.identity.outside.unlink(user=found.user, identity_id=identity_id)
    return shell.go(SECURITY, done="unlinked")


@dataclass(frozen=True)
class Shown:
    """What `account/_providers.html` shows: the links of an account, and the providers that it has none to."""

    identities: tuple[Identity, ...]
    providers: tuple[Button, ...]


async def shown(request: Request, found: Visitor) -> Shown:
    """The links of whoever is signed in."""
    rooms: Rooms = request.app.state.rooms
    identities = await rooms.identity.outside.list(user_id=found.user.id)
    linked = {identity.provider_id for identity in identities}
    others = tuple(one for one in rooms.identity.outside.providers() if one.id not in linked)
    return Shown(identities=identities, providers=others)


async def _entered(request: Request, found: Visitor, arrival: Arrival) -> Response:
    """Open the session of somebody known, by way of their second factor. Forbidden where they are suspended."""
    rooms: Rooms = request.app.state.rooms
    try:
        opened = await rooms.identity.sessions.enter(
            user_id=arrival.user_id,
            address=request.state.caller.address,
            user_agent=request.headers.get("user-agent", ""),
            method=arrival.method,
            factors=arrival.factors,
        )
    except identity_errors.SecondFactorNeeded as needed:
        return entrance.to_second_step(needed, arrival.onward)
    response = entrance.entered(request, found, opened, arrival.onward)
    response.headers.update(HEADERS)
    return response


def _newcomer(
    request: Request,
    found: Visitor,
    newcomer: Newcomer,
    *,
    given: dict[str, str],
    error: errors.EtabliError | None = None,
) -> Response:
    return shell.page(
        request,
        found,
        "outside_new.html",
        {"newcomer": newcomer, "given": given, "error": error, "faults": faults_of(error)},
        status=200 if error is None else problems.status_of(error),
    )


def _browsers(request: Request, found: Visitor) -> tuple[str, ...]:
    """The secrets that this browser alone holds, the one to leave with first: its session's, its visit's."""
    session = request.cookies.get(visitors.SESSION_COOKIE) if found.session is not None else None
    held = (session, request.cookies.get(visitors.VISIT_COOKIE), found.fresh_visit)
    secrets = tuple(secret for secret in held if secret)
    if not secrets:
        raise errors.Forbidden("this takes a browser's session", hint="open it from a browser that is signed in")
    return secrets
