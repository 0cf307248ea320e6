"""A wrong value is named by its path, in a sentence that says what would be right and never what was given."""

import time
from typing import Any

import pytest

from etabli.catalog import checks, schemas


def problems(schema: dict[str, object], value: Any) -> dict[str, str]:
    """Of one property `p`."""
    whole = schemas._shape({"type": "object", "properties": {"p": schema}}, ())
    return checks.problems(whole, {"p": value})


CPU = {"type": "string", "sliderMin": 50, "sliderMax": 4000, "sliderStep": 50, "sliderUnit": "m"}
MEMORY = {"type": "string", "sliderMin": 0.5, "sliderMax": 16, "sliderUnit": "Gi"}
TEXT = {"type": "string"}


@pytest.mark.parametrize(
    ("schema", "value", "sentence"),
    [
        (CPU, "4500m", "must be at most 4 cores"),
        (CPU, "10m", "must be at least 0.05 cores"),
        (CPU, "2", "must be a number followed by `m`"),
        (CPU, "-m", "must be a number followed by `m`"),
        (MEMORY, "100Gi", "must be at most 16 GiB"),
        ({"type": "number", "sliderMin": 0, "sliderMax": 1}, 2, "must be at most 1"),
        (TEXT, 1, "must be text"),
        (TEXT, None, "must be text"),
        ({"type": "integer"}, 1.5, "must be a whole number"),
        ({"type": "integer"}, True, "must be a whole number"),
        ({"type": "boolean"}, 1, "must be yes or no"),
        ({"type": "object"}, [], "must be a set of values"),
        ({"type": "array"}, {}, "must be a list"),
        ({"type": "integer", "minimum": 3}, 2, "must be at least 3"),
        ({"type": "integer", "maximum": 3}, 4, "must be at most 3"),
        ({"type": "string", "enum": ["a", "b"]}, "c", "must be one of `a`, `b`"),
        ({"const": 1}, True, "may not be changed"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "A", "must match `^[a-z]+$`"),
        ({"type": "array", "maxItems": 1}, [1, 2], "must have at most 1"),
        ({"type": "array", "minItems": 1}, [], "must have at least 1"),
        (TEXT, "x" * 10_000, "must have at most 8,192 characters"),
        (TEXT, "a\x00b", "must not hold control characters"),
        (TEXT, "a\x1b[31m", "must not hold control characters"),
        (TEXT, "\ud800", "must not hold control characters"),
        ({"type": "string", "pattern": "^a"}, "\ud800", "must not hold control characters"),
        ({"type": "array", "uniqueItems": True}, [1, 1], "does not fit the chart's schema (`uniqueItems`)"),
    ],
)
def test_a_wrong_value_is_named_with_what_would_be_right(schema: dict[str, object], value: Any, sentence: str) -> None:
    assert problems(schema, value) == {"p": sentence}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (CPU, "1550m"),
        (MEMORY, "1.5Gi"),
        (TEXT, 'l\'été "ça" «va» 🚀\n\ttab'),
        ({"type": "string", "render": "textArea"}, "x" * 10_000),
        ({"type": "integer"}, 2.0),
        ({"type": "string", "listEnum": ["a"]}, "another"),
        ({"type": "string", "pattern": "(?=lookahead)"}, "RE2 cannot read it"),
        ({"type": "object"}, {"any": {"thing": [1, None]}}),
    ],
)
def test_a_right_value_has_no_problem(schema: dict[str, object], value: Any) -> None:
    assert problems(schema, value) == {}


def test_names_lead_into_lists_and_objects() -> None:
    schema = {"type": "array", "items": {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}}
    assert problems(schema, [{"name": "a"}, {"name": 1}, {}]) == {
        "p[1].name": "must be text",
        "p[2].name": "is missing",
    }


def test_what_a_closed_object_does_not_know_is_named() -> None:
    schema = {"type": "object", "properties": {"a": TEXT}, "additionalProperties": False}
    assert problems(schema, {"a": "", "b": 1}) == {"p.b": "is nothing that this chart knows"}


def test_the_lower_half_of_a_range_stays_below_the_upper() -> None:
    half = {**CPU, "sliderRangeId": "cpu"}
    schema = {
        "type": "object",
        "properties": {
            "requests": {"type": "object", "properties": {"cpu": {**half, "sliderExtremity": "down"}}},
            "limits": {"type": "object", "properties": {"cpu": {**half, "sliderExtremity": "up"}}},
        },
    }
    found = checks.problems(schema, {"requests": {"cpu": "3000m"}, "limits": {"cpu": "1000m"}})
    assert found == {"requests.cpu": "must be at most 1 cores, what `limits.cpu` is"}


def test_a_secret_value_is_in_no_sentence() -> None:
    for schema in ({"type": "integer"}, {"type": "string", "enum": ["a"]}, {"type": "string", "pattern": "^a$"}):
        assert "hunter2" not in str(problems(schema, "hunter2"))


def test_a_pattern_made_to_stall_does_not() -> None:
    started = time.monotonic()
    problems({"type": "string", "pattern": "^(a+)+$"}, "a" * 8_000 + "!")
    assert time.monotonic() - started < 5


def test_at_most_some_problems_are_told() -> None:
    schema = {"type": "array", "items": {"type": "integer"}}
    assert len(problems(schema, ["x"] * 400)) == checks.MAX_PROBLEMS
