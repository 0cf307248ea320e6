"""The use cases of the catalogue: list, open a form, read what was posted, render."""

import asyncio
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import httpx
import structlog

from etabli.catalog import (
    checks,
    defaults,
    errors,
    expressions,
    form,
    images,
    library,
    models,
    patches,
    paths,
    posted,
    rendering,
    schemas,
    settings,
    sliders,
)
from etabli.kernel import clock as clocks

log = structlog.get_logger()

REGISTRY = Path(__file__).parent / "registry"
Tree = Mapping[str, object]


@dataclass(frozen=True)
class Opening:
    """A chart opened for somebody: its form, the values in it, and what is wrong with them."""

    chart: models.Chart
    schema: schemas.Schema  # Resolved.
    defaults: Tree
    values: Tree
    form: form.Form
    problems: Mapping[str, str]  # By dotted name; empty where it can be launched.
    left_out: tuple[patches.LeftOut, ...]  # Of a link: what the chart does not take.
    receives: tuple[str, ...]  # Names of the context that the chart's defaults ask for and get: `user.email`…

    @property
    def changes(self) -> dict[str, object]:
        """What differs from the defaults, nested as in values.yaml: what `render` and the API take."""
        return patches.nest(patches.differences(self.defaults, self.values))

    @property
    def link_changes(self) -> tuple[patches.Patch, ...]:
        """What differs, as a launch link says it. Passwords stay out of addresses."""
        differing = patches.differences(self.defaults, self.values)
        found = [leaf for patch in differing for leaf in patches.leaves(patch, paths.find(self.defaults, patch[0]))]
        return tuple(leaf for leaf in found if not _is_password(self.schema, leaf[0]))

    def check(self) -> None:
        """ValuesInvalid, with each field named, where something is wrong."""
        if self.problems:
            raise errors.ValuesInvalid(self.problems)


