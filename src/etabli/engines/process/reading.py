"""Reading manifests, which hold anything at all, with the path of each mistake at hand.

A `Node` is one mapping of a manifest and where it lies in it. Each reader answers a value of the type asked, a default where the key
is absent or null, and raises Invalid naming the path where it is something else.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from etabli.engines.process import tables
from etabli.kernel import errors, quantities

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")  # RFC 1123, as Kubernetes names pods and Services.
SUBDOMAIN = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
FILE_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
SHOWN = 60  # Characters of a wrong value that a message repeats.


@dataclass(frozen=True)
class Node:
    """One mapping of a manifest. `path` is empty for the object itself."""

    content: Mapping[str, object]
    path: str = ""

    def at(self, key: str) -> str:
        """The path of one of its keys."""
        return f"{self.path}.{key}" if self.path else key

    def check(self, place: str) -> "Node":
        """Refuse keys that the tables do not take at `place`."""
        tables.check(place, self.content, self.path)
        return self

    def has(self, key: str) -> bool:
        return self.content.get(key) is not None

    def text(self, key: str, default: str = "") -> str:
        value = self.content.get(key)
        if value is None:
            return default
        if isinstance(value, str) and "\0" not in value:
            return value
        raise wrong(self.at(key), type(value).__name__, "text without zero bytes")  # The value may be a secret.

    def name(self, key: str, pattern: re.Pattern[str] = LABEL) -> str:
        """A name that is there and follows `pattern`."""
        return check_name(self.text(key), self.at(key), pattern)

    def whole(self, key: str, default: int, *, least: int = 0, most: int = 2**31 - 1) -> int:
        value = self.content.get(key)
        if value is None:
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # What JSON made of a whole number.
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise wrong(self.at(key), value, f"a whole number from {least} to {most}")

    def quantity(self, key: str) -> float:
        """A quantity such as `500m` or `2Gi` that is there."""
        try:
            return quantities.parse(self.content.get(key))
        except errors.Invalid as error:
            raise wrong(self.at(key), self.content.get(key), "a quantity such as `500m` or `2Gi`") from error

    def flag(self, key: str) -> bool:
        value = self.content.get(key, False)
        if value is None or isinstance(value, bool):
            return bool(value)
        raise wrong(self.at(key), value, "true or false")

    def node(self, key: str) -> "Node":
        """The mapping at `key`; an empty one where there is none."""
        return as_node(self.content.get(key), self.at(key))

    def nodes(self, key: str) -> tuple["Node", ...]:
        """The mappings in the list at `key`."""
        return tuple(as_node(item, f"{self.at(key)}[{index}]") for index, item in enumerate(self._list(key)))

    def texts(self, key: str) -> tuple[str, ...]:
        items = self._list(key)
        for index, item in enumerate(items):
            if not isinstance(item, str) or "\0" in item:
                raise wrong(f"{self.at(key)}[{index}]", item, "text")
        return tuple(str(item) for item in items)

    def strings(self, key: str) -> Mapping[str, str]:
        """The mapping of texts at `key`: labels, a selector, a ConfigMap's data."""
        inner = self.node(key)
        return {name: inner.text(name) for name in inner.content}

    def _list(self, key: str) -> list[object]:
        value = self.content.get(key)
        if value is None:
            return []
        if isinstance(value, list | tuple):
            return list(value)
        raise wrong(self.at(key), value, "a list")


def as_node(value: object, path: str) -> Node:
    """`value` as a node; Invalid where it is no mapping of names."""
    if value is None:
        return Node({}, path)
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return Node(value, path)
    raise wrong(path or "manifest", value, "a mapping")


def check_name(text: str, path: str, pattern: re.Pattern[str] = LABEL) -> str:
    """`text` where it follows `pattern`, else Invalid."""
    if pattern.fullmatch(text):
        return text
    raise wrong(path, text, "a name of `[a-z0-9-]`" if pattern is LABEL else "a name")


def check_inner_path(text: str, path: str) -> str:
    """A path inside a volume: relative, and never out of it. Invalid else."""
    parts = text.split("/")
    if text and len(text) <= 4096 and "\0" not in text and not text.startswith("/") and ".." not in parts:
        return "/".join(part for part in parts if part not in ("", "."))
    raise wrong(path, text, "a relative path without `..`")


def wrong(path: str, value: object, wanted: str) -> errors.Invalid:
    """What is raised where `path` holds something else than it may."""
    shown = repr(value)
    shown = shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
    return errors.Invalid(
        f"`{path[:200]}` is not {wanted}: {shown}",
        hint="this is the chart's, or one of its values'",
        fields={path[:200]: f"must be {wanted}"},
    )
