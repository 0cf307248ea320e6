"""From the schema that an author wrote to the one that a form is made of.

`$ref` is looked up in the document itself (`#/definitions/…`) or, under any other name, in the lab's registry, and the result takes
its place. `x-onyxia.overwriteSchemaWith` replaces a whole property by the schema of that name where the registry has one, and changes
nothing where it has not. The registry is folders of JSON files; a role's folder stands before the administrator's, which stands
before the lab's.

Refused, as ChartBroken with the place named: references that lead nowhere or back to themselves, schemas too large, too deep or no
JSON Schema, and properties that no form could show (no type, or several).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

import jsonschema

from etabli.catalog import errors, paths

Schema = Mapping[str, object]

MAX_DEPTH = 40
MAX_NODES = 10_000  # The largest known schema (vscode-python 2.6) has about 700.
MAX_FILE = 1024 * 1024

TYPES = frozenset({"object", "array", "string", "boolean", "integer", "number"})
EXTENSION = "x-onyxia"
TRANSLATIONS = "x-etabli"  # Ours: titles and descriptions by language; others pass it over.
_DATA_KEYS = frozenset(
    {"enum", "const", "default", "examples", "listEnum", EXTENSION, TRANSLATIONS, "hidden"}
)  # Values, not schemas.
_REFERENCE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*){0,4}")


class Registry:
    """Schemas by name (`ide/resources.json`), from up to three folders."""

    def __init__(self, bundled: Path, *, external: Path | None = None, roles: Path | None = None) -> None:
        self._bundled = bundled
        self._external = external
        self._roles = roles

    def find(self, name: str, roles: Sequence[str] = ()) -> Schema | None:
        """The schema of that name for who has these roles, first role first; None where there is none."""
        if not _REFERENCE.fullmatch(name):
            return None
        for folder in self._folders(roles):
            path = folder / name
            if path.is_file():
                return _read(path, name)
        return None

    def _folders(self, roles: Sequence[str]) -> Iterator[Path]:
        if self._roles is not None:
            yield from (self._roles / role for role in roles if _REFERENCE.fullmatch(role) and "/" not in role)
        if self._external is not None:
            yield self._external
        yield self._bundled


def resolve(schema: Schema, registry: Registry, roles: Sequence[str] = ()) -> Schema:
    """The schema with every reference and replacement in place, and every property of a shape that a form can show."""
    resolved = _Resolver(registry, roles).visit(schema, schema, ())
    whole = {key: value for key, value in resolved.items() if key not in {"definitions", "$defs"}}
    shaped = _shape({"type": "object", **whole}, ())
    if shaped["type"] != "object":
        raise errors.ChartBroken("its schema is not one of an object", hint="values are an object: start from there")
    _check_sound(shaped)
    return shaped


def of_values(values: Mapping[str, object]) -> Schema:
    """A schema for a chart that has none: one property for each value, its type told from the value."""
    properties = {key: _guess(value) for key, value in values.items() if value is not None}
    return {"type": "object", "properties": properties}


def properties(schema: Schema) -> Mapping[str, Schema]:
    """The properties of an object's schema; empty where it names none."""
    return cast("Mapping[str, Schema]", schema.get("properties") or {})


def items(schema: Schema) -> Schema | None:
    """The schema of an array's members, where it says one."""
    found = schema.get("items")
    return found if isinstance(found, Mapping) else None


def extension(schema: Schema) -> Mapping[str, object]:
    """What `x-onyxia` says; empty where nothing."""
    found = schema.get(EXTENSION)
    return found if isinstance(found, Mapping) else {}


def is_hidden(schema: Schema) -> bool:
    """Whether it is never shown."""
    return schema.get("hidden") is True or extension(schema).get("hidden") is True


def is_readonly(schema: Schema) -> bool:
    """Whether it is shown and may not be changed."""
    return "const" in schema or extension(schema).get("readonly") is True