class Catalog:
    """Charts: listed, opened, rendered. `builtin` is the folder that the location `builtin` stands for."""

    def __init__(
        self,
        config: settings.CatalogSettings,
        *,
        builtin: Path,
        cache: Path,
        http: httpx.AsyncClient,
        clock: clocks.Clock,
    ) -> None:
        self._refresh = timedelta(seconds=config.refresh_seconds)
        self._clock = clock
        self._library = library.Library(config, builtin=builtin, cache=cache, http=http, clock=clock)
        self._renderer = rendering.Renderer(config.rendering, clock=clock)
        self._schemas: dict[tuple[str, tuple[str, ...]], schemas.Schema] = {}  # Resolved, until the next refresh.
        self._resolving = threading.Lock()  # Forms are made in threads.
        self._registry = schemas.Registry(
            REGISTRY,
            external=Path(config.schemas) if config.schemas else None,
            roles=Path(config.role_schemas) if config.role_schemas else None,
        )

    async def load(self) -> None:
        """Read what needs no network. To be called once, before anything else."""
        await self._library.load()

    async def run(self) -> None:
        """Read the catalogues again and again, until cancelled."""
        while True:
            await self.refresh()
            await self._clock.sleep(self._refresh)

    async def refresh(self, catalog: str | None = None) -> None:
        """Read the catalogues, or the one of that name, and the lab's schemas, again now. A failure is told in the listing."""
        self._schemas = {}
        if catalog is None:
            await self._library.refresh_all()
        else:
            await self._library.refresh(catalog)

    async def close(self) -> None:
        """End the rendering worker."""
        await self._renderer.close()

    async def warm(self) -> None:
        """Have Helm loaded soon: somebody reads a form."""
        await self._renderer.warm()

    @property
    def worker_pid(self) -> int | None:
        """The rendering worker's pid where one runs."""
        return self._renderer.worker_pid

    async def listings(self) -> tuple[models.Listing, ...]:
        """Every catalogue and its charts, broken ones with their sentence; from memory."""
        return self._library.listings()

    async def chart(self, *, catalog: str, chart: str, version: str | None = None) -> models.Chart:
        """A chart, whole; a version that is gone answers the default one. ChartNotFound, ChartBroken, SourceUnavailable."""
        return await self._library.chart(catalog, self._library.release(catalog, chart, version))

    async def open(
        self,
        *,
        catalog: str,
        chart: str,
        version: str | None = None,
        context: Tree,
        values: Tree | None = None,
        changes: Iterable[patches.Patch] = (),
        roles: Sequence[str] = (),
    ) -> Opening:
        """The form of a chart for this context, with `values` (nested) and `changes` (a link's) put in.

        What the chart does not take is in `left_out`, what does not fit in `problems`: neither is raised.
        """
        found = await self.chart(catalog=catalog, chart=chart, version=version)
        asked = [*patches.flatten(values or {}), *changes]
        return await asyncio.to_thread(self._open, found, context, asked, roles)

    async def submit(
        self,
        *,
        catalog: str,
        chart: str,
        version: str | None = None,
        context: Tree,
        fields: Iterable[tuple[str, str]],
        add: str | None = None,
        remove: str | None = None,
        roles: Sequence[str] = (),
    ) -> Opening:
        """The form with what was posted in it; `add` and `remove` name a list, or a member of one, to change.

        ValuesInvalid where a field is malformed or tampered with; what merely does not fit is in `problems`.
        """
        found = await self.chart(catalog=catalog, chart=chart, version=version)
        return await asyncio.to_thread(self._submit, found, context, tuple(fields), (add, remove), roles)

    async def render(
        self,
        *,
        catalog: str,
        chart: str,
        version: str | None = None,
        values: Tree,
        context: Tree,
        release: str,
        namespace: str,
        revision: int = 1,
        roles: Sequence[str] = (),
    ) -> models.Rendered:
        """Check the values (nested, what differs from the defaults) and render.

        ValuesInvalid names each field that is wrong, unknown to the chart, or not for people to set. RenderFailed carries
        Helm's words. Unavailable where Helm could not.
        """
        opening = await self.open(
            catalog=catalog, chart=chart, version=version, context=context, values=values, roles=roles
        )
        if opening.left_out:
            raise errors.ValuesInvalid({item.name: item.reason for item in opening.left_out})
        opening.check()
        given = patches.for_helm(opening.schema, opening.chart.values, opening.values)
        output = await self._renderer.render(rendering.Job(opening.chart.archive, given, release, namespace, revision))
        return models.Rendered(
            catalog=catalog,
            chart=opening.chart.info.name,
            chart_version=opening.chart.info.version,
            digest=opening.chart.digest,
            manifests=output.manifests,
            hooks=output.hooks,
            notes=output.notes,
            values=opening.changes,
            images=images.named((*output.manifests, *output.hooks)),
        )

    def _open(
        self, chart: models.Chart, context: Tree, asked: Iterable[patches.Patch], roles: Sequence[str]
    ) -> Opening:
        schema = self._schema(chart, context, roles)
        initial = defaults.compute(schema, chart.values, context)
        values, left_out = patches.apply(schema, initial, asked, context)
        problems = checks.problems(schema, values)
        facts = form.Facts(values=values, defaults=initial, context=context, problems=problems)
        return Opening(
            chart=chart,
            schema=schema,
            defaults=initial,
            values=values,
            form=form.build(schema, facts, chart.info),
            problems=problems,
            left_out=left_out,
            receives=tuple(_received(schema, context)),
        )

    def _submit(
        self,
        chart: models.Chart,
        context: Tree,
        fields: tuple[tuple[str, str], ...],
        lists: tuple[str | None, str | None],
        roles: Sequence[str],
    ) -> Opening:
        schema = self._schema(chart, context, roles)
        initial = defaults.compute(schema, chart.values, context)
        found = posted.parse(schema, initial, fields)
        values, _ = patches.apply(schema, initial, found, context)
        asked = [*found, *_list_changes(schema, values, lists, context)]
        return self._open(chart, context, asked, roles)

    def _schema(self, chart: models.Chart, context: Tree, roles: Sequence[str]) -> schemas.Schema:
        key = (chart.digest, tuple(roles))
        with self._resolving:
            resolved = self._schemas.get(key)
            if resolved is None:
                written = chart.schema if chart.schema is not None else schemas.of_values(chart.values)
                resolved = self._schemas[key] = schemas.resolve(written, self._registry, roles)
                if len(self._schemas) > library.KEPT_CHARTS:
                    del self._schemas[next(iter(self._schemas))]
        bounds = paths.find(context, ("region", "sliders"))
        return sliders.within_region(resolved, bounds) if isinstance(bounds, Mapping) else resolved


def _list_changes(
    schema: schemas.Schema, values: Tree, lists: tuple[str | None, str | None], context: Tree
) -> list[patches.Patch]:
    """The patches of "add a member" and "take this member away". ValuesInvalid where the name is of no list."""
    changes: list[patches.Patch] = []
    for name, adding in ((lists[0], True), (lists[1], False)):
        if not name:
            continue
        path = paths.parse(name)
        listed = None if path is None else (path if adding else path[:-1])
        here = paths.find(values, listed) if listed else None
        target = patches.locate(schema, listed) if listed else None
        item = schemas.items(target) if isinstance(target, Mapping) else None
        if path is None or not isinstance(here, list) or item is None:
            raise errors.ValuesInvalid({name[:100]: "is no list of this chart"})
        if adding:
            changes.append(((*path, len(here)), defaults.member(item, context)))
        else:
            changes.append((path, expressions.UNDEFINED))
    return changes


def _received(schema: schemas.Schema, context: Tree) -> list[str]:
    """The names of the context that the schema's expressions ask for, and get."""
    found: dict[str, None] = {}
    stack = [schema]
    while stack:
        here = stack.pop()
        stack += [*schemas.properties(here).values(), *filter(None, [schemas.items(here)])]
        for key in ("overwriteDefaultWith", "overwriteListEnumWith"):
            for path in expressions.references(schemas.extension(here).get(key)):
                if paths.find(context, path) not in (expressions.UNDEFINED, "", None):
                    found[paths.label(path)] = None
    return sorted(found)


def _is_password(schema: schemas.Schema, path: paths.Path) -> bool:
    target = patches.locate(schema, path)
    return isinstance(target, Mapping) and target.get("render") == "password"
