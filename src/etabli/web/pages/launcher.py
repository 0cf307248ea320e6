"""The launch form: a chart's form as data, drawn; a launch link, read; the same on the command line, beside.

What was typed is kept whatever is refused, and each fault stands at its field. A link that asks to launch at once is asked about
first: it comes from somebody else, and what it sets is shown.
"""

import secrets
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

import yaml
from fastapi import Request
from starlette.responses import HTMLResponse, Response

from etabli.catalog import errors as catalog_errors
from etabli.catalog import links, patches, paths, service
from etabli.catalog.expressions import UNDEFINED
from etabli.kernel import errors
from etabli.services import models
from etabli.web import audited, forms, problems, shell
from etabli.web.rendering import Renderer
from etabli.web.rooms import Rooms
from etabli.web.visitors import Person, Visitor

router = shell.router()
ADDRESS = "/launcher/{catalog}/{chart}"
TEXT = 1000
MAX_LINE = 1_000_000  # A setting is one line, however long.


@dataclass(frozen=True)
class Asked:
    """One launch being prepared."""

    catalog: str
    opening: service.Opening
    name: str
    version: str | None  # None: the newest.
    key: str  # A double click is one service.
    project: str  # The slug of the shared project that it is prepared in; empty: the person's own.

    @property
    def chart(self) -> str:
        """The chart's name."""
        return self.opening.chart.info.name


@dataclass(frozen=True)
class Same:
    """The same launch, otherwise: a link, a command, a file of values."""

    link: str
    command: str
    values: str


@router.get(ADDRESS)
async def launcher_page(request: Request, found: Person, catalog: str, chart: str) -> Response:
    """The form, as a link fills it."""
    rooms: Rooms = request.app.state.rooms
    link = links.parse(request.url.query)
    opening = await rooms.catalog.open(
        catalog=catalog,
        chart=chart,
        version=link.version,
        context=await _context(request, found),
        changes=link.changes,
    )
    await rooms.catalog.warm()
    asked = Asked(
        catalog=catalog,
        opening=opening,
        name=link.name[:TEXT],
        version=link.version,
        key=secrets.token_urlsafe(12),
        project=_shared(found),
    )
    return await _page(request, found, asked, link=link)


@router.post(ADDRESS)
async def launch(request: Request, found: Person, catalog: str, chart: str) -> Response:
    """Launch; or change a list of the form; or show the form again with each fault at its field."""
    rooms: Rooms = request.app.state.rooms
    own = await _own_fields(request)
    try:
        asked = await _submitted(request, found, catalog=catalog, chart=chart, own=own)
    except catalog_errors.ValuesInvalid as error:
        return await _again(request, found, catalog=catalog, chart=chart, own=own, error=error)
    if "add" in own or "remove" in own:
        return await _page(request, found, asked)
    try:
        asked.opening.check()
        launched = await rooms.services.launch(
            user_id=found.user.id,
            launch=models.Launch(
                project_id=found.project.project.id,
                catalog=catalog,
                chart=chart,
                name=asked.name,
                version=asked.version,
                values=asked.opening.changes,
                key=asked.key,
            ),
        )
    except errors.NotFound:
        raise
    except errors.EtabliError as error:
        return await _page(request, found, asked, error=error)
    project = found.project.project.slug
    audited.note(request, target_kind="service", target=launched.id, project=project, chart=f"{catalog}/{chart}")
    return shell.go(f"/services/{launched.id}")


@router.post(ADDRESS + "/same")
async def same(request: Request, found: Person, catalog: str, chart: str) -> Response:
    """The link, the command and the values of what the form holds now."""
    own = await _own_fields(request)
    asked = await _submitted(request, found, catalog=catalog, chart=chart, own=own)
    html = shell.partial(request, found, "_same.html", {"same": _same(request, asked)})
    return HTMLResponse(html)


async def _context(request: Request, found: Visitor) -> Mapping[str, object]:
    rooms: Rooms = request.app.state.rooms
    return await rooms.services.context(user_id=found.user.id, project_id=found.project.project.id)


async def _own_fields(request: Request) -> dict[str, str]:
    """The page's own fields: their names hold neither dot nor bracket."""
    items = (await request.form()).items()
    return {name: text for name, text in items if isinstance(text, str) and "." not in name and "[" not in name}


async def _submitted(
    request: Request,
    found: Visitor,
    *,
    catalog: str,
    chart: str,
    own: Mapping[str, str],
    without: frozenset[str] = frozenset(),
) -> Asked:
    rooms: Rooms = request.app.state.rooms
    context = await _context(request, found)
    version = own.get("version") or None
    drawn = await rooms.catalog.open(catalog=catalog, chart=chart, version=version, context=context)
    items = [
        (name, text)
        for name, text in (await request.form()).multi_items()
        if isinstance(text, str) and name not in without
    ]
    opening = await rooms.catalog.submit(
        catalog=catalog,
        chart=chart,
        version=version,
        context=context,
        fields=forms.posted(drawn.form, items),
        add=own.get("add"),
        remove=own.get("remove"),
    )
    name, key = own.get("name", "")[:TEXT], own.get("key", "")[:TEXT] or secrets.token_urlsafe(12)
    return Asked(catalog=catalog, opening=opening, name=name, version=version, key=key, project=_shared(found))


