"""Search everywhere: services, charts, projects, pages, and what can be done with them, as one ranked list.

Only what the person may see is looked at: the use cases give no more. Each kind is one query, or none; words are compared in memory.
Nothing typed: what was used last, and the main pages.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from fastapi import Request

from etabli.catalog import models as charts
from etabli.services import models as services
from etabli.web import ranking
from etabli.web.language import Messages
from etabli.web.rendering import Renderer
from etabli.web.rooms import Rooms
from etabli.web.visitors import Visitor

SHOWN = 12
RECENT = 5  # Services that are shown where nothing is typed.
LONGEST = 100  # Letters that are looked at.
PAUSABLE = frozenset({services.State.WAITING, services.State.BUILDING, services.State.STARTING, services.State.READY})
RESUMABLE = frozenset({services.State.STOPPED, services.State.FAILED, services.State.FINISHED})


class Kind(StrEnum):
    """What a hit is."""

    SERVICE = "service"
    CHART = "chart"
    PROJECT = "project"
    PAGE = "page"
    ACTION = "action"


WEIGHTS = {Kind.SERVICE: 1.0, Kind.PAGE: 0.97, Kind.CHART: 0.95, Kind.PROJECT: 0.9, Kind.ACTION: 0.8}


def N_(text: str) -> str:  # noqa: N802 - The name that gettext's tools know.
    """Mark a message."""
    return text


# Pages that anybody has; one whose address has no page in this lab is not shown. Words by which people look for them otherwise.
PAGES = (
    ("/", N_("Home"), "accueil start début"),
    ("/services", N_("My services"), "mes running"),
    ("/catalog", N_("Catalogue"), "new nouveau launch lancer charts catalog"),
    ("/projects", N_("Projects"), "members membres équipe team"),
    ("/account", N_("Account"), "profile profil settings réglages paramètres name nom language langue theme thème"),
    ("/account/security", N_("Security"), "password mot de passe passkey clé second factor double authentification"),
    ("/account/sessions", N_("Sessions"), "devices appareils signed connecté"),
    ("/account/tokens", N_("Tokens"), "jetons api command line ligne de commande"),
    ("/account/notifications", N_("Notifications"), "mail e-mail messages"),
    ("/account/data", N_("Your data"), "export delete supprimer données personal rgpd gdpr"),
    ("/account/usage", N_("What you used"), "usage consommation hours heures"),
    ("/help", N_("Help"), "guide documentation aide"),
    ("/accessibility", N_("Accessibility"), "rgaa wcag accessibilité"),
)
ADMIN_PAGES = (
    ("/admin/people", N_("People"), "users utilisateurs comptes accounts"),
    ("/admin/projects", N_("All projects"), "projets"),
    ("/admin/services", N_("All services"), "tous"),
    ("/admin/catalogs", N_("Catalogues"), "sources charts"),
    ("/admin/components", N_("Components"), "health santé composants logs"),
    ("/admin/usage", N_("Usage"), "consommation cpu memory mémoire"),
    ("/admin/announcements", N_("Announcements"), "annonces messages"),
    ("/admin/terms", N_("Terms of use"), "conditions"),
    ("/admin/branding", N_("Branding"), "logo colours couleurs identité"),
    ("/admin/invitations", N_("Invitations"), "demandes requests inviter"),
    ("/admin/backups", N_("Backups"), "sauvegardes restore restaurer"),
    ("/admin/audit", N_("Audit log"), "journal history"),
    ("/admin/settings", N_("Settings"), "réglages paramètres configuration"),
)


@dataclass(frozen=True)
class Hit:
    """One thing that was found."""

    kind: Kind
    title: str
    detail: str
    address: str  # Where it leads; of an action, where its form is sent.
    form: tuple[tuple[str, str], ...] | None = None  # The fields of an action; None for what is a link.
    words: str = ""  # Others, by which it is found.


async def find(request: Request, found: Visitor, typed: str) -> list[Hit]:
    """What fits, best first."""
    rooms: Rooms = request.app.state.rooms
    renderer: Renderer = request.app.state.renderer
    messages = renderer.messages(found.language)
    mine = await rooms.services.recent(user_id=found.user.id)
    pages = [hit for hit in _pages(found, renderer) if renderer.has_page(hit.address)]
    seen = [_service(service, found, messages) for service in mine]
    words = ranking.words(typed[:LONGEST])
    if not words:
        return [*seen[:RECENT], *pages][:SHOWN]
    everything: list[Hit] = [*seen, *pages, *_projects(found, messages), *_actions(mine, found, messages)]
    everything += _charts(await rooms.catalog.listings(), messages)
    return _ranked(everything, words)


def _ranked(hits: Iterable[Hit], words: tuple[str, ...]) -> list[Hit]:
    scored = [
        (WEIGHTS[hit.kind] * fit, hit)
        for hit in hits
        if (
            fit := ranking.fit(
                words, name=ranking.words(hit.title), beside=(*ranking.words(hit.detail), *ranking.words(hit.words))
            )
        )
    ]
    # Sorting is stable: among equals, what came first, which is what was used last.
    return [hit for _, hit in sorted(scored, key=lambda pair: -pair[0])[:SHOWN]]


def _service(service: services.Service, found: Visitor, messages: Messages) -> Hit:
    where = next((one.project.name for one in found.accesses if one.project.id == service.project_id), "")
    detail = f"{service.chart} · {where}" if len(found.accesses) > 1 else service.chart
    return Hit(Kind.SERVICE, service.name, detail, f"/services/{service.id}", words=messages.gettext("service"))


def _pages(found: Visitor, renderer: Renderer) -> Iterator[Hit]:
    _ = renderer.messages(found.language).gettext
    for address, title, words in PAGES + (ADMIN_PAGES if found.user.is_admin else ()):
        detail = _("Administration") if address.startswith("/admin") else ""
        others = " ".join(messages.gettext(title) for messages in renderer.languages.values())
        yield Hit(Kind.PAGE, _(title), detail, address, words=f"{others} {words}")


def _projects(found: Visitor, messages: Messages) -> Iterator[Hit]:
    for access in found.accesses:
        if access.project.id != found.project.project.id:
            title = messages.gettext("Switch to %(name)s") % {"name": access.project.name}
            fields = (("project", access.project.slug),)
            yield Hit(Kind.PROJECT, title, access.project.slug, "/project", form=fields, words="project projet changer")


def _actions(mine: Iterable[services.Service], found: Visitor, messages: Messages) -> Iterator[Hit]:
    _ = messages.gettext
    for service in mine:
        if not found.may_change(service.project_id):
            continue
        address, names = f"/services/{service.id}", {"name": service.name}
        if service.state is services.State.READY and service.openable:
            yield Hit(Kind.ACTION, _("Open %(name)s") % names, service.chart, f"{address}/open", words="ouvrir open")
        if service.state in PAUSABLE:
            yield Hit(Kind.ACTION, _("Pause %(name)s") % names, service.chart, f"{address}/stop", form=(), words="stop")
        if service.state in RESUMABLE:
            title = _("Start %(name)s again") % names
            yield Hit(Kind.ACTION, title, service.chart, f"{address}/resume", form=(), words="resume reprendre")
    yield Hit(Kind.ACTION, _("Sign out"), "", "/sign-out", form=(), words="logout déconnexion quit quitter")


def _charts(listings: Iterable[charts.Listing], messages: Messages) -> Iterator[Hit]:
    for listing in listings:
        for entry in listing.entries if listing.public else ():
            if entry.problem:
                continue
            info = entry.latest
            title = messages.gettext("Launch %(name)s") % {"name": entry.name}
            address = f"/launcher/{listing.id}/{entry.name}"
            yield Hit(Kind.CHART, title, info.description, address, words=" ".join((*info.keywords, "new nouveau")))
