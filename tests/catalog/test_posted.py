"""A posted form says what was changed, with types; what was tampered with is refused by its name."""

import pytest

from etabli.catalog import errors, patches, posted, schemas
from etabli.catalog.expressions import UNDEFINED

OFF = {"value": False, "path": "on", "isPathRelative": True}
SCHEMA = schemas._shape(
    {
        "type": "object",
        "properties": {
            "text": {"type": "string"},
            "group": {
                "type": "object",
                "properties": {
                    "on": {"type": "boolean"},
                    "count": {"type": "integer"},
                    "later": {"type": "string", "hidden": OFF},
                    "secret": {"type": "string", "x-onyxia": {"hidden": True}},
                    "fixed": {"type": "string", "x-onyxia": {"readonly": True}},
                    "constant": {"const": 1},
                    "memory": {"type": "string", "sliderMin": 1, "sliderMax": 8, "sliderUnit": "Gi"},
                },
            },
            "env": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "default": "N"},
                        "on": {"type": "boolean", "default": True},
                    },
                },
            },
            "block": {"type": "object"},
            "rows": {"type": "array"},
        },
    },
    (),
)
VALUES: dict[str, object] = {
    "text": "t",
    "group": {"on": True, "count": 1, "later": "", "secret": "s", "fixed": "f", "constant": 1, "memory": "2Gi"},
    "env": [{"name": "A", "on": True}, {"name": "B", "on": True}, {"name": "C", "on": False}],
    "block": {"a": 1},
    "rows": [],
}


def parse(*items: tuple[str, str]) -> dict[str, object]:
    return {patches.paths.name(path): value for path, value in posted.parse(SCHEMA, VALUES, items)}


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("text.", "new\r\nline", "new\nline"),
        ("group.on", "false", False),
        ("group.count", "12", 12),
        ("group.count", "1.5", 1.5),
        ("group.later", "é \"'<>", "é \"'<>"),
        ("group.memory", "4", "4Gi"),
        ("group.memory", "4Gi", "4Gi"),
        ("block.", "b: [1, yes]\nc: {}", {"b": [1, True], "c": {}}),
        ("block.", "", {}),
        ("rows.", "- a\n- b: 1", ["a", {"b": 1}]),
        ("env[1].name", "X", "X"),
    ],
)
def test_text_becomes_a_value_of_its_propertys_type(name: str, text: str, value: object) -> None:
    found = parse((name, text))
    assert found == {name: value}
    assert type(found[name]) is type(value)


def test_what_is_posted_unchanged_is_no_change() -> None:
    unchanged = [
        ("text.", "t"),
        ("group.on", "false"),
        ("group.on", "true"),
        ("group.count", "1"),
        ("group.fixed", "f"),
    ]
    assert parse(*unchanged, ("group.memory", "2"), ("block.", "a: 1"), ("group.constant", "1")) == {}


def test_a_pages_own_fields_are_passed_over() -> None:
    assert parse(("csrf", "x"), ("name", "my service"), ("version", "1.0.0")) == {}


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("group.secret", "stolen", "is not for people to set"),
        ("group.fixed", "changed", "may not be changed"),
        ("group.constant", "2", "may not be changed"),
        ("group.unknown", "x", "is nothing that this chart knows"),
        ("unknown.", "x", "is nothing that this chart knows"),
        ("block.deep", "x", "is nothing that this chart knows"),
        ("group.", "x", "is nothing that this chart knows"),
        ("group..on", "x", "is nothing that this chart knows"),
        ("env[]", "x", None),
        ("text[]", "0", "is nothing that this chart knows"),
        ("group.count", "many", "must be a number"),
        ("group.count", "nan", "must be a number"),
        ("group.count", "9" * 400, "must be a number"),
        ("group.on", "perhaps", "must be yes or no"),
        ("block.", "- a", "must be `key: value` lines"),
        ("rows.", "a: 1", "must be a list, each line after a dash"),
        ("block.", "a: [", "is not YAML"),
        ("block.", "a: &a [*a]", "has an alias"),
        ("block.", "a: " + "x" * 70_000, "must have at most"),
    ],
)
def test_a_form_that_is_wrong_or_tampered_with_is_refused_by_name(name: str, text: str, reason: str | None) -> None:
    if reason is None:
        assert parse((name, text)).keys() == {"env[0]", "env[1]", "env[2]"}  # No index is left: the list is emptied.
        return
    with pytest.raises(errors.ValuesInvalid) as caught:
        parse((name, text))
    ((field, sentence),) = caught.value.fields.items()
    assert field in {name, name.removesuffix(".")}
    assert sentence.startswith(reason)


def test_members_go_and_the_others_close_up() -> None:
    found = posted.parse(
        SCHEMA, VALUES, [("env[]", "0,2"), ("env[0].name", "A"), ("env[2].name", "Z"), ("env[2].on", "false")]
    )
    assert found == ((("env", 1), UNDEFINED), (("env", 1, "name"), "Z"))
    changed, left_out = patches.apply(SCHEMA, VALUES, found, {})
    assert changed["env"] == [{"name": "A", "on": True}, {"name": "Z", "on": False}]
    assert left_out == ()


def test_a_new_member_starts_from_its_defaults() -> None:
    found = posted.parse(SCHEMA, VALUES, [("env[]", "0,1,2,3"), ("env[3].name", "NEW")])
    changed, _ = patches.apply(SCHEMA, VALUES, found, {})
    assert changed["env"][3] == {"name": "NEW", "on": True}  # type: ignore[index]
