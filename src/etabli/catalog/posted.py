"""What a posted form says, as patches, and what somebody tried to make it say.

A form posts names (paths.py) and text. The types are the schema's. A name that is there twice counts as the last: a page posts `false`
before each checkbox. What is not posted keeps its value. A list posts `name[]` with the indexes of its members, `0,1,2`, so that
members may be taken away and an empty list is one.

Refused by name, as tampering: names that the chart does not know, values that are hidden, and values that may not be changed, changed.
"""

from collections.abc import Iterable, Mapping

from etabli.catalog import checks, errors, form, patches, paths, schemas, sliders, yamls
from etabli.catalog.expressions import UNDEFINED
from etabli.catalog.schemas import Schema

MAX_FIELDS = 2_000
LIST_MARK = "[]"


def parse(schema: Schema, values: Mapping[str, object], posted: Iterable[tuple[str, str]]) -> tuple[patches.Patch, ...]:
    """The patches that turn `values` into what was posted. ValuesInvalid names what is malformed or tampered with."""
    texts = {name: text.replace("\r\n", "\n") for name, text in posted if _is_value(name)}
    if len(texts) > MAX_FIELDS:
        raise errors.ValuesInvalid({"form": f"posts more than {MAX_FIELDS} values"})
    reader = _Reader(schema, values, texts)
    found = reader.read()
    if reader.problems:
        raise errors.ValuesInvalid(reader.problems)
    return found


def _is_value(name: str) -> bool:
    """Names without a dot or a bracket are the page's own."""
    return "." in name or "[" in name


class _Reader:
    def __init__(self, schema: Schema, values: Mapping[str, object], texts: Mapping[str, str]) -> None:
        self._schema = schema
        self._values = values
        self._texts = texts
        self.problems: dict[str, str] = {}

    def read(self) -> tuple[patches.Patch, ...]:
        members = self._members()
        found: list[patches.Patch] = []
        moved: dict[paths.Path, dict[int, int]] = {}
        for path, indexes in members.items():
            moved[path] = {index: place for place, index in enumerate(indexes)}
            old = paths.find(self._values, path)
            length = len(old) if isinstance(old, list) else 0
            gone = [index for index in range(length) if index not in indexes]
            found += [((*path, index), UNDEFINED) for index in reversed(gone)]
        for name, text in self._texts.items():
            if name.endswith(LIST_MARK):
                continue
            patch = self._patch(name, text)
            if patch is not None:
                found.append((_renumbered(patch[0], moved), patch[1]))
        return tuple(found)

    def _members(self) -> dict[paths.Path, list[int]]:
        """For each list that was posted, the indexes of its members, in order."""
        members: dict[paths.Path, list[int]] = {}
        for name, text in self._texts.items():
            if name.endswith(LIST_MARK):
                path = paths.parse(name.removesuffix(LIST_MARK))
                target = patches.UNKNOWN if path is None else patches.locate(self._schema, path)
                if path is None or isinstance(target, str) or target is None or target["type"] != "array":
                    self.problems[name[:100]] = patches.UNKNOWN
                else:
                    members[path] = [int(part) for part in text.split(",") if part.isdecimal() and len(part) < 4]
        return members

    def _patch(self, name: str, text: str) -> patches.Patch | None:
        path = paths.parse(name)
        if path is None:
            self.problems[name[:100]] = patches.UNKNOWN
            return None
        schema = patches.locate(self._schema, path)
        if schema is None or (
            isinstance(schema, Mapping) and schema["type"] == "object" and not patches.is_free(schema)
        ):
            schema = patches.UNKNOWN  # A block is posted whole, an object never.
        if schema == patches.READONLY and text == form.as_text(_known(self._values, path), form.Control.TEXT):
            return None
        if isinstance(schema, str):
            self.problems[paths.label(path)[:100]] = schema
            return None
        try:
            value = _read(schema, text)
        except ValueError as error:
            self.problems[paths.label(path)] = str(error)
            return None
        return None if _same(value, _known(self._values, path)) else (path, value)


def _read(schema: Schema, text: str) -> object:
    """The value that the text stands for. ValueError says what it must be."""
    kind = schema["type"]
    if patches.is_free(schema):
        return _block(kind, text)
    if kind == "boolean":
        if text not in {"true", "false", "on"}:
            raise ValueError("must be yes or no")
        return text != "false"
    if kind in {"number", "integer"}:
        return _number(text)
    if sliders.is_slider(schema) and sliders.unit(schema) and text.replace(".", "", 1).isdecimal():
        return text + sliders.unit(schema)  # A slider posts the number alone.
    return text


def _block(kind: object, text: str) -> object:
    if len(text) > checks.MAX_LONG_TEXT:
        raise ValueError(f"must have at most {checks.MAX_LONG_TEXT:,} characters")
    empty: object = {} if kind == "object" else []
    try:
        value = yamls.load(text)
    except yamls.Malformed as error:
        raise ValueError(error.message) from error
    if value is None:
        return empty
    if schemas.type_of(value) != kind:
        raise ValueError("must be `key: value` lines" if kind == "object" else "must be a list, each line after a dash")
    return value


def _number(text: str) -> int | float:
    if len(text) > 40:
        raise ValueError("must be a number")
    try:
        value = float(text)
    except ValueError as error:
        raise ValueError("must be a number") from error
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("must be a number")
    return int(value) if value.is_integer() else value


def _renumbered(path: paths.Path, moved: Mapping[paths.Path, Mapping[int, int]]) -> paths.Path:
    """The path once the members that are gone are gone: each list's indexes close up."""
    renumbered: list[str | int] = []
    for place, step in enumerate(path):
        indexes = moved.get(path[:place])
        renumbered.append(indexes.get(step, step) if indexes is not None and isinstance(step, int) else step)
    return tuple(renumbered)


def _known(values: object, path: paths.Path) -> object:
    found = paths.find(values, path)
    return None if found is UNDEFINED else found


def _same(one: object, other: object) -> bool:
    return one == other and isinstance(one, bool) == isinstance(other, bool)