async def _again(
    request: Request,
    found: Visitor,
    *,
    catalog: str,
    chart: str,
    own: Mapping[str, str],
    error: catalog_errors.ValuesInvalid,
) -> Response:
    """The form again, without what could not be read: it stays as it was typed, with its fault beside it."""
    labels = {paths.label(path): paths.name(path) for name in error.fields if (path := paths.parse(name))}
    unreadable = frozenset(labels.get(label, label) for label in error.fields)
    asked = await _submitted(request, found, catalog=catalog, chart=chart, own=own, without=unreadable)
    typed = {name: str(text) for name, text in (await request.form()).multi_items() if name in unreadable}
    return await _page(request, found, asked, error=error, typed=typed)


async def _page(
    request: Request,
    found: Visitor,
    asked: Asked,
    *,
    link: links.Link | None = None,
    error: errors.EtabliError | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    rooms: Rooms = request.app.state.rooms
    renderer: Renderer = request.app.state.renderer
    faults = dict(error.fields) if isinstance(error, errors.Invalid) else {}
    drawing = forms.Drawing(
        messages=renderer.messages(found.language),
        formats=renderer.formats(found.language),
        health=await rooms.services.free(),
        faults=faults,
    )
    response = shell.page(
        request,
        found,
        "launcher.html",
        {
            "asked": asked,
            "form": asked.opening.form,
            "info": asked.opening.chart.info,
            "versions": await _versions(request, found, asked),
            "same": _same(request, asked),
            "error": error,
            "faults": faults,
            "typed": typed or {},
            "from_link": _from_link(asked, link),
            "auto_launch": link is not None and link.auto_launch,
            "left_out": (*link.left_out, *asked.opening.left_out) if link else (),
            "shown": drawing.shown,
            "wrong_at": drawing.wrong_at,
            "end_of": drawing.end_of,
            "free_of": drawing.free_of,
            "is_open": drawing.is_open,
            "is_block": drawing.is_block,
            "options_of": drawing.options_of,
            "text_of": drawing.text_of,
        },
        status=200 if error is None else problems.status_of(error),
    )
    if error is not None:
        response.headers.update(problems.headers_of(error))
    return response


async def _versions(request: Request, found: Visitor, asked: Asked) -> list[tuple[str, str]]:
    """The chart's versions to choose from, the newest as none."""
    rooms: Rooms = request.app.state.rooms
    newest = request.app.state.renderer.messages(found.language).gettext("newest")
    for listing in await rooms.catalog.listings():
        for entry in listing.entries:
            if listing.id == asked.catalog and entry.name == asked.chart and not entry.problem:
                own = [(info.version, info.version) for info in entry.versions]
                return [("", f"{entry.default} ({newest})"), *(pair for pair in own if pair[0] != entry.default)]
    return []


def _shared(found: Visitor) -> str:
    project = found.project.project
    return project.slug if project.is_shared else ""


def _from_link(asked: Asked, link: links.Link | None) -> list[tuple[str, str]]:
    """What a link changed of the chart's defaults, for the person to look at before they launch."""
    if link is None or not link.changes:
        return []
    return [(paths.label(path), str(value)[:200]) for path, value in asked.opening.link_changes]


def _same(request: Request, asked: Asked) -> Same:
    rooms: Rooms = request.app.state.rooms
    changes = asked.opening.link_changes
    query = links.write(links.Link(name=asked.name, version=asked.version, changes=changes))
    address = f"{rooms.lab.origin}/launcher/{asked.catalog}/{asked.chart}"
    values = asked.opening.changes
    text = yaml.safe_dump(values, allow_unicode=True, sort_keys=False) if values else ""
    return Same(link=f"{address}?{query}" if query else address, command=_command(asked, changes), values=text)


def _command(asked: Asked, changes: tuple[patches.Patch, ...]) -> str:
    parts = [f"etabli launch {shlex.quote(f'{asked.catalog}/{asked.chart}')}"]
    if asked.name:
        parts.append(f"--name {shlex.quote(asked.name)}")
    if asked.project:
        parts.append(f"--project {asked.project}")
    if asked.version:
        parts.append(f"--version {shlex.quote(asked.version)}")
    parts += [f"--set {shlex.quote(f'{paths.label(path)}={_setting(value)}')}" for path, value in changes]
    return " \\\n  ".join(parts)


def _setting(value: object) -> str:
    """A value as `--set` reads it: YAML on one line; nothing takes the key away."""
    if value is UNDEFINED:
        return "null"
    if value == "":
        return ""
    dumped = yaml.safe_dump(value, allow_unicode=True, default_flow_style=True, width=MAX_LINE)
    return dumped.removesuffix("...\n").strip()
