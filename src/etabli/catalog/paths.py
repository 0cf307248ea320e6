"""Paths of values, and their dotted names.

A path is a tuple of keys and indexes. Its name is how launch links, forms and errors write it: `resources.limits.memory`,
`extraEnvVars[0].name`; a dot inside a key is escaped as `\\.`; a key of the top level alone ends with a dot (`replicas.`), so that a
value's name always holds a dot or a bracket, and never collides with a page's own fields.
"""

from collections.abc import Mapping
from typing import TypeAlias, cast

from etabli.catalog.expressions import UNDEFINED, Missing

Path: TypeAlias = tuple[str | int, ...]

MAX_NAME = 500
MAX_STEPS = 32
MAX_INDEX = 999


def name(path: Path) -> str:
    """The dotted name of a path."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += ("." if text else "") + _escape(step)
    return text + "." if len(path) == 1 else text


def label(path: Path) -> str:
    """The name as errors show it: without the dot that ends a top level key."""
    return name(path).removesuffix(".") if len(path) == 1 else name(path)


def parse(text: str) -> Path | None:
    """The path that a name stands for; None where it is no name."""
    if not text or len(text) > MAX_NAME:
        return None
    steps: list[str | int] = []
    for part in _split(text.removesuffix(".") if not text.endswith("\\.") else text):
        steps_of_part = _part(part)
        if steps_of_part is None:
            return None
        steps.extend(steps_of_part)
    return tuple(steps) if steps and len(steps) <= MAX_STEPS and isinstance(steps[0], str) else None


def find(values: object, path: Path) -> object | Missing:
    """What is at the path in nested values; UNDEFINED where nothing is."""
    for step in path:
        if isinstance(values, Mapping) and step in values:
            values = values[cast("str", step)]
        elif isinstance(values, list) and isinstance(step, int) and step < len(values):
            values = values[step]
        else:
            return UNDEFINED
    return values


def _escape(key: str) -> str:
    return key.replace("\\", "\\\\").replace(".", "\\.").replace("[", "\\[").replace("]", "\\]")


def _split(text: str) -> list[str]:
    """At dots that are not escaped; escapes are kept."""
    parts, current, escaped = [], "", False
    for character in text:
        if escaped or character != ".":
            current += character
            escaped = not escaped and character == "\\"
            continue
        parts.append(current)
        current = ""
    return [*parts, current]


def _part(part: str) -> list[str | int] | None:
    """`key[0][1]` → key, 0, 1."""
    indexes: list[int] = []
    while part.endswith("]") and not part.endswith("\\]"):
        part, _, digits = part[:-1].rpartition("[")
        if not digits.isdecimal() or len(digits) > 3:
            return None
        indexes.insert(0, int(digits))
    key, escaped = "", False
    for character in part:
        if character == "\\" and not escaped:
            escaped = True
            continue
        if character in "[]" and not escaped:
            return None
        key += character
        escaped = False
    return [key, *indexes] if key and not escaped else None
