"""The values that a launch starts from: for each property, the first source that speaks.

The order is the one that existing charts rely on (Onyxia web 5.5, computeHelmValues): `const`; an object's own properties, whatever
the object's own default; `x-onyxia.overwriteDefaultWith`, brought to the property's type where that is reasonable; `default`;
values.yaml, which must fit; for a list nothing, or as many default members as it must have; else the chart is broken, with the
property named.
"""

from collections.abc import Mapping

from etabli.catalog import checks, errors, expressions, paths, schemas, sliders
from etabli.catalog.expressions import UNDEFINED, Missing
from etabli.catalog.schemas import Schema

Tree = Mapping[str, object]

TRUE_WORDS = frozenset({"true", "yes", "1", "on"})
FALSE_WORDS = frozenset({"false", "no", "0", "off"})


def compute(schema: Schema, values: Tree, context: Tree) -> dict[str, object]:
    """The values of a whole schema. ChartBroken names the property that no source can fill."""
    computed = _compute(schema, values, context, ())
    assert isinstance(computed, dict)  # The root of a schema is an object: schemas.resolve.
    return computed


def member(schema: Schema, context: Tree) -> object:
    """The value that a list's new member starts with. ChartBroken where its schema cannot say."""
    return _compute(schema, UNDEFINED, context, ())


def coerce(schema: Schema, value: object) -> object | Missing:
    """The value brought to the property's type where that is reasonable and then fits, else UNDEFINED."""
    if checks.fits(schema, value):
        return value
    kind = schema["type"]
    candidate: object | Missing = UNDEFINED
    if kind == "boolean":
        candidate = _boolean(value)
    elif kind in {"number", "integer"}:
        candidate = _number(value)
    elif kind == "string" and (value is None or isinstance(value, str | int | float)):
        candidate = "" if value is None else _word(value)
        if sliders.is_slider(schema) and (quantity := sliders.converted(schema, candidate)) is not None:
            candidate = quantity
    return candidate if candidate is not UNDEFINED and checks.fits(schema, candidate) else UNDEFINED


def _compute(schema: Schema, values: object | Missing, context: Tree, path: paths.Path) -> object:
    if "const" in schema:
        return schema["const"]
    own = schemas.properties(schema)
    if schema["type"] == "object" and own:
        inner = values if isinstance(values, Mapping) else {}
        return {key: _compute(item, inner.get(key, UNDEFINED), context, (*path, key)) for key, item in own.items()}
    found = _overwritten(schema, context)
    if found is UNDEFINED and "default" in schema and checks.fits(schema, schema["default"]):
        found = schema["default"]
    if found is UNDEFINED and values is not UNDEFINED:
        found = _from_file(schema, values, path)
    if found is UNDEFINED and schema["type"] == "array":
        found = _least_array(schema, context, path)
    if found is UNDEFINED:
        raise errors.ChartBroken(
            f"the chart says no value for `{paths.label(path)}`",
            hint="give it a `default`, or a value in `values.yaml`",
        )
    return found


def _overwritten(schema: Schema, context: Tree) -> object | Missing:
    expression = schemas.extension(schema).get("overwriteDefaultWith")
    if expression is None:
        return UNDEFINED
    value = expressions.resolve(expression, context)
    if value is UNDEFINED:
        return UNDEFINED
    if schema["type"] == "array" and isinstance(value, list):
        value = _mapped(schema, value)
    return UNDEFINED if value is UNDEFINED else coerce(schema, value)


def _mapped(schema: Schema, found: list[object]) -> object | Missing:
    """Each object of the context brought to the shape of the list's members, whose expressions see that object's own fields."""
    item = schemas.items(schema)
    if item is None or not schemas.properties(item) or not all(isinstance(each, Mapping) for each in found):
        return found
    item = _with_implicit_sources(item)
    try:
        return [_compute(item, UNDEFINED, each, ()) for each in found if isinstance(each, Mapping)]
    except errors.ChartBroken:
        return UNDEFINED


def _with_implicit_sources(item: Schema) -> Schema:
    """A member's property without an expression of its own takes the field of the same name."""
    own = {
        key: {
            **schema,
            schemas.EXTENSION: {"overwriteDefaultWith": f'{{{{["{key}"]}}}}', **schemas.extension(schema)},
        }
        for key, schema in schemas.properties(item).items()
    }
    return {**item, "properties": own}


def _from_file(schema: Schema, value: object, path: paths.Path) -> object:
    if checks.fits(schema, value):
        return value
    raise errors.ChartBroken(
        f"`{paths.label(path)}` in `values.yaml` does not fit the chart's own schema", hint="tell the chart's author"
    )


def _least_array(schema: Schema, context: Tree, path: paths.Path) -> object:
    least = schema.get("minItems")
    item = schemas.items(schema)
    if not isinstance(least, int) or least <= 0:
        return []
    if item is None or least > checks.MAX_ITEMS:
        return UNDEFINED
    return [_compute(item, UNDEFINED, context, (*path, index)) for index in range(least)]


def _boolean(value: object) -> bool | Missing:
    if value is None:
        return False
    word = str(value).strip().lower()
    return True if word in TRUE_WORDS else False if word in FALSE_WORDS else UNDEFINED


def _number(value: object) -> int | float | Missing:
    if value is None:
        return 0
    if not isinstance(value, str) or len(value) > 40:
        return UNDEFINED
    try:
        found = float(value)
    except ValueError:
        return UNDEFINED
    return UNDEFINED if found in (float("inf"), float("-inf")) or found != found else _whole(found)


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() else value


def _word(value: str | int | float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(_whole(value)) if isinstance(value, float) else str(value)
