"""Who is behind a request: a person signed in, somebody not signed in, or the operator acting as a person.

The session's token lives in a `__Host-` cookie, which no sibling origin can set or read (RFC 6265bis, 4.1.3.2). Forms carry a token
derived from it by HMAC, so that nothing more is stored, and a form of one session is worth nothing in another. Before sign-in a random
cookie of the same kind takes the session's place: a foreign site can sign nobody in as somebody else.

Programs show a token instead (RFC 6750), to the API alone. No browser adds one by itself, so that such a request needs no form's
token; what cookies it has beside are not read.
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.responses import Response

from etabli.admin.announcements import Announcement
from etabli.identity import errors as identity_errors
from etabli.identity import models, token_models
from etabli.kernel import errors
from etabli.web import language, problems, walls
from etabli.web.rooms import Rooms

SESSION_COOKIE = "__Host-etabli"
VISIT_COOKIE = "__Host-etabli-visit"
STEP_COOKIE = "__Host-etabli-step"  # A sign-in that waits for its second factor.
LANGUAGE_COOKIE = "__Host-etabli-language"
LOOK_COOKIE = "__Host-etabli-look"
PROJECT_COOKIE = "__Host-etabli-project"
PART_HEADER = "Etabli-Part"  # `1`: a page that is shown already is asked for again (static/live.js).
FIRST_ADMINISTRATOR = "@admin"  # Whom the operator acts as who names nobody.
YEAR = 365 * 24 * 3600
API = "/api/v1/"
CLOCK = "/session"  # Where a page asks how long its session lasts.
METRICS = "/metrics"
BEARER = "bearer"  # RFC 6750, 2.1; schemes are read in any case (RFC 9110, 11.1).
SECTIONS = ("/services", "/catalog", "/projects", "/account", "/admin")


@dataclass(frozen=True)
class Visitor:
    """Who asks, and what every page shows of them."""

    someone: models.User | None
    session: models.Session | None  # None for nobody, and for the operator, who has no browser.
    csrf: str
    fresh_visit: str | None  # A visit's cookie to set, where the browser has none.
    language: str
    look: models.Look
    accesses: tuple[models.Access, ...]
    chosen_project: str
    here: str  # The local address of this page, for forms that come back to it.
    announcements: tuple[Announcement, ...] = ()
    bearer: token_models.Bearer | None = None  # The token that a program showed.
    warns: bool = False  # Whether the page tells before the session ends by itself.
    position: str = ""  # Of the live stream when this page was asked for.
    is_read: bool = True  # Whether it was asked for by GET: asked for again, it changes nothing.
    is_part: bool = False  # Whether the page is asked for again by itself, for what changed: it is answered without what surrounds it.
    has_terms: bool = False  # Whether the lab has terms of use, to read.

    @property
    def user(self) -> models.User:
        """The person. SignInNeeded where nobody is signed in."""
        if self.someone is None:
            raise problems.SignInNeeded()
        return self.someone

    @property
    def session_id(self) -> str:
        """The session's id. Forbidden for the operator, who opens things in a browser."""
        if self.session is None:
            raise errors.Forbidden("this takes a browser's session", hint="open it from a browser that is signed in")
        return self.session.id

    @property
    def is_operator(self) -> bool:
        """Whether the lab's operator acts as this person."""
        return self.someone is not None and self.session is None and self.bearer is None

    @property
    def project(self) -> models.Access:
        """The project that pages show: the one chosen, else the person's own; a service account's only one."""
        for access in self.accesses:
            if access.project.slug == self.chosen_project:
                return access
        return self.home

    @property
    def home(self) -> models.Access:
        """The person's own project; a service account's only one."""
        return next((access for access in self.accesses if access.project.slug == self.user.slug), self.accesses[0])

    @property
    def live_tag(self) -> str:
        """By which the tabs of one session find each other, and none of another's: it opens nothing. Empty for nobody."""
        return hashlib.sha256(f"live {self.csrf}".encode()).hexdigest()[:16] if self.session is not None else ""

    @property
    def may_launch(self) -> bool:
        """Whether they may launch in the project that pages show."""
        return self.project.may_work

    def may_change(self, project_id: str) -> bool:
        """Whether they work in that project, and do not only look."""
        roles = (access.role for access in self.accesses if access.project.id == project_id)
        return any(role.covers(models.Role.MEMBER) for role in roles)

    @property
    def section(self) -> str:
        """Which entry of the navigation this page is under."""
        return next((section for section in SECTIONS if self.here.startswith(section)), self.here.partition("?")[0])


async def visitor(request: Request) -> Visitor:
    """Whoever asks; found once per request."""
    known = getattr(request.state, "visitor", None)
    if isinstance(known, Visitor):
        return known
    rooms: Rooms = request.app.state.rooms
    caller: walls.Caller = request.state.caller
    bearer = None if caller.operator else await _bearer(request)
    token = "" if caller.operator or bearer else request.cookies.get(SESSION_COOKIE, "")
    found = await rooms.identity.sessions.find(token=token, is_use=_is_use(request)) if token else None
    someone = bearer.user if bearer else found.user if found else None
    if caller.operator is not None:
        someone = await _operated(rooms, caller.operator)
    visit = request.cookies.get(VISIT_COOKIE)
    fresh = None if someone or visit else secrets.token_urlsafe(24)
    made = Visitor(
        someone=someone,
        session=found.session if found else None,
        csrf=csrf_token(token if found else visit or fresh or ""),
        fresh_visit=fresh,
        language=_language(request, someone, rooms),
        look=someone.look if someone else look_of(request.cookies.get(LOOK_COOKIE, "")),
        accesses=await rooms.identity.projects.list(user_id=someone.id) if someone else (),
        chosen_project=request.cookies.get(PROJECT_COOKIE, ""),
        here=_here(request),
        announcements=await _announcements(rooms, someone, bearer),
        bearer=bearer,
        has_terms=rooms.identity.terms.current is not None,
        position=request.app.state.hub.position,
        is_read=request.method == "GET",
        is_part=request.headers.get(PART_HEADER) == "1",
        warns=found is not None and rooms.identity.sessions.warns,
    )
    request.state.visitor = made
    return made


