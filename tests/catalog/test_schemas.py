"""References and replacements are put in place, in the order of who has the last word; what leads nowhere is named."""

import json
from pathlib import Path

import pytest

from etabli.catalog import errors, schemas, sliders

TEXT = {"type": "string", "default": ""}


def a_registry(folder: Path, **files: dict[str, object]) -> schemas.Registry:
    """A registry with files `bundled`, `external`, `roles/<role>`, given as `bundled__a` for `bundled/a.json`."""
    for key, schema in files.items():
        path = folder / (key.replace("__", "/") + ".json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(schema))
    return schemas.Registry(folder / "bundled", external=folder / "external", roles=folder / "roles")


def of(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


def test_a_reference_inside_the_document_takes_its_place(tmp_path: Path) -> None:
    schema = {**of(a={"$ref": "#/definitions/text"}), "definitions": {"text": TEXT}}
    assert schemas.resolve(schema, a_registry(tmp_path)) == of(a=TEXT)


def test_a_reference_to_the_registry_takes_its_place_with_its_own_definitions(tmp_path: Path) -> None:
    inner = {**of(b={"$ref": "#/definitions/t"}), "definitions": {"t": TEXT}}
    found = schemas.resolve(of(a={"$ref": "x/git.json"}), a_registry(tmp_path, bundled__x__git=inner))
    assert schemas.properties(found)["a"]["properties"] == {"b": TEXT}


@pytest.mark.parametrize(("roles", "title"), [(("admin", "other"), "role"), (("other",), "external"), ((), "external")])
def test_a_role_stands_before_the_administrator_who_stands_before_the_lab(
    tmp_path: Path, roles: tuple[str, ...], title: str
) -> None:
    registry = a_registry(
        tmp_path,
        bundled__r={**TEXT, "title": "bundled"},
        external__r={**TEXT, "title": "external"},
        roles__admin__r={**TEXT, "title": "role"},
    )
    schema = of(a={"type": "object", "title": "own", "x-onyxia": {"overwriteSchemaWith": "r.json"}})
    assert schemas.properties(schemas.resolve(schema, registry, roles))["a"]["title"] == title


def test_a_replacement_that_the_lab_has_not_changes_nothing(tmp_path: Path) -> None:
    schema = of(a={**TEXT, "x-onyxia": {"overwriteSchemaWith": "ai.json"}})
    assert schemas.resolve(schema, a_registry(tmp_path)) == schema


def test_a_replacement_that_names_itself_is_put_in_once(tmp_path: Path) -> None:
    again = {**TEXT, "title": "x", "x-onyxia": {"overwriteSchemaWith": "a.json"}}
    found = schemas.resolve(
        of(a={"x-onyxia": {"overwriteSchemaWith": "a.json"}}), a_registry(tmp_path, bundled__a=again)
    )
    assert schemas.properties(found)["a"]["title"] == "x"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({**of(a={"$ref": "#/definitions/l"}), "definitions": {"l": of(b={"$ref": "#/definitions/l"})}}, "itself"),
        (of(a={"$ref": "#"}), "itself"),
        (of(a={"$ref": "#/definitions/none"}), "nowhere"),
        (of(a={"$ref": "../../etc/passwd"}), "nowhere"),
        (of(a={"$ref": "http://example.org/x.json"}), "nowhere"),
        (of(a={"type": ["string", "null"]}), "`a` no type"),
        (of(a=of(b={"title": "what"})), "`a.b` no type"),
    ],
)
def test_what_no_form_can_show_is_named(tmp_path: Path, schema: dict[str, object], words: str) -> None:
    with pytest.raises(errors.ChartBroken, match=words):
        schemas.resolve(schema, a_registry(tmp_path))


def test_a_schema_too_deep_or_too_large_is_refused(tmp_path: Path) -> None:
    deep: dict[str, object] = dict(TEXT)
    for _ in range(60):
        deep = of(a=deep)
    wide = of(**{f"p{n}": TEXT for n in range(schemas.MAX_NODES + 1)})
    for schema in (deep, wide):
        with pytest.raises(errors.ChartBroken, match="too large or too deep"):
            schemas.resolve(schema, a_registry(tmp_path))


def test_a_chart_without_a_schema_has_one_told_from_its_values() -> None:
    found = schemas.of_values({"a": "x", "b": 1, "c": True, "d": {"e": 1}, "f": [1], "g": None})
    kinds = {key: item["type"] for key, item in schemas.properties(found).items()}
    assert kinds == {"a": "string", "b": "number", "c": "boolean", "d": "object", "f": "array"}


def test_the_regions_sliders_bound_those_that_name_them_and_bring_defaults_inside() -> None:
    slider = {"type": "string", "default": "30000m", "sliderMin": 50, "sliderMax": 40000, "sliderUnit": "m"}
    schema = of(a=of(cpu={**slider, "x-onyxia": {"useRegionSliderConfig": "cpu"}}), b=slider)
    bounded = sliders.within_region(schema, {"cpu": {"sliderMin": 100, "sliderMax": 4000}})
    inner = schemas.properties(schemas.properties(bounded)["a"])["cpu"]
    assert (inner["sliderMin"], inner["sliderMax"], inner["default"]) == (100, 4000, "4000m")
    assert schemas.properties(bounded)["b"] == slider
