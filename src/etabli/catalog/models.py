"""The vocabulary of catalogues and charts. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from etabli.engines import contract


@dataclass(frozen=True)
class Maintainer:
    """Who keeps a chart."""

    name: str
    email: str = ""
    url: str = ""


@dataclass(frozen=True)
class Dependency:
    """A chart that another one holds."""

    name: str  # Under which values it is configured: its alias where it has one.
    condition: str = (
        ""  # Dotted paths in the values, comma-separated: it is left out unless the first one found is true.
    )


@dataclass(frozen=True)
class ChartInfo:
    """One version of a chart, as an index tells it: Chart.yaml's words."""

    name: str
    version: str
    description: str = ""
    app_version: str = ""
    icon: str = ""
    home: str = ""
    keywords: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    maintainers: tuple[Maintainer, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    dependencies: tuple[Dependency, ...] = ()
    type: str = "application"
    deprecated: bool = False
    created: datetime | None = None

    def description_in(self, language: str) -> str:
        """The description in that language where the author wrote one (`etabli/description-fr`), else as it is."""
        return self.annotations.get(f"etabli/description-{language}") or self.description


@dataclass(frozen=True)
class Chart:
    """One version of a chart, whole."""

    catalog: str
    info: ChartInfo
    values: Mapping[str, object]  # values.yaml.
    schema: Mapping[str, object] | None  # values.schema.json as its author wrote it.
    readme: str
    digest: str  # SHA-256 of `archive`.
    archive: Path  # What Helm is given; packed by us.


@dataclass(frozen=True)
class Entry:
    """One chart of a catalogue, all its versions, newest first; or a chart that cannot be used, and why."""

    name: str
    versions: tuple[ChartInfo, ...] = ()
    default: str = ""  # The newest version that is not a prerelease, or the newest.
    highlighted: bool = False
    problem: str = ""  # A sentence for people; the chart cannot be launched.

    @property
    def latest(self) -> ChartInfo:
        """The default version's words. Only where there is no problem."""
        return next(info for info in self.versions if info.version == self.default)


@dataclass(frozen=True)
class Listing:
    """One catalogue as it is known now."""

    id: str
    name: Mapping[str, str]  # By language, `en` and `fr`.
    description: Mapping[str, str]
    maintainer: str
    location: str
    public: bool  # Whether it is listed; else only its address leads there.
    entries: tuple[Entry, ...] = ()
    refreshed_at: datetime | None = None  # None: never read yet.
    problem: str = ""  # Why the last reading failed; the entries are then those of the last one that did not.


@dataclass(frozen=True)
class Rendered:
    """What a chart gave for some values: once per revision, charts draw random passwords."""

    catalog: str
    chart: str
    chart_version: str
    digest: str  # Of the chart.
    manifests: tuple[contract.Manifest, ...]  # In the order of the chart's files; CRDs first; tests left out.
    hooks: tuple[contract.Manifest, ...]  # What Helm would run around an install or an upgrade.
    notes: str  # NOTES.txt, Markdown.
    values: Mapping[str, object]  # What differs from the chart's defaults.
    images: tuple[str, ...]  # Every image that the manifests name, each once.
