"""Whether a value fits its schema, said in sentences that finish "`resources.limits.cpu` …".

What a form promises beside its fields is checked here, sliders included. What is left of JSON Schema (`uniqueItems`, `anyOf`…) is left
to `jsonschema`, of the draft that the schema declares, else 7. Sentences never hold the value: it may be a secret.

Patterns are a chart author's and values are anybody's: they meet in RE2, which never backtracks and is what Helm understands.
"""

import functools
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jsonschema
import re2  # type: ignore[import-untyped] # google-re2 has no types.

from etabli.catalog import paths, schemas, sliders
from etabli.catalog.schemas import Schema

MAX_TEXT = 8_192  # Characters of a line of text.
MAX_LONG_TEXT = 65_536  # Of a text area.
MAX_ITEMS = 500
MAX_PROBLEMS = 50
MAX_PATTERN = 1_000
PATTERN_MEMORY = 1024 * 1024  # Bytes for one compiled pattern.

Problem = tuple[paths.Path, str]

# All but tab and line feed; halves of UTF-16 pairs are no characters.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_ARTICLES = {
    "object": "a set of values",
    "array": "a list",
    "string": "text",
    "boolean": "yes or no",
    "integer": "a whole number",
    "number": "a number",
}


def problems(schema: Schema, values: object) -> dict[str, str]:
    """What is wrong, by dotted name; empty where all is well. At most MAX_PROBLEMS."""
    found: dict[str, str] = {}
    for path, sentence in itertools.islice(
        itertools.chain(_value(schema, values, ()), _ranges(schema, values), _rest(schema, values)), MAX_PROBLEMS
    ):
        found.setdefault(paths.label(path) or "values", sentence)
    return found


def fits(schema: Schema, value: object) -> bool:
    """Whether a default may stand: all of the above, and only what `listEnum` suggests."""
    suggested = schema.get("listEnum")
    if isinstance(suggested, list) and suggested and value not in suggested:
        return False
    return next(_value(schema, value, ()), None) is None


def _value(schema: Schema, value: object, path: paths.Path) -> Iterator[Problem]:
    if "const" in schema:
        if not _same(value, schema["const"]):
            yield path, "may not be changed"
        return
    kind = str(schema["type"])
    if not _is_a(kind, value):
        yield path, f"must be {_ARTICLES[kind]}"
        return
    options = schema.get("enum")
    if isinstance(options, list) and not any(_same(value, option) for option in options):
        shown = ", ".join(f"`{str(option)[:40]}`" for option in options[:10])
        yield path, f"must be one of {shown}"
        return
    yield from _CHECKS[kind](schema, value, path)


def _object(schema: Schema, value: Any, path: paths.Path) -> Iterator[Problem]:
    properties = schemas.properties(schema)
    required = schema.get("required")
    for name in required if isinstance(required, list) else []:
        if name not in value:
            yield (*path, str(name)), "is missing"
    extra = schema.get("additionalProperties")
    for key, item in value.items():
        if key in properties:
            yield from _value(properties[key], item, (*path, key))
        elif extra is False and "patternProperties" not in schema:
            yield (*path, key), "is nothing that this chart knows"
        elif isinstance(extra, Mapping) and "type" in extra:
            yield from _value(extra, item, (*path, key))
        else:
            yield from _free(item, (*path, key))


def _array(schema: Schema, value: Any, path: paths.Path) -> Iterator[Problem]:
    least, most = schema.get("minItems"), schema.get("maxItems")
    if isinstance(least, int) and len(value) < least:
        yield path, f"must have at least {least}"
    most = min(most, MAX_ITEMS) if isinstance(most, int) else MAX_ITEMS
    if len(value) > most:
        yield path, f"must have at most {most}"
        return
    member = schemas.items(schema)
    for index, item in enumerate(value):
        yield from _value(member, item, (*path, index)) if member else _free(item, (*path, index))


def _string(schema: Schema, value: Any, path: paths.Path) -> Iterator[Problem]:
    longest = MAX_LONG_TEXT if schema.get("render") == "textArea" else MAX_TEXT
    unreadable = next(_text(value, path, longest), None)
    if unreadable is not None:
        yield unreadable
        return
    pattern = schema.get("pattern")
    if isinstance(pattern, str) and not _matches(pattern, value):
        yield path, f"must match `{pattern[:120]}`"
    if sliders.is_slider(schema):
        sentence = sliders.problem(schema, value)
        if sentence:
            yield path, sentence


