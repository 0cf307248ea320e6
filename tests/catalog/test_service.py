"""The catalogue as pages, the API and services use it, on real charts, real Helm and a real repository."""

import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from etabli.catalog import errors, links, paths
from etabli.catalog.service import Catalog
from etabli.kernel import errors as kernel_errors
from tests.catalog import builders

Make = Callable[..., Awaitable[Catalog]]
CONTEXT = builders.a_context().tree()

SCHEMA = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "default": 1, "minimum": 1},
        "owner": {"type": "string", "x-onyxia": {"hidden": True, "overwriteDefaultWith": "{{user.name}}"}},
        "token": {"type": "string", "default": "none", "x-onyxia": {"overwriteDefaultWith": "user.refreshToken"}},
        "password": {
            "type": "string",
            "render": "password",
            "x-onyxia": {"overwriteDefaultWith": "service.oneTimePassword"},
        },
        "env": {
            "type": "array",
            "default": [],
            "items": {"type": "object", "properties": {"name": {"type": "string", "default": "N"}}},
        },
    },
}


@pytest.fixture
async def demo(make_catalog: Make, tmp_path: Path) -> Catalog:
    builders.a_chart(tmp_path / "charts", schema=SCHEMA)
    return await make_catalog(tmp_path / "charts")


async def rendered(catalog: Catalog, values: dict[str, object], *, name: str = "demo", context: Any = CONTEXT) -> Any:
    """The values that the templates saw."""
    output = await catalog.render(
        catalog="c0", chart=name, values=values, context=context, release="demo-1", namespace="user-ada"
    )
    return json.loads(output.manifests[0]["data"]["values"])  # type: ignore[index]


async def test_a_broken_catalogue_is_told_and_the_others_go_on(make_catalog: Make, tmp_path: Path) -> None:
    builders.a_chart(tmp_path / "charts")
    builders.a_chart(tmp_path / "charts", "bad").joinpath("values.yaml").write_text("a: [")
    catalog = await make_catalog(tmp_path / "charts", tmp_path / "gone", "http://127.0.0.1:9/charts")
    await catalog.refresh()
    one, two, three = await catalog.listings()
    assert [(entry.name, bool(entry.problem)) for entry in one.entries] == [("bad", True), ("demo", False)]
    assert two.entries == three.entries == ()
    assert "is not a folder" in two.problem
    assert "does not answer" in three.problem
    with pytest.raises(errors.ChartBroken, match=r"values\.yaml"):
        await catalog.open(catalog="c0", chart="bad", context=CONTEXT)


@pytest.mark.parametrize(("place", "name"), [("c0", "none"), ("none", "demo"), ("c0", "../demo"), ("c0", "x" * 10_000)])
async def test_a_chart_that_is_not_there_is_not_found(demo: Catalog, place: str, name: str) -> None:
    with pytest.raises(kernel_errors.NotFound):
        await demo.open(catalog=place, chart=name, context=CONTEXT)


async def test_the_newest_release_is_the_default_and_a_version_that_is_gone_answers_it(
    make_catalog: Make, tmp_path: Path
) -> None:
    for number in ("1.2.0", "1.10.0", "2.0.0-rc.1"):
        builders.a_chart(tmp_path / "charts", version=number).rename(tmp_path / "charts" / number)
    catalog = await make_catalog(tmp_path / "charts")
    (listing,) = await catalog.listings()
    assert listing.entries[0].default == "1.10.0"
    for asked, given in ((None, "1.10.0"), ("1.2.0", "1.2.0"), ("0.0.1", "1.10.0")):
        assert (await catalog.chart(catalog="c0", chart="demo", version=asked)).info.version == given


async def test_what_is_launched_is_what_lies_in_the_folder_now(demo: Catalog, tmp_path: Path) -> None:
    before = await demo.chart(catalog="c0", chart="demo")
    (tmp_path / "charts/demo/values.yaml").write_text("new: 1")
    after = await demo.chart(catalog="c0", chart="demo")
    assert after.values == {"new": 1}
    assert after.digest != before.digest


async def test_defaults_come_from_the_context_and_tokens_never(demo: Catalog) -> None:
    opening = await demo.open(catalog="c0", chart="demo", context=CONTEXT)
    assert opening.values["owner"] == "Ada Lovelace"
    assert opening.values["token"] == ""
    assert opening.receives == ("service.oneTimePassword", "user.name")
    assert opening.problems == {}
    assert opening.changes == {}


async def test_values_reach_the_templates_as_they_were_given(demo: Catalog) -> None:
    seen = await rendered(demo, {"size": 3, "env": [{"name": "A"}]})
    assert (seen["size"], seen["owner"], seen["env"]) == (3, "Ada Lovelace", [{"name": "A"}])


