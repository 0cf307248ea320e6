"""Expressions of `x-onyxia`: what `overwriteDefaultWith` and `overwriteListEnumWith` may say.

As existing charts rely on it (Onyxia web 5.5, shared/resolveXOnyxiaValueReference.ts):

- a bare text at the top, `git.name`, is `{{git.name}}`; inside arrays and objects text without braces is itself;
- exactly `{{path}}` is the value with its type;
- mixed, `{{project.id}}-0.{{k8s.domain}}`, is text, where each part is text, a number or a boolean, else the whole is undefined;
- a path has dots, `[0]` and `["key.with.dot"]`;
- arrays and objects are resolved inside; one undefined member makes the whole undefined;
- there is no operator and no function. UNDEFINED lets the next source of a default speak.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Final, Literal, TypeAlias


class Undefined(Enum):
    """What is not there; not the same as `null`."""

    UNDEFINED = "undefined"


UNDEFINED: Final = Undefined.UNDEFINED
Missing: TypeAlias = Literal[Undefined.UNDEFINED]

MAX_DEPTH = 32
MAX_RESULT = 100_000  # Characters of one mixed text.

_BRACES = re.compile(r"\{\{([^{}]*)\}\}")
_STEP = re.compile(r"""\.?([^.\[\]"'\s]+)|\[(\d{1,6})\]|\["([^"\]]*)"\]|\['([^'\]]*)'\]""")


def resolve(expression: object, context: Mapping[str, object]) -> object | Missing:
    """What the expression stands for in this context, or UNDEFINED."""
    if isinstance(expression, str):
        return _lookup(expression, context) if "{{" not in expression else _text(expression, context)
    if isinstance(expression, list | Mapping):
        return _resolve_inside(expression, context, MAX_DEPTH)
    return UNDEFINED


def references(expression: object) -> Iterator[tuple[str | int, ...]]:
    """The paths of the context that the expression asks for."""
    if isinstance(expression, str):
        found = _BRACES.findall(expression) if "{{" in expression else [expression]
        yield from (path for text in found if (path := parse_path(text)))
    elif isinstance(expression, list):
        for item in expression:
            yield from _inner_references(item)
    elif isinstance(expression, Mapping):
        for item in expression.values():
            yield from _inner_references(item)


def parse_path(text: str) -> tuple[str | int, ...] | None:
    """`region.from[0]["a.b"]` → its steps; None where it is no path."""
    rest = text.strip()
    steps: list[str | int] = []
    while rest:
        found = _STEP.match(rest)
        if found is None or (rest.startswith(".") and not steps):
            return None
        key, index, double, single = found.groups()
        steps.append(int(index) if index is not None else next(k for k in (key, double, single) if k is not None))
        rest = rest[found.end() :]
    return tuple(steps) or None


def _inner_references(item: object) -> Iterator[tuple[str | int, ...]]:
    if not isinstance(item, str) or "{{" in item:
        yield from references(item)


def _resolve_inside(expression: object, context: Mapping[str, object], depth: int) -> object | Missing:
    if depth == 0:
        return UNDEFINED
    if isinstance(expression, str):
        return _text(expression, context) if "{{" in expression else expression
    if isinstance(expression, list):
        items = [_resolve_inside(item, context, depth - 1) for item in expression]
        return UNDEFINED if UNDEFINED in items else items
    if isinstance(expression, Mapping):
        members = {key: _resolve_inside(item, context, depth - 1) for key, item in expression.items()}
        return UNDEFINED if UNDEFINED in members.values() else members
    return expression


def _text(template: str, context: Mapping[str, object]) -> object | Missing:
    whole = _BRACES.fullmatch(template.strip())
    if whole is not None:
        return _lookup(whole.group(1), context)
    result = ""
    position = 0
    for found in _BRACES.finditer(template):
        part = _lookup(found.group(1), context)
        if not isinstance(part, str | int | float):
            return UNDEFINED
        result += template[position : found.start()] + _word(part)
        position = found.end()
        if len(result) > MAX_RESULT:
            return UNDEFINED
    return result + template[position:]


def _lookup(path: str, context: Mapping[str, object]) -> object | Missing:
    steps = parse_path(path)
    if steps is None:
        return UNDEFINED
    value: object = context
    for step in steps:
        if isinstance(value, Mapping) and str(step) in value:
            value = value[str(step)]
        elif isinstance(value, list | tuple) and isinstance(step, int) and step < len(value):
            value = value[step]
        else:
            return UNDEFINED
    return list(value) if isinstance(value, tuple) else value


def _word(value: str | int | float) -> str:
    """As JavaScript writes it in a template: `true`, `12`, `1.5`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)
