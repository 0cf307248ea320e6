"""What differs from a chart's defaults: applied, found again, nested or one by one.

A patch is a path and a value. Patches come from a person (a link, a form, the API), so each is held against the schema first: what the
chart does not know, what is hidden and what may not be changed is left out and told; a value is brought to the property's type where
that is reasonable, and else kept as it is, so that the check names it at its field.
"""

import copy
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

from etabli.catalog import checks, defaults, errors, paths, schemas, yamls
from etabli.catalog.expressions import UNDEFINED, Missing
from etabli.catalog.schemas import Schema

Value: TypeAlias = object | Missing
Patch: TypeAlias = tuple[paths.Path, Value]  # UNDEFINED takes the key away.

UNKNOWN = "is nothing that this chart knows"
HIDDEN = "is not for people to set"
READONLY = "may not be changed"
GROUP = "holds several values: set those"
FAR = "skips members of the list"
MAX_SETTING = 100_000


@dataclass(frozen=True)
class LeftOut:
    """A patch that was not applied, and why, in words that follow its name."""

    name: str
    reason: str


def apply(
    schema: Schema, values: Mapping[str, object], patches: Iterable[Patch], context: Mapping[str, object]
) -> tuple[dict[str, object], tuple[LeftOut, ...]]:
    """The values with the patches in place, and those that were left out."""
    changed = copy.deepcopy(dict(values))
    left_out: list[LeftOut] = []
    for path, value in _single(schema, patches):
        target = locate(schema, path)
        if isinstance(target, Mapping) and schemas.properties(target) and not (value is UNDEFINED and _is_member(path)):
            reason = "" if value == {} else GROUP
        else:
            reason = (
                target if isinstance(target, str) else _put(changed, schema, path, _brought(target, value), context)
            )
        if reason:
            left_out.append(LeftOut(paths.label(path), reason))
    return changed, tuple(left_out)


def locate(schema: Schema, path: paths.Path) -> Schema | str | None:
    """The schema of what is at the path; None inside a free block; a reason where nothing may be set there."""
    here: Schema = schema
    for step in path:
        own, member = schemas.properties(here), schemas.items(here)
        if isinstance(step, str) and step in own:
            here = own[step]
        elif isinstance(step, int) and member is not None:
            here = member
        elif is_free(here):
            return None
        else:
            return UNKNOWN
        if schemas.is_hidden(here):
            return HIDDEN
        if schemas.is_readonly(here):
            return READONLY
    return here


def is_free(schema: Schema) -> bool:
    """Whether anything may be inside: an object without properties, a list without a schema of its members."""
    kind = schema["type"]
    return (kind == "object" and not schemas.properties(schema)) or (kind == "array" and schemas.items(schema) is None)