async def _announcements(
    rooms: Rooms, someone: models.User | None, bearer: token_models.Bearer | None
) -> tuple[Announcement, ...]:
    """What the lab tells this person; programs read no pages."""
    return await rooms.admin.announcements.current(user_id=someone.id) if someone and not bearer else ()


async def person(found: Annotated[Visitor, Depends(visitor)]) -> Visitor:
    """Whoever asks, who must be signed in. SignInNeeded where they are not."""
    if found.someone is None:
        raise problems.SignInNeeded()
    return found


async def proven(request: Request, found: Annotated[Visitor, Depends(person)]) -> Visitor:
    """Whoever asks, who proved who they are a moment ago. ProofNeeded where that was too long ago; the operator always has."""
    rooms: Rooms = request.app.state.rooms
    if found.is_operator or (found.session is not None and rooms.identity.sessions.is_fresh(found.session)):
        return found
    path = request.url.path
    raise problems.ProofNeeded(path if request.method in walls.SAFE else "/".join(path.split("/")[:3]))


async def require_administrator(request: Request) -> None:
    """NotFound but for an administrator of the lab, as where there is no such page; SignInNeeded where nobody is signed in."""
    found = await person(await visitor(request))
    if not found.user.is_admin:
        raise errors.NotFound("there is no such page")


Anyone = Annotated[Visitor, Depends(visitor)]
Person = Annotated[Visitor, Depends(person)]
Proven = Annotated[Visitor, Depends(proven)]


def csrf_token(secret: str) -> str:
    """The token that forms of one session carry; it tells nothing of the session's own."""
    return hmac.new(secret.encode(), b"etabli forms", hashlib.sha256).hexdigest()


def check_csrf(found: Visitor, given: object) -> None:
    """Forbidden where a form is not of this session."""
    if found.is_operator or found.bearer is not None:
        return
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), found.csrf.encode()):
        raise errors.Forbidden("this form is too old", hint="load the page again, then send it once more")


def set_cookie(response: Response, name: str, value: str, *, max_age: int | None = YEAR) -> None:
    """Set one of our cookies: this origin's alone, never read by scripts. `max_age` None: until the browser closes."""
    response.set_cookie(name, value, max_age=max_age, path="/", secure=True, httponly=True, samesite="lax")


def drop_cookie(response: Response, name: str) -> None:
    """Forget one of our cookies."""
    response.delete_cookie(name, path="/", secure=True, httponly=True, samesite="lax")


def local_path(text: str | None, default: str = "/") -> str:
    """`text` where it is a path of this very origin, else `default`: nothing given in an address leads elsewhere."""
    if not text or len(text) > 2000 or text[0] != "/" or text[1:2] in ("/", "\\"):
        return default
    if any(character in text for character in "\\\r\n\t\0") or not text.isprintable():
        return default
    return text


def look_of(text: str) -> models.Look:
    """The look that a cookie keeps, `theme.density`; the usual one where it keeps none that we know."""
    theme, _, density = text.partition(".")
    if theme not in set(models.Theme) or density not in set(models.Density):
        return models.Look()
    return models.Look(theme=models.Theme(theme), density=models.Density(density))


def keep_look(response: Response, look: models.Look) -> None:
    """Remember a look in the browser, for pages before sign-in."""
    set_cookie(response, LOOK_COOKIE, f"{look.theme}.{look.density}")


def _is_use(request: Request) -> bool:
    """Whether a person is behind the request, and not a page that follows the lab, or its own clock, by itself."""
    if request.method not in walls.SAFE:
        return True
    follows = "text/event-stream" in request.headers.get("accept", "") or request.headers.get(PART_HEADER) == "1"
    return not follows and request.url.path != CLOCK


async def _bearer(request: Request) -> token_models.Bearer | None:
    """Who the request's token speaks for; None where it has none. WrongToken for one that is not good, or another scheme."""
    given = request.headers.get("authorization")
    if given is None or not (request.url.path.startswith(API) or request.url.path == METRICS):
        return None
    rooms: Rooms = request.app.state.rooms
    scheme, _, secret = given.partition(" ")
    if scheme.lower() != BEARER:
        raise identity_errors.WrongToken("this kind of credentials is not known here", hint="send `Bearer` and a token")
    address = request.state.caller.address
    return await rooms.identity.access_tokens.find(secret=secret.strip(), address=address)


async def _operated(rooms: Rooms, name: str) -> models.User:
    people = rooms.identity.people
    return await (people.first_admin() if name == FIRST_ADMINISTRATOR else people.named(slug=name))


def _language(request: Request, someone: models.User | None, rooms: Rooms) -> str:
    chosen = someone.language if someone else request.cookies.get(LANGUAGE_COOKIE)
    return language.choose(
        chosen=chosen, accepted=request.headers.get("accept-language", ""), default=rooms.lab.language
    )


def _here(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query and request.method == "GET" else "")
