"""From the files of a chart to a `Chart`, and from an index's entry to a `ChartInfo`. Pure: no file is opened here."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from etabli.catalog import archives, errors, models, versions, yamls

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
MAX_TEXT = 2_000  # Characters of a description or an annotation that are kept.
SCHEMA_FILE = "values.schema.json"


def chart(catalog: str, files: archives.Files, *, archive: Path, digest: str) -> models.Chart:
    """The chart that these files are. ChartBroken says which file is wrong and how."""
    info = metadata(files)
    return models.Chart(
        catalog=catalog,
        info=info,
        values=_values(files),
        schema=_schema(files),
        readme=files.get("README.md", b"").decode(errors="replace"),
        digest=digest,
        archive=archive,
    )


def metadata(files: archives.Files) -> models.ChartInfo:
    """What Chart.yaml says."""
    if "Chart.yaml" not in files:
        raise errors.ChartBroken("there is no `Chart.yaml`", hint="a chart is a folder with a `Chart.yaml`")
    content = _load("Chart.yaml", files["Chart.yaml"])
    if not isinstance(content, Mapping):
        raise errors.ChartBroken("`Chart.yaml` is not a mapping", hint="start again from a working chart")
    return chart_info(content)


def chart_info(content: Mapping[str, object]) -> models.ChartInfo:
    """What Chart.yaml, or an entry of an index, says. ChartBroken where name or version cannot be used."""
    name, version = str(content.get("name", "")), str(content.get("version", ""))
    if not NAME.fullmatch(name):
        raise errors.ChartBroken(f"`{name[:80]}` cannot name a chart", hint="use lower case letters, digits and dashes")
    if not versions.is_version(version):
        raise errors.ChartBroken(f"`{version[:80]}` is not a version", hint="write it as `1.2.3`")
    annotations = content.get("annotations")
    return models.ChartInfo(
        name=name,
        version=version,
        description=_text(content.get("description")),
        app_version=_text(content.get("appVersion")),
        icon=_link(content.get("icon")),
        home=_link(content.get("home")),
        keywords=tuple(_text(item) for item in _list(content.get("keywords"))),
        sources=tuple(filter(None, (_link(item) for item in _list(content.get("sources"))))),
        maintainers=tuple(_maintainers(content.get("maintainers"))),
        annotations={k: _text(v) for k, v in annotations.items()} if isinstance(annotations, Mapping) else {},
        dependencies=tuple(_dependencies(content.get("dependencies"))),
        type=_text(content.get("type")) or "application",
        deprecated=content.get("deprecated") is True,
        created=_moment(content.get("created")),
    )


def _load(name: str, data: bytes) -> object:
    try:
        return yamls.load(data)
    except yamls.Malformed as error:
        raise errors.ChartBroken(f"`{name}` {error.message}", hint=error.hint) from error


def _values(files: archives.Files) -> Mapping[str, object]:
    content = _load("values.yaml", files.get("values.yaml", b""))
    if content is None:
        return {}
    if not isinstance(content, Mapping):
        raise errors.ChartBroken("`values.yaml` is not a mapping", hint="start it with `key: value`")
    return content


def _schema(files: archives.Files) -> Mapping[str, object] | None:
    if SCHEMA_FILE not in files:
        return None
    try:
        content = json.loads(files[SCHEMA_FILE])
    except (ValueError, RecursionError) as error:
        raise errors.ChartBroken(f"`{SCHEMA_FILE}` is not JSON", hint="check it with a JSON editor") from error
    if not isinstance(content, Mapping):
        raise errors.ChartBroken(f"`{SCHEMA_FILE}` is not an object", hint="start it with `{`")
    return content


def _text(value: object) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)[:MAX_TEXT]


def _link(value: object) -> str:
    """Only what a page may link to: never `javascript:`."""
    text = _text(value)
    return text if text.startswith(("https://", "http://")) else ""


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _maintainers(value: object) -> list[models.Maintainer]:
    return [
        models.Maintainer(name=_text(item.get("name")), email=_text(item.get("email")), url=_link(item.get("url")))
        for item in _list(value)
        if isinstance(item, Mapping)
    ]


def _dependencies(value: object) -> list[models.Dependency]:
    return [
        models.Dependency(
            name=_text(item.get("alias")) or _text(item.get("name")), condition=_text(item.get("condition"))
        )
        for item in _list(value)
        if isinstance(item, Mapping)
    ]


def _moment(value: object) -> datetime | None:
    """RFC 3339, with the nanoseconds that Helm writes."""
    text = re.sub(r"(\.\d{6})\d+", r"\1", _text(value))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