def flatten(values: Mapping[str, object], path: paths.Path = ()) -> Iterator[Patch]:
    """Nested values one by one; lists whole."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value and len(path) < paths.MAX_STEPS:
            yield from flatten(value, (*path, key))
        else:
            yield (*path, key), value


def nest(patches: Iterable[Patch]) -> dict[str, object]:
    """The patches as nested values, whose paths hold no index; what is taken away is null, which Helm takes as that."""
    nested: dict[str, object] = {}
    for path, value in patches:
        here = nested
        for step in path[:-1]:
            here = cast("dict[str, object]", here.setdefault(str(step), {}))
        here[str(path[-1])] = None if value is UNDEFINED else value
    return nested


def differences(before: Mapping[str, object], after: Mapping[str, object], path: paths.Path = ()) -> Iterator[Patch]:
    """What turns `before` into `after`; lists whole."""
    for key, value in after.items():
        old = before.get(key, UNDEFINED)
        if isinstance(old, Mapping) and isinstance(value, Mapping) and value:
            yield from differences(old, value, (*path, key))
        elif old != value or isinstance(old, bool) != isinstance(value, bool):
            yield (*path, key), value
    for key in before:
        if key not in after:
            yield (*path, key), UNDEFINED


def leaves(patch: Patch, before: Value = UNDEFINED) -> Iterator[Patch]:
    """A patch of a list or an object as patches of plain values: what a launch link can say."""
    path, value = patch
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from leaves(
                ((*path, key), item), before.get(key, UNDEFINED) if isinstance(before, Mapping) else UNDEFINED
            )
    elif isinstance(value, list):
        old = before if isinstance(before, list) else []
        for index, item in enumerate(value):
            yield from leaves(((*path, index), item), old[index] if index < len(old) else UNDEFINED)
        for index in reversed(range(len(value), len(old))):
            yield (*path, index), UNDEFINED
    elif before is UNDEFINED or before != value:
        yield path, value


def parse_setting(text: str) -> Patch:
    """`resources.limits.memory=2Gi`, as `--set` writes it; the value as YAML reads it. Invalid where it is not that."""
    name, equals, value = text.partition("=")
    path = paths.parse(name)
    if path is None or not equals or len(text) > MAX_SETTING:
        raise errors.ValuesInvalid({name[:100] or "--set": "is not written as `path.to.value=value`"})
    try:
        return path, yamls.load(value) if value else ""
    except yamls.Malformed as error:
        raise errors.ValuesInvalid({paths.label(path): f"{error.message}; quote it"}) from error


def for_helm(schema: Schema, file: Mapping[str, object], values: Mapping[str, object]) -> dict[str, object]:
    """The values as Helm must be given them: it merges values.yaml underneath, so what a person took out of a free block is null."""
    given = dict(values)
    own = schemas.properties(schema)
    for key, default in file.items():
        here = given.get(key, UNDEFINED)
        if isinstance(here, Mapping) and isinstance(default, Mapping):
            given[key] = for_helm(own.get(key, schema), default, here)
        elif here is UNDEFINED and is_free(schema):
            given[key] = None
    return given


def _single(schema: Schema, patches: Iterable[Patch]) -> Iterator[Patch]:
    """Patches of groups as patches of what is in them; free blocks stay whole."""
    for path, value in patches:
        target = locate(schema, path)
        if isinstance(value, Mapping) and isinstance(target, Mapping) and schemas.properties(target):
            yield from flatten(value, path)
        else:
            yield path, value


def _is_member(path: paths.Path) -> bool:
    return isinstance(path[-1], int)


def _brought(schema: Schema | None, value: Value) -> Value:
    """To the property's type where it does not fit as it is."""
    if schema is None or value is UNDEFINED or isinstance(value, Mapping | list):
        return value
    coerced = defaults.coerce(schema, value)
    return value if coerced is UNDEFINED else coerced


def _put(
    values: dict[str, object], schema: Schema, path: paths.Path, value: Value, context: Mapping[str, object]
) -> str:
    """Set the value at the path; a reason where that cannot be."""
    here: object = values
    inner: Schema | None = schema
    for step, following in zip(path, (*path[1:], None), strict=True):
        inner = _inner(inner, step)
        if isinstance(here, dict) and isinstance(step, str):
            if following is None:
                return _set_key(here, step, value)
            if not isinstance(here.get(step), dict | list):
                here[step] = [] if isinstance(following, int) else {}
            here = here[step]
        elif isinstance(here, list) and isinstance(step, int):
            if step > len(here) or step >= checks.MAX_ITEMS:
                return FAR
            if following is None:
                return _set_index(here, step, value)
            if step == len(here):
                here.append(_new_member(inner, context, following))
            here = here[step]
        else:
            return UNKNOWN
    return UNKNOWN


def _inner(schema: Schema | None, step: str | int) -> Schema | None:
    if schema is None:
        return None
    return schemas.properties(schema).get(step) if isinstance(step, str) else schemas.items(schema)


def _new_member(schema: Schema | None, context: Mapping[str, object], following: str | int) -> object:
    if schema is not None:
        try:
            return copy.deepcopy(defaults.member(schema, context))
        except errors.ChartBroken:
            return {}
    return [] if isinstance(following, int) else {}


def _set_key(here: dict[str, object], key: str, value: Value) -> str:
    if value is UNDEFINED:
        here.pop(key, None)
    else:
        here[key] = value
    return ""


def _set_index(here: list[object], index: int, value: Value) -> str:
    if value is UNDEFINED:
        del here[index : index + 1]
    elif index == len(here):
        here.append(value)
    else:
        here[index] = value
    return ""
