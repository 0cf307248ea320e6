"""Writes down every unsafe request that was carried out, or refused to somebody known: who, what, on what, from where.

What was done is named after the route (`services.stop`), the target after the path's parameters; nothing that was typed is kept. A
route that makes a thing, or knows who acts better than its request does, says so by `note`. The record is there before the answer.
Sign-ins are written by identity, which knows what came of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from etabli.audit import models
from etabli.identity.models import User
from etabli.web import visitors, walls

# What changes nothing but what a browser shows, what machines ask for by the thousand, and what identity records itself.
SILENT = frozenset(
    {
        "entrance.sign_in",
        "passkeys.sign_in_with_passkey",
        "passkeys.passkey_options",
        "passkeys.proof_options",
        "passkeys.new_passkey_options",
        "entrance.choose_language",
        "entrance.choose_project",
        "entrance.choose_look",
        "home.hide_first_steps",
        "announcements.dismiss_announcement",
        "account_sessions.stay_signed_in",
        "launcher.same",
        "api.token",
        "api.userinfo",
    }
)
REFUSED = frozenset({401, 403, 404})  # For rights; what is only wrong in a form (422) changed nothing.


@dataclass
class Note:
    """What a route adds to its record."""

    actor: models.Actor | None = None
    target_kind: str = ""
    target: str = ""
    project: str = ""
    detail: dict[str, str] = field(default_factory=dict)


def note(
    request: Request,
    *,
    actor: User | None = None,
    target_kind: str = "",
    target: str = "",
    project: str = "",
    **detail: str,
) -> None:
    """Add to the record of this request. Never anything that is secret."""
    kept: Note = _note_of(request.scope)
    if actor is not None:
        kept.actor = models.Actor(models.ActorKind.PERSON, models.Means.SESSION, id=actor.id, name=actor.slug)
    kept.target_kind, kept.target = target_kind or kept.target_kind, target or kept.target
    kept.project = project or kept.project
    kept.detail.update(detail)


class AuditLog:
    """ASGI middleware, inside the walls: what they refuse never reached a route."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in walls.SAFE:
            await self._app(scope, receive, send)
            return
        is_recorded = False

        async def sending(message: Message) -> None:
            nonlocal is_recorded
            if message["type"] == "http.response.start" and not is_recorded:
                is_recorded = True
                await _record(scope, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:
            if not is_recorded:
                await _record(scope, 500)
            raise


async def _record(scope: Scope, status: int) -> None:
    route = scope.get("route")
    endpoint = getattr(route, "endpoint", None)
    if endpoint is None:
        return  # What matched no route may hold anything, and did nothing.
    action = f"{endpoint.__module__.rpartition('.')[2]}.{getattr(route, 'name', '')}"
    outcome = _outcome(status)
    if action in SILENT or outcome is None:
        return
    request = Request(scope)
    found = getattr(request.state, "visitor", None)
    known = found if isinstance(found, visitors.Visitor) else None
    extra = _note_of(scope)
    actor = extra.actor or actor_of(known)
    if actor is models.NOBODY and outcome is not models.Outcome.DONE:
        return  # A stranger's attempts would fill the disk; the access log counts them.
    await request.app.state.rooms.audit.record(
        replace(
            await _entry(request, actor, action, outcome, extra),
            address=request.state.caller.address,
            detail={**extra.detail, **({} if status < 400 else {"status": str(status)})},
        )
    )


async def _entry(
    request: Request, actor: models.Actor, action: str, outcome: models.Outcome, extra: Note
) -> models.Entry:
    kind, target = next(iter(_targets(request.path_params).items()), ("", ""))
    project = extra.project or (target if kind == "project" else "")
    if not project and kind == "service":
        project = await _project_of(request, target)
    return models.Entry(
        actor=actor,
        action=action,
        outcome=outcome,
        target_kind=extra.target_kind or kind,
        target=extra.target or target,
        project=project,
    )


def actor_of(found: visitors.Visitor | None) -> models.Actor:
    """Who acts, and by what, as far as the request tells."""
    if found is None or found.someone is None:
        return models.NOBODY
    user = found.someone
    if found.session is not None:
        return models.Actor(models.ActorKind.PERSON, models.Means.SESSION, id=user.id, name=user.slug)
    if found.is_operator:
        return models.Actor(models.ActorKind.OPERATOR, models.Means.SOCKET, id=user.id, name=user.slug)
    is_program = found.bearer is not None and found.bearer.is_service_account
    kind = models.ActorKind.SERVICE_ACCOUNT if is_program else models.ActorKind.PERSON
    return models.Actor(kind, models.Means.TOKEN, id=user.id, name=user.slug)


def _targets(parameters: Mapping[str, object]) -> dict[str, str]:
    """`service_id` names a service, `slug` of `/projects/{slug}` a project; the first one is what was acted on."""
    named = {"slug": "project", "user": "person", "person": "person", "who": "person"}
    return {named.get(name, name.removesuffix("_id")): str(value) for name, value in parameters.items()}


async def _project_of(request: Request, service_id: str) -> str:
    rooms = request.app.state.rooms
    project_id = await rooms.services.project_of(service_id=service_id)
    if project_id is None:
        return ""
    project = await rooms.identity.projects.get(project_id=project_id)
    return str(project.slug)


def _outcome(status: int) -> models.Outcome | None:
    if status < 400:
        return models.Outcome.DONE
    if status >= 500:
        return models.Outcome.FAILED
    return models.Outcome.REFUSED if status in REFUSED else None


def _note_of(scope: Scope) -> Note:
    state = scope.setdefault("state", {})
    kept = state.get("audit_note")
    if not isinstance(kept, Note):
        kept = state["audit_note"] = Note()
    return kept
