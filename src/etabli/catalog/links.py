"""Launch links, read and written: what trainings and colleagues share (Onyxia web 5.5, launcher/route).

    ?name=…&version=…&shared=…&s3=…&autoLaunch=true&init.personalInit=«…»&resources.limits.memory=«2Gi»

A key with a dot is the path of a value; the rest are the link's own. A value is `true`, `false`, `null`, `-` (take the key away), a
number, or text between guillemets. The legacy `onyxia.friendlyName` is a name. What cannot be read is left out and told; nothing is
fatal: a link is pasted by people, and outlives the chart that it was made for.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from etabli.catalog import patches, paths
from etabli.catalog.expressions import UNDEFINED

MAX_QUERY = 64 * 1024  # Characters; browsers and proxies cut far below.
MAX_PATCHES = 500
LEGACY_NAME = "onyxia.friendlyName"
FOREIGN = "oidc-spa."  # A sign-on library's own parameters, which old links carry.

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?")
_SAFE = "-_.!~*'()"  # What JavaScript's encodeURIComponent leaves as it is.


@dataclass(frozen=True)
class Link:
    """What a launch link asks for."""

    name: str = ""  # The service's name for people; empty: not said.
    version: str | None = None
    shared: bool | None = None
    s3: str | None = None  # Which S3 profile.
    auto_launch: bool = False
    changes: tuple[patches.Patch, ...] = ()
    left_out: tuple[patches.LeftOut, ...] = ()


def parse(query: str) -> Link:
    """Read the part of an address after `?`, still encoded."""
    own: dict[str, str] = {}
    found: dict[paths.Path, patches.Value] = {}
    left_out: list[patches.LeftOut] = []
    for part in query[:MAX_QUERY].split("&")[: MAX_PATCHES + 20]:
        key, _, text = (unquote(piece) for piece in part.partition("="))
        if not key or key.startswith(FOREIGN):
            continue
        if key in _OWN or key == LEGACY_NAME:
            own[key] = _plain(text)
        elif "." not in key:
            left_out.append(patches.LeftOut(key[:100], "is nothing that a launch link says"))
        elif (path := paths.parse(key)) is None:
            left_out.append(patches.LeftOut(key[:100], "is not the path of a value"))
        else:
            try:
                found[path] = _value(text)
            except ValueError:
                left_out.append(patches.LeftOut(paths.label(path), "has text that is not between « and »"))
    return Link(
        name=own.get("name") or own.get(LEGACY_NAME, ""),
        version=own.get("version") or None,
        shared={"true": True, "false": False}.get(own.get("shared", "")),
        s3=own.get("s3") or None,
        auto_launch=own.get("autoLaunch") == "true",
        changes=tuple(found.items()),
        left_out=tuple(left_out),
    )


def write(link: Link) -> str:
    """The query of a link, encoded; `parse` reads it back."""
    own = [
        ("name", link.name or None),
        ("version", link.version),
        ("shared", None if link.shared is None else str(link.shared).lower()),
        ("s3", link.s3),
    ]
    parts = [f"{key}={_encode(text)}" for key, text in own if text is not None]
    parts += [f"{_encode(paths.name(path))}={_written(value)}" for path, value in _leaves(link.changes)]
    return "&".join([*parts, "autoLaunch=true"] if link.auto_launch else parts)


_OWN = frozenset({"name", "version", "shared", "s3", "autoLaunch"})


def _plain(text: str) -> str:
    """A link's own value; guillemets, which some links put there too, are taken away."""
    return text.removeprefix("«").removesuffix("»").strip()


def _value(text: str) -> patches.Value:
    if text in _WORDS:
        return _WORDS[text]
    if text.startswith("«") and text.endswith("»") and len(text) >= 2:
        return text[1:-1]
    number = _NUMBER.match(text)  # As JavaScript's parseFloat: what follows the digits is passed over.
    if number is None:
        raise ValueError(text)
    value = float(number.group())
    if value in (float("inf"), float("-inf")):
        raise ValueError(text)
    return int(value) if value.is_integer() else value


_WORDS: dict[str, patches.Value] = {"true": True, "false": False, "null": None, "-": UNDEFINED}


def _leaves(found: Iterable[patches.Patch]) -> Iterable[patches.Patch]:
    for patch in found:
        yield from patches.leaves(patch)


def _written(value: patches.Value) -> str:
    if value is UNDEFINED:
        return "-"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, int | float):
        return repr(value)
    return _encode(f"«{value}»")


def _encode(text: str) -> str:
    return quote(text, safe=_SAFE)