@pytest.mark.parametrize(
    ("values", "field", "words"),
    [
        ({"size": 0}, "size", "at least 1"),
        ({"size": "many"}, "size", "whole number"),
        ({"owner": "Mallory"}, "owner", "not for people to set"),
        ({"unknown": {"deep": 1}}, "unknown.deep", "nothing that this chart knows"),
        ({"password": "x" * 10_000}, "password", "at most 8,192 characters"),
        ({"password": "a\x00b"}, "password", "control characters"),
        ({"env": [{"name": 1, "x": 2}]}, "env[0].name", "text"),
        ({"env": {"0": 1}}, "env.0", "nothing that this chart knows"),
    ],
)
async def test_a_wrong_value_starts_nothing_and_is_named(
    demo: Catalog, values: dict[str, object], field: str, words: str
) -> None:
    with pytest.raises(errors.ValuesInvalid) as caught:
        await rendered(demo, values)
    assert words in caught.value.fields[field]
    assert demo.worker_pid is None


async def test_a_name_that_cannot_be_shown_is_named_all_the_same(demo: Catalog) -> None:
    with pytest.raises(errors.ValuesInvalid) as caught:
        await rendered(demo, {"\ud800\x1b[31m" + "x" * 10_000: 1})
    (name,) = caught.value.fields
    assert name.startswith("??\\[31mxx")
    assert len(name) <= errors.MAX_NAME
    assert str(caught.value).encode()


async def test_a_posted_form_is_what_a_launch_takes(demo: Catalog) -> None:
    opening = await demo.open(catalog="c0", chart="demo", context=CONTEXT)
    fields = [(field.name, field.text) for field in opening.form.fields()]
    unchanged = await demo.submit(catalog="c0", chart="demo", context=CONTEXT, fields=fields)
    assert unchanged.changes == {}
    changed = await demo.submit(
        catalog="c0",
        chart="demo",
        context=CONTEXT,
        fields=[*fields, ("size.", "4"), ("env[]", "0"), ("env[0].name", "é\"'")],
    )
    assert changed.changes == {"size": 4, "env": [{"name": "é\"'"}]}
    assert (await rendered(demo, changed.changes))["env"] == [{"name": "é\"'"}]


async def test_a_form_tampered_with_is_refused_by_name(demo: Catalog) -> None:
    with pytest.raises(errors.ValuesInvalid) as caught:
        await demo.submit(
            catalog="c0", chart="demo", context=CONTEXT, fields=[("owner.", "Mallory"), ("x.y", "1"), ("size.", "2")]
        )
    assert set(caught.value.fields) == {"owner", "x.y"}


async def test_a_value_that_does_not_fit_comes_back_in_the_form_with_its_problem(demo: Catalog) -> None:
    opening = await demo.submit(catalog="c0", chart="demo", context=CONTEXT, fields=[("size.", "0")])
    field = next(field for field in opening.form.fields() if field.name == "size.")
    assert (field.text, field.problem) == ("0", "must be at least 1")
    with pytest.raises(errors.ValuesInvalid):
        opening.check()


async def test_members_of_a_list_come_and_go_without_a_script(demo: Catalog) -> None:
    ask: dict[str, Any] = {"catalog": "c0", "chart": "demo", "context": CONTEXT}
    one = await demo.submit(**ask, fields=[], add="env")
    two = await demo.submit(**ask, fields=[("env[]", "0"), ("env[0].name", "A")], add="env")
    less = await demo.submit(
        **ask, fields=[("env[]", "0,1"), ("env[0].name", "A"), ("env[1].name", "B")], remove="env[0]"
    )
    assert [opening.values["env"] for opening in (one, two, less)] == [
        [{"name": "N"}],
        [{"name": "A"}, {"name": "N"}],
        [{"name": "B"}],
    ]
    for name in ("size", "env[0].name", "no.such"):
        with pytest.raises(errors.ValuesInvalid):
            await demo.submit(**ask, fields=[], add=name)


async def test_an_opened_form_has_a_link_that_opens_it_again_without_its_passwords(demo: Catalog) -> None:
    values = {"size": 2, "password": "hunter2", "env": [{"name": "A b"}]}
    opening = await demo.open(catalog="c0", chart="demo", context=CONTEXT, values=values)
    query = links.write(links.Link(changes=opening.link_changes))
    assert "hunter2" not in query
    again = await demo.open(catalog="c0", chart="demo", context=CONTEXT, changes=links.parse(query).changes)
    assert again.changes == {"size": 2, "env": [{"name": "A b"}]}


