"""Settings of the command line, differences, and what Helm is given."""

import pytest

from etabli.catalog import errors, patches, schemas
from etabli.catalog.expressions import UNDEFINED


@pytest.mark.parametrize(
    ("text", "patch"),
    [
        ("resources.limits.memory=2Gi", (("resources", "limits", "memory"), "2Gi")),
        ("git.enabled=false", (("git", "enabled"), False)),
        ("replicas=3", (("replicas",), 3)),
        ("a.b='3'", (("a", "b"), "3")),
        ("a.b=", (("a", "b"), "")),
        ("a.b=x=y", (("a", "b"), "x=y")),
        ("a[0].b={c: 1}", (("a", 0, "b"), {"c": 1})),
    ],
)
def test_a_setting_is_a_path_and_a_yaml_value(text: str, patch: patches.Patch) -> None:
    assert patches.parse_setting(text) == patch


@pytest.mark.parametrize("text", ["novalue", "=x", "a..b=1", "a.b=[", "a.b=" + "x" * 200_000])
def test_a_setting_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(errors.ValuesInvalid):
        patches.parse_setting(text)


def test_differences_lead_from_one_to_the_other() -> None:
    before: dict[str, object] = {"a": {"b": 1, "c": {}, "gone": 1}, "l": [1], "t": True}
    after: dict[str, object] = {"a": {"b": 2, "c": {"d": 1}}, "l": [1, 2], "t": 1}
    found = list(patches.differences(before, after))
    assert found == [
        (("a", "b"), 2),
        (("a", "c", "d"), 1),
        (("a", "gone"), UNDEFINED),
        (("l",), [1, 2]),
        (("t",), 1),
    ]
    assert patches.nest(found) == {"a": {"b": 2, "c": {"d": 1}, "gone": None}, "l": [1, 2], "t": 1}


def test_helm_is_told_what_was_taken_out_of_free_blocks_alone() -> None:
    schema = schemas._shape(
        {
            "type": "object",
            "properties": {
                "free": {"type": "object"},
                "group": {"type": "object", "properties": {"a": {"type": "string"}}},
            },
        },
        (),
    )
    file: dict[str, object] = {"free": {"x": 1, "y": {"z": 1}}, "group": {"a": "", "more": 1}, "unknown": 1}
    given = patches.for_helm(schema, file, {"free": {"y": {}}, "group": {"a": "b"}})
    assert given == {"free": {"x": None, "y": {"z": None}}, "group": {"a": "b"}}
