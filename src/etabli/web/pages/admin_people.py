"""People, for administrators: found by a word, seen whole, suspended, let in again, made administrators."""

from typing import Annotated

from fastapi import Form, Request
from starlette.responses import Response

from etabli.identity import directory
from etabli.kernel import errors
from etabli.web import audited, problems, shell
from etabli.web.browsers import device
from etabli.web.pages.admin_quota import Typed, typed_of
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Proven, Visitor

router = shell.router(shell.AdminRoute)
TEXT = 1000
STATES = ("", "suspended", "administrators")


@router.get("/admin")
async def front(found: Person) -> Response:
    """Where administration begins."""
    return shell.go("/admin/people")


@router.get("/admin/people")
async def people_page(request: Request, found: Person, search: str = "", state: str = "", after: str = "") -> Response:
    """Everybody, by name."""
    rooms: Rooms = request.app.state.rooms
    asked = directory.Asked(word=search[:TEXT], state=state if state in STATES else "", after=after[:32])
    people = await rooms.admin.people.search(by=found.user, asked=asked)
    context = {
        "people": people[: directory.PAGE],
        "asked": asked,
        "total": await rooms.admin.people.count(by=found.user, asked=asked),
        "next": people[directory.PAGE - 1].user.id if len(people) > directory.PAGE else "",
    }
    return shell.page(request, found, "admin/people.html", context)


@router.get("/admin/people/{who}")
async def person_page(request: Request, found: Person, who: str, done: str = "") -> Response:
    """One person."""
    return await _page(request, found, who, done=done)


@router.post("/admin/people/{who}/suspend")
async def suspend(
    request: Request,
    found: Person,
    who: str,
    reason: Annotated[str, Form()] = "",
    services: Annotated[str, Form()] = "",
) -> Response:
    """Keep somebody out; their services are paused or go on, as chosen."""
    rooms: Rooms = request.app.state.rooms
    try:
        paused = await rooms.admin.people.suspend(
            by=found.user, slug=who, stop_services=services == "true", reason=reason[:TEXT]
        )
    except (errors.Invalid, errors.Conflict) as error:
        return await _page(request, found, who, error=error, reason=reason[:TEXT])
    audited.note(request, reason=reason, services=f"{paused} paused" if services == "true" else "kept")
    return shell.go(f"/admin/people/{who}", done="suspended")


@router.post("/admin/people/{who}/restore")
async def restore(request: Request, found: Person, who: str) -> Response:
    """Let somebody in again."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.people.restore(by=found.user, slug=who)
    return shell.go(f"/admin/people/{who}", done="restored")


@router.post("/admin/people/{who}/sign-out")
async def sign_out_everywhere(request: Request, found: Person, who: str) -> Response:
    """End every session of somebody."""
    rooms: Rooms = request.app.state.rooms
    await rooms.admin.people.end_sessions(by=found.user, slug=who)
    return shell.go(f"/admin/people/{who}", done="signed-out")


@router.post("/admin/people/{who}/reset-link")
async def make_reset_link(request: Request, found: Person, who: str, factors: Annotated[str, Form()] = "") -> Response:
    """Make a link by which somebody who cannot get in chooses a new password, and show it, this once."""
    rooms: Rooms = request.app.state.rooms
    made = await rooms.identity.resets.make(by=found.user, slug=who, removes_factors=factors == "true")
    audited.note(request, factors="yes" if factors == "true" else "no")
    return await _page(request, found, who, link=f"{rooms.lab.origin}/reset?token={made.token}")


@router.post("/admin/people/{who}/administrator")
async def make_administrator(request: Request, found: Proven, who: str, given: Annotated[str, Form()] = "") -> Response:
    """Give or take an administrator's rights."""
    rooms: Rooms = request.app.state.rooms
    people = rooms.admin.people
    change = people.make_administrator if given == "yes" else people.unmake_administrator
    try:
        await change(by=found.user, slug=who)
    except errors.Conflict as error:
        return await _page(request, found, who, error=error)
    audited.note(request, administrator="yes" if given == "yes" else "no")
    if who == found.user.slug and given != "yes":
        return shell.go("/")  # These pages are not there for them any more.
    return shell.go(f"/admin/people/{who}", done="administrator" if given == "yes" else "plain")


async def _page(
    request: Request,
    found: Visitor,
    slug: str,
    *,
    done: str = "",
    error: errors.EtabliError | None = None,
    reason: str = "",
    link: str = "",
) -> Response:
    rooms: Rooms = request.app.state.rooms
    whole = await rooms.admin.people.get(by=found.user, slug=slug)
    context = {
        "whole": whole,
        "person": whole.profile.found.user,
        "done": done,
        "error": error,
        "faults": dict(error.fields) if isinstance(error, errors.Invalid) else {},
        "reason": reason,
        "link": link,
        "device": device,
        "project": whole.personal,
        "quota": whole.quota,
        "typed": typed_of(whole.quota.own),
        "quota_faults": {},
        "no_quota": Typed(),
    }
    status = 200 if error is None else problems.status_of(error)
    return shell.page(request, found, "admin/person.html", context, status=status)
