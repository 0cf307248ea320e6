"""The first source that speaks fills a property, in the order that charts rely on."""

from typing import Any

import pytest

from etabli.catalog import defaults, errors, schemas
from etabli.catalog.expressions import UNDEFINED

CONTEXT: dict[str, object] = {
    "git": {"name": "Ada", "port": "22", "flag": "yes"},
    "s3_array": [{"profileName": "default", "AWS_S3_ENDPOINT": "s3.lab"}, {"profileName": "x", "AWS_S3_ENDPOINT": "y"}],
}


def compute(schema: dict[str, object], value: object = UNDEFINED) -> Any:
    """The value of one property `p` of this schema, where values.yaml says `value`."""
    whole = schemas._shape({"type": "object", "properties": {"p": schema}}, ())
    return defaults.compute(whole, {} if value is UNDEFINED else {"p": value}, CONTEXT)["p"]


def overwriting(expression: object, **schema: object) -> dict[str, object]:
    return {**schema, "x-onyxia": {"overwriteDefaultWith": expression}}


@pytest.mark.parametrize(
    ("schema", "file", "value"),
    [
        ({"const": 1, "default": 2}, 3, 1),
        (overwriting("git.name", type="string", default="d"), "f", "Ada"),
        (overwriting("git.none", type="string", default="d"), "f", "d"),
        ({"type": "string"}, "f", "f"),
        ({"type": "string", "default": "f"}, UNDEFINED, "f"),
        (overwriting("git.port", type="integer"), 1, 22),
        (overwriting("git.port", type="string"), "1", "22"),
        (overwriting("git.flag", type="boolean"), False, True),
        (overwriting("git.name", type="integer", default=3), 1, 3),
        (overwriting("git.name", type="string", enum=["a"], default="a"), "a", "a"),
        (overwriting("git.name", type="string", pattern="^x"), "xf", "xf"),
        ({"type": "string", "default": "no", "pattern": "^x"}, "xf", "xf"),
        ({"type": "integer", "default": 1, "minimum": 5}, 6, 6),
        ({"type": "string", "default": "9Gi", "sliderMin": 1, "sliderMax": 5, "sliderUnit": "Gi"}, "2Gi", "2Gi"),
        ({"type": "string", "listEnum": ["a", "b"], "default": "z"}, "b", "b"),
        ({"type": "array", "items": {"type": "string"}}, UNDEFINED, []),
        ({"type": "array", "items": {"type": "string", "default": "m"}, "minItems": 2}, UNDEFINED, ["m", "m"]),
        (
            {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}, "default": {"a": "no"}},
            {},
            {"a": "x"},
        ),
        (overwriting({"a": "{{git.name}}"}, type="object", default={}), {}, {"a": "Ada"}),
        ({"type": "object", "default": {}}, {"free": [1]}, {}),
    ],
)
def test_the_first_source_that_speaks_wins(schema: dict[str, object], file: object, value: object) -> None:
    found = compute(schema, file)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [
        ("boolean", "true", True),
        ("boolean", "on", True),
        ("boolean", 1, True),
        ("boolean", "no", False),
        ("boolean", None, False),
        ("boolean", "maybe", UNDEFINED),
        ("integer", "12", 12),
        ("integer", "1.5", UNDEFINED),
        ("number", "1.5", 1.5),
        ("number", None, 0),
        ("number", "nan", UNDEFINED),
        ("integer", "infinity", UNDEFINED),
        ("string", 12, "12"),
        ("string", 1.0, "1"),
        ("string", True, "true"),
        ("string", None, ""),
        ("string", {"a": 1}, UNDEFINED),
    ],
)
def test_a_value_of_another_type_is_brought_to_its_own_where_that_is_reasonable(
    kind: str, given: object, value: object
) -> None:
    assert defaults.coerce({"type": kind}, given) == value


@pytest.mark.parametrize(
    ("given", "value"), [("2", "2000m"), (2, "2000m"), ("1.5", "1500m"), ("500m", "500m"), ("x", UNDEFINED)]
)
def test_a_quantity_is_said_in_the_unit_of_its_slider(given: object, value: object) -> None:
    schema = {"type": "string", "sliderMin": 50, "sliderMax": 4000, "sliderUnit": "m"}
    assert defaults.coerce(schema, given) == value


def test_objects_of_the_context_take_the_shape_of_the_charts_own_list() -> None:
    item = {
        "type": "object",
        "properties": {
            "profileName": {"type": "string"},
            "endpoint": overwriting("{{AWS_S3_ENDPOINT}}:443", type="string"),
            "kept": {"type": "boolean", "default": True},
        },
    }
    assert compute(overwriting("s3_array", type="array", items=item)) == [
        {"profileName": "default", "endpoint": "s3.lab:443", "kept": True},
        {"profileName": "x", "endpoint": "y:443", "kept": True},
    ]


def test_a_property_that_no_source_fills_breaks_the_chart_by_name() -> None:
    with pytest.raises(errors.ChartBroken, match="`p`"):
        compute({"type": "string"})


def test_a_values_file_that_does_not_fit_its_schema_breaks_the_chart_by_name() -> None:
    with pytest.raises(errors.ChartBroken, match=r"`p` in `values\.yaml`"):
        compute({"type": "integer"}, "many")