async def test_a_link_that_asks_what_the_chart_does_not_take_opens_and_says_so(demo: Catalog) -> None:
    link = links.parse("size.=3&owner.=«Mallory»&security.allowlist.enabled=false&env[5].name=«x»")
    opening = await demo.open(catalog="c0", chart="demo", context=CONTEXT, changes=link.changes)
    assert opening.changes == {"size": 3}
    assert {item.name for item in opening.left_out} == {"owner", "security.allowlist.enabled", "env[5].name"}


async def test_a_chart_without_a_schema_is_opened_by_its_values(make_catalog: Make, tmp_path: Path) -> None:
    builders.a_chart(tmp_path / "charts", values="port: 80\nname: x\ntls: {enabled: true}\nhosts: [a]\n")
    catalog = await make_catalog(tmp_path / "charts")
    opening = await catalog.open(catalog="c0", chart="demo", context=CONTEXT)
    assert [(f.name, f.control.value) for f in opening.form.fields()] == [
        ("port.", "number"),
        ("name.", "text"),
        ("tls.", "yaml"),
        ("hosts.", "yaml"),
    ]
    assert (await rendered(catalog, {"port": 81, "tls": {"enabled": False}}))["tls"] == {"enabled": False}


async def test_the_administrators_schemas_bound_what_a_chart_offers(make_catalog: Make, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/size.json").write_text(json.dumps({"type": "integer", "default": 1, "maximum": 2}))
    schema = {
        "type": "object",
        "properties": {"size": {"type": "integer", "default": 9, "x-onyxia": {"overwriteSchemaWith": "size.json"}}},
    }
    builders.a_chart(tmp_path / "charts", schema=schema)
    catalog = await make_catalog(tmp_path / "charts", schemas=str(tmp_path / "schemas"))
    with pytest.raises(errors.ValuesInvalid, match="at most 2"):
        await rendered(catalog, {"size": 3})


@pytest.mark.parametrize(
    "schema", [{"type": "array"}, {"properties": {"a": {"type": "integer", "minimum": "x"}}}, {"properties": []}]
)
async def test_a_schema_that_is_none_breaks_its_chart_alone(
    make_catalog: Make, tmp_path: Path, schema: dict[str, object]
) -> None:
    builders.a_chart(tmp_path / "charts", schema=schema)
    catalog = await make_catalog(tmp_path / "charts")
    with pytest.raises(errors.ChartBroken):
        await catalog.open(catalog="c0", chart="demo", context=CONTEXT)


async def test_what_a_person_took_out_of_a_free_block_is_gone(make_catalog: Make, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "conf": {"type": "object"},
            "group": {"type": "object", "properties": {"a": {"type": "string"}}},
        },
    }
    builders.a_chart(
        tmp_path / "charts", values="conf: {a: 1, b: {c: 2, d: 3}}\ngroup: {a: x, own: o}\nother: z\n", schema=schema
    )
    catalog = await make_catalog(tmp_path / "charts")
    opening = await catalog.submit(catalog="c0", chart="demo", context=CONTEXT, fields=[("conf.", "b: {c: 4}\ne: 5")])
    seen = await rendered(catalog, opening.changes)
    assert seen == {"conf": {"b": {"c": 4}, "e": 5}, "group": {"a": "x", "own": "o"}, "other": "z"}


async def test_a_group_is_never_replaced_whole(demo: Catalog, make_catalog: Make, tmp_path: Path) -> None:
    schema = {
        "type": "object",
        "properties": {
            "g": {
                "type": "object",
                "properties": {
                    "a": {"type": "string", "default": "x"},
                    "h": {"type": "string", "default": "y", "hidden": True},
                },
            }
        },
    }
    builders.a_chart(tmp_path / "more", "grouped", schema=schema)
    catalog = await make_catalog(tmp_path / "more")
    assert (await rendered(catalog, {"g": {}}, name="grouped"))["g"] == {"a": "x", "h": "y"}
    for wrong in ("text", None, ["a"]):
        with pytest.raises(errors.ValuesInvalid, match="several values"):
            await rendered(catalog, {"g": wrong}, name="grouped")


async def test_a_cache_that_is_lost_is_made_again(demo: Catalog, tmp_path: Path) -> None:
    await rendered(demo, {})
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").mkdir()
    assert (await rendered(demo, {"size": 2}))["size"] == 2


def test_paths_of_problems_and_of_fields_are_the_same_names() -> None:
    assert paths.label(("size",)) == "size"
    assert paths.name(("size",)) == "size."