class _Resolver:
    def __init__(self, registry: Registry, roles: Sequence[str]) -> None:
        self._registry = registry
        self._roles = roles
        self._nodes = 0

    def visit(self, node: Schema, root: Schema, trail: tuple[str, ...], depth: int = 0) -> dict[str, object]:
        self._nodes += 1
        if self._nodes > MAX_NODES or depth > MAX_DEPTH:
            raise errors.ChartBroken("its schema is too large or too deep", hint="make it smaller")
        if "$dynamicRef" in node or "$recursiveRef" in node:
            raise errors.ChartBroken("its schema has references that move", hint="use `$ref`")
        reference = node.get("$ref")
        if isinstance(reference, str):
            target, target_root = self._target(reference, root)
            return self.visit(target, target_root, _step(trail, f"{id(target_root)}{reference}", reference), depth + 1)
        name = extension(node).get("overwriteSchemaWith")
        if isinstance(name, str) and name not in trail:
            replacement = self._registry.find(name, self._roles)
            if replacement is not None:
                return self.visit(replacement, replacement, (*trail, name), depth + 1)
        return {key: self._inside(key, value, root, trail, depth) for key, value in node.items()}

    def _inside(self, key: str, value: object, root: Schema, trail: tuple[str, ...], depth: int) -> object:
        if key in _DATA_KEYS:
            return value
        if isinstance(value, Mapping):
            if key in {"properties", "definitions", "$defs", "patternProperties", "dependencies"}:
                return {name: self._inside("", item, root, trail, depth) for name, item in value.items()}
            return self.visit(value, root, trail, depth + 1)
        if isinstance(value, list):
            return [self._inside("", item, root, trail, depth + 1) for item in value]
        return value

    def _target(self, reference: str, root: Schema) -> tuple[Schema, Schema]:
        if reference.startswith("#"):
            target: object = root
            for step in reference[1:].strip("/").split("/"):
                step = step.replace("~1", "/").replace("~0", "~")
                target = target.get(step) if isinstance(target, Mapping) and step else target if not step else None
            if isinstance(target, Mapping):
                return target, root
        elif (found := self._registry.find(reference, self._roles)) is not None:
            return found, found
        raise errors.ChartBroken(
            f"its schema refers to `{reference[:100]}`, which is nowhere", hint="correct the reference"
        )


def _step(trail: tuple[str, ...], key: str, shown: str) -> tuple[str, ...]:
    if key in trail:
        raise errors.ChartBroken(f"its schema's `{shown[:100]}` leads back to itself", hint="a form cannot be endless")
    return (*trail, key)


def _shape(schema: dict[str, object], path: paths.Path) -> Schema:
    """The schema with a single known `type` everywhere; ChartBroken names the property that has none."""
    kind = schema.get("type") or _implied_type(schema)
    if not isinstance(kind, str) or kind not in TYPES:
        where = paths.label(path) or "the root"
        raise errors.ChartBroken(
            f"its schema gives `{where}` no type that a form can show", hint="give each property one `type`"
        )
    shaped = {**schema, "type": kind}
    if isinstance(schema.get("properties"), Mapping):
        own = cast("Mapping[str, object]", schema["properties"])
        shaped["properties"] = {
            key: _shape(dict(value), (*path, key)) for key, value in own.items() if isinstance(value, Mapping)
        }
    if isinstance(schema.get("items"), Mapping):
        shaped["items"] = _shape(dict(cast("Schema", schema["items"])), (*path, 0))
    return shaped


def _implied_type(schema: Schema) -> object:
    if "properties" in schema:
        return "object"
    if "items" in schema:
        return "array"
    options = schema.get("enum")
    sample = schema["const"] if "const" in schema else options[0] if isinstance(options, list) and options else None
    return type_of(sample)


def _check_sound(schema: Schema) -> None:
    """ChartBroken where it is no JSON Schema: what checks values by it would fail in ways that name nobody."""
    draft = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
    try:
        draft.check_schema(dict(schema), format_checker=None)  # type: ignore[call-arg] # The protocol lags behind.
    except jsonschema.SchemaError as error:
        where = "/".join(str(step) for step in error.absolute_path)[:200]
        raise errors.ChartBroken(f"its schema is no JSON Schema at `{where}`", hint="correct it") from error


def type_of(value: object) -> str | None:
    """JSON Schema's word for the type of a value; None for null."""
    if isinstance(value, bool):
        return "boolean"
    for python, name in ((str, "string"), (int, "integer"), (float, "number"), (Mapping, "object"), (list, "array")):
        if isinstance(value, python):
            return name
    return None


def _guess(value: object) -> Schema:
    kind = type_of(value)
    return {"type": "number" if kind == "integer" else kind or "string"}


def _read(path: Path, name: str) -> Schema:
    if path.stat().st_size > MAX_FILE:
        raise errors.ChartBroken(f"the lab's schema `{name}` is too large", hint="tell the lab's administrator")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError, OSError) as error:
        raise errors.ChartBroken(
            f"the lab's schema `{name}` is not JSON", hint="tell the lab's administrator"
        ) from error
    if not isinstance(content, Mapping):
        raise errors.ChartBroken(f"the lab's schema `{name}` is not an object", hint="tell the lab's administrator")
    return content
