"""The account's first section: name, language, look, photo, Git.

The other sections are modules of their own (`account_…`); templates/account/_layout.html lists them all.
"""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import models, people
from etabli.kernel import errors
from etabli.web import language, problems, shell
from etabli.web.rooms import Rooms
from etabli.web.shell import TEXT, faults_of
from etabli.web.visitors import Person, Visitor

router = shell.router()


@router.get("/account")
async def accountshow(request: Request, found: Person, done: str = "") -> Response:
    """My account."""
    return await show(request, found, done=done)


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
        return await show(request, found, profile=given, error=error)
    return shell.go("/account", done="profile")


@router.post("/account/git")
async def change_git_names(
    request: Request,
    found: Person,
    name: Annotated[str, Form(alias="git_name")] = "",
    email: Annotated[str, Form(alias="git_email")] = "",
) -> Response:
    """Change what one's own services sign commits with."""
    rooms: Rooms = request.app.state.rooms
    given = models.GitNames(name=name[:TEXT], email=email[:TEXT])
    try:
        await rooms.identity.profiles.choose_git(user_id=found.user.id, names=given)
    except errors.Invalid as error:
        return await show(request, found, git=given, error=error)
    return shell.go("/account", done="git")


async def show(
    request: Request,
    found: Visitor,
    *,
    done: str = "",
    profile: people.Profile | None = None,
    git: models.GitNames | None = None,
    error: errors.EtabliError | None = None,
) -> Response:
    """The profile, with what was typed and what is wrong with it."""
    user = found.user
    return shell.page(
        request,
        found,
        "account/profile.html",
        {
            "done": done,
            "profile": profile or people.Profile(name=user.name, email=user.email, language=user.language),
            "git": git or user.git,
            "faults": faults_of(error),
        },
        status=200 if error is None else problems.status_of(error),
    )