def _number(schema: Schema, value: Any, path: paths.Path) -> Iterator[Problem]:
    for keyword, words, beyond in (("minimum", "at least", value.__lt__), ("maximum", "at most", value.__gt__)):
        limit = schema.get(keyword)
        if isinstance(limit, int | float) and beyond(limit) is True:
            yield path, f"must be {words} {limit:g}"
    if sliders.is_slider(schema):
        sentence = sliders.problem(schema, value)
        if sentence:
            yield path, sentence


def _boolean(_schema: Schema, _value_: Any, _path: paths.Path) -> Iterator[Problem]:
    yield from ()


_CHECKS: dict[str, Callable[[Schema, Any, paths.Path], Iterator[Problem]]] = {
    "object": _object,
    "array": _array,
    "string": _string,
    "boolean": _boolean,
    "integer": _number,
    "number": _number,
}


def _free(value: object, path: paths.Path) -> Iterator[Problem]:
    """Inside a free block: only that text is text."""
    if isinstance(value, str):
        yield from _text(value, path, MAX_LONG_TEXT)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _free(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _free(item, (*path, index))


def _text(value: str, path: paths.Path, longest: int) -> Iterator[Problem]:
    if len(value) > longest:
        yield path, f"must have at most {longest:,} characters"
    elif _CONTROL.search(value):
        yield path, "must not hold control characters"


def _matches(pattern: str, value: str) -> bool:
    """Whether the pattern is somewhere in the value, as JSON Schema asks. A pattern that RE2 cannot read matches all."""
    compiled = _compiled(pattern)
    return compiled is None or compiled.search(value) is not None


@functools.lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    if len(pattern) > MAX_PATTERN:
        return None
    options = re2.Options()
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    try:
        return re2.compile(pattern, options=options)
    except re2.error:
        return None


def _is_a(kind: str, value: object) -> bool:
    if kind == "integer":
        return (isinstance(value, int) and not isinstance(value, bool)) or (
            isinstance(value, float) and value.is_integer()
        )
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    return schemas.type_of(value) == kind


def _same(one: object, other: object) -> bool:
    """Equality as JSON has it: `true` is not 1."""
    return one == other and isinstance(one, bool) == isinstance(other, bool)


def _ranges(schema: Schema, values: object) -> Iterator[Problem]:
    """Where the lower half of a range slider is above its upper half."""
    lows: dict[str, tuple[paths.Path, float, Schema]] = {}
    highs: dict[str, tuple[paths.Path, float, Schema]] = {}
    for path, half, value in sliders.halves(schema, values, ()):
        amount = sliders.amount(half, value)
        side = lows if half.get("sliderExtremity") == "down" else highs
        if amount is not None:
            side[str(half.get("sliderRangeId"))] = (path, amount, half)
    for name, (path, low, half) in lows.items():
        if name in highs and low > highs[name][1]:
            yield (
                path,
                f"must be at most {sliders.words(half, highs[name][1])}, what `{paths.label(highs[name][0])}` is",
            )


def _ignored(*_arguments: object) -> Iterator[jsonschema.ValidationError]:
    yield from ()


def _rest(schema: Schema, values: object) -> Iterator[Problem]:
    """What `jsonschema` finds; our own sentences came first and keep their place."""
    draft = jsonschema.validators.validator_for(schema, default=jsonschema.Draft7Validator)
    # Patterns would backtrack in Python's `re`, where a chart's author could stall the lab; they are checked above.
    ours = {"pattern": _ignored, "patternProperties": _ignored, "additionalProperties": _ignored}
    extended = jsonschema.validators.extend(draft, ours)  # type: ignore[no-untyped-call] # Its types stop here.
    validator = extended(schema)
    for error in validator.iter_errors(values):
        path = tuple(error.absolute_path)
        if error.validator == "required":
            continue  # Said above, with the name of what is missing.
        yield path, f"does not fit the chart's schema (`{error.validator}`)"
