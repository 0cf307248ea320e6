"""YAML that other people wrote, read as Helm reads it and never more than it is worth.

It promises plain data (mappings with text keys, lists, text, numbers, booleans, nothing): what JSON can say. Dates stay text, as in
Helm, which reads YAML through JSON (sigs.k8s.io/yaml). It refuses documents that are long, deep, or that aliases blow up ("billion
laughs"): the size with every alias written out is counted before anything is built.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from etabli.kernel import errors

MAX_CHARACTERS = 4 * 1024 * 1024
MAX_DEPTH = 64
MAX_NODES = 200_000  # With aliases written out. The largest known values.yaml has about 3,000.


class Malformed(errors.Refused):
    """Not YAML, or more of it than is accepted. The message never quotes the text: it may hold a secret."""


class _Loader(yaml.CSafeLoader):
    """Plain scalars as go-yaml 2 resolves them for Helm: YAML 1.1 booleans, no dates, no base 60."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML reads it from the class.


_NUMBER_STARTS = list("-+0123456789.")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,30}|0[0-7]{1,20}|0o[0-7]{1,20}|0x[0-9a-fA-F]{1,16}|0b[01]{1,64})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_BOOLEAN = re.compile(r"y|Y|n|N|yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF")


def _whole(pattern: re.Pattern[str]) -> re.Pattern[str]:
    return re.compile(rf"(?:{pattern.pattern})\Z")


_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", _whole(_BOOLEAN), list("yYnNtTfFoO"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", _whole(_INTEGER), _NUMBER_STARTS)
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _whole(_FLOAT), _NUMBER_STARTS)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile(r"<<\Z"), ["<"])
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"(?:~|null|Null|NULL|)\Z"), ["~", "n", "N", ""])


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).lower()
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text.lstrip("+"))
    for prefix, base in (("0x", 16), ("0b", 2), ("0o", 8)):
        if digits.startswith(prefix):
            return sign * int(digits[2:], base)
    return sign * (int(digits, 8) if digits.startswith("0") and len(digits) > 1 else int(digits))


def _construct_float(loader: _Loader, node: yaml.ScalarNode) -> float:
    return float(loader.construct_scalar(node))


def _construct_bool(loader: _Loader, node: yaml.ScalarNode) -> bool:
    return str(loader.construct_scalar(node)).lower() in {"y", "yes", "true", "on"}


_Loader.add_constructor("tag:yaml.org,2002:bool", _construct_bool)
_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_Loader.add_constructor("tag:yaml.org,2002:float", _construct_float)


def load(text: str | bytes, *, max_characters: int = MAX_CHARACTERS, max_nodes: int = MAX_NODES) -> object:
    """The one document of `text`; None where it is empty. Malformed, with the line, where it is not acceptable."""
    documents = list(load_all(text, max_characters=max_characters, max_nodes=max_nodes))
    if len(documents) > 1:
        raise Malformed("holds more than one YAML document", hint="keep one document per file")
    return documents[0] if documents else None


def load_all(
    text: str | bytes, *, max_characters: int = MAX_CHARACTERS, max_nodes: int = MAX_NODES
) -> Iterator[object]:
    """Every document of `text`, in order; Malformed where one is not acceptable."""
    source = text.decode("utf-8", errors="strict") if isinstance(text, bytes) and _is_utf8(text) else text
    if isinstance(source, bytes):
        raise Malformed("is not UTF-8 text", hint="save the file as UTF-8")
    if len(source) > max_characters:
        raise Malformed(f"is longer than {max_characters:,} characters", hint="make it shorter")
    try:
        _weigh(source, max_nodes)
        for document in yaml.load_all(source, Loader=_Loader):
            yield _as_json(document)
    except yaml.MarkedYAMLError as error:
        line = f" at line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise Malformed(f"is not YAML: {error.problem}{line}", hint="correct it") from error
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise Malformed("is not YAML that can be read", hint="correct it") from error


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _weigh(text: str, max_nodes: int) -> None:
    """Malformed where the documents are too deep or, aliases written out, too many nodes."""
    weights: dict[str, int] = {}
    open_nodes: list[list[Any]] = []  # [anchor, weight] of each collection that is not closed.
    total = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append([event.anchor, 1])
            if len(open_nodes) > MAX_DEPTH:
                raise Malformed(f"is nested deeper than {MAX_DEPTH} levels", hint="make it flatter")
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in weights:
                raise Malformed("has an alias that stands for itself or for nothing", hint="write the value out")
            weight, anchor = weights[event.anchor], None
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, weight = open_nodes.pop()
        elif isinstance(event, yaml.ScalarEvent):
            weight, anchor = 1, event.anchor
        else:
            continue
        if anchor:
            weights[anchor] = weight
        if open_nodes:
            open_nodes[-1][1] += weight
            heaviest = open_nodes[-1][1]
        else:
            total += weight
            heaviest = total
        if heaviest > max_nodes:
            raise Malformed(
                f"holds more than {max_nodes:,} values once aliases are written out", hint="make it smaller"
            )


def _as_json(value: object) -> object:
    """Keys as text, sets and tuples refused: what JSON can say."""
    if isinstance(value, dict):
        return {_key(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise Malformed("holds a number too large", hint="write it as text")
    if value is None or isinstance(value, str | int | float | bool):
        return value
    raise Malformed(f"holds a {type(value).__name__}, which values cannot be", hint="use plain values")


def _key(key: object) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if key is None or isinstance(key, str | int | float):
        return "null" if key is None else str(key)
    raise Malformed("has a key that is not text", hint="use text as keys")
