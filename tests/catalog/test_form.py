"""Each property gets the control that charts expect, with all that a page needs to draw it."""

from typing import Any

from etabli.catalog import checks, defaults, form, models, schemas
from etabli.catalog.form import Control

CONTEXT: dict[str, object] = {"region": {"customValues": {"choices": ["b", "a", 3, {"no": 1}]}}}
INFO = models.ChartInfo(name="demo", version="1.0.0")


def build(
    properties: dict[str, object], values: dict[str, object] | None = None, info: models.ChartInfo = INFO
) -> form.Form:
    schema = schemas._shape({"type": "object", "properties": properties}, ())
    initial = defaults.compute(schema, values or {}, CONTEXT)
    facts = form.Facts(values=initial, defaults=initial, context=CONTEXT, problems=checks.problems(schema, initial))
    return form.build(schema, facts, info)


def control_of(**schema: object) -> Control:
    field = build({"p": schema}).main.nodes[0]
    assert isinstance(field, form.Field)
    return field.control


def test_each_property_gets_its_control() -> None:
    assert control_of(type="string", default="") is Control.TEXT
    assert control_of(type="string", default="", render="textArea") is Control.TEXTAREA
    assert control_of(type="string", default="", render="password") is Control.PASSWORD
    assert control_of(type="integer", default=1) is Control.NUMBER
    assert control_of(type="boolean", default=True) is Control.CHECKBOX
    assert control_of(type="string", default="a", enum=["a", "b"]) is Control.SELECT
    assert control_of(type="string", default="a", listEnum=["a", "b"]) is Control.SELECT
    assert control_of(type="object", default={}) is Control.YAML
    assert control_of(type="array", default=[]) is Control.YAML
    assert control_of(type="string", default="2Gi", sliderMin=1, sliderMax=4, sliderUnit="Gi") is Control.SLIDER
    assert control_of(type="number", default=2, sliderMin=1, sliderMax=4) is Control.SLIDER


def test_a_hidden_property_is_in_no_form_but_its_value_is_sent() -> None:
    drawn = build(
        {
            "a": {"type": "string", "default": "x", "x-onyxia": {"hidden": True}},
            "b": {"type": "object", "properties": {"c": {"type": "string", "default": "x", "hidden": True}}},
        }
    )
    assert drawn.main.nodes == ()


def test_options_come_from_the_context_first_and_what_does_not_fit_is_dropped() -> None:
    field: Any = build(
        {
            "p": {
                "type": "string",
                "default": "z",
                "enum": ["z"],
                "x-onyxia": {"overwriteListEnumWith": "region.customValues.choices"},
            }
        }
    ).main.nodes[0]
    assert [option.value for option in field.options] == ["z", "b", "a", "3"]  # What is chosen now stays choosable.


def test_options_that_the_context_does_not_know_fall_back_on_the_charts() -> None:
    field: Any = build(
        {"p": {"type": "string", "default": "a", "enum": ["a"], "x-onyxia": {"overwriteListEnumWith": "no.such"}}}
    ).main.nodes[0]
    assert [option.value for option in field.options] == ["a"]


def test_readonly_and_constant_are_shown_and_said() -> None:
    one, two = build(
        {"a": {"const": 3}, "b": {"type": "string", "default": "x", "x-onyxia": {"readonly": True}}}
    ).fields()
    assert one.readonly
    assert two.readonly
    assert one.value == 3


def half(side: str, **more: object) -> dict[str, object]:
    return {
        "type": "string",
        "default": "100m",
        "sliderMin": 50,
        "sliderMax": 4000,
        "sliderStep": 50,
        "sliderUnit": "m",
        "sliderExtremity": side,
        "sliderRangeId": "cpu",
        "title": "CPU",
        **more,
    }


def group(**properties: object) -> dict[str, object]:
    return {"type": "object", "properties": properties}


def test_two_halves_make_one_range_in_the_group_that_holds_both() -> None:
    memory = {"type": "string", "default": "1Gi"}
    drawn = build({"resources": group(requests=group(cpu=half("down")), limits=group(cpu=half("up"), memory=memory))})
    resources: Any = drawn.main.nodes[0]
    cpu, limits = resources.nodes
    assert isinstance(cpu, form.Range)
    assert (cpu.low.name, cpu.high.name) == ("resources.requests.cpu", "resources.limits.cpu")
    assert [node.name for node in limits.nodes] == ["resources.limits.memory"]
    assert cpu.low.slider is not None
    assert cpu.low.slider.words == "0.1 cores"


def test_halves_of_other_steps_stay_two_sliders() -> None:
    drawn = build({"r": group(a=group(cpu=half("down")), b=group(cpu=half("up", sliderStep=100)))})
    assert [field.control for field in drawn.fields()] == [Control.SLIDER, Control.SLIDER]
    assert not any(isinstance(node, form.Range) for node in drawn.main.nodes)


def test_a_condition_hides_by_another_value_from_the_root_or_beside() -> None:
    drawn = build(
        {
            "git": group(
                enabled={"type": "boolean", "default": False},
                name={
                    "type": "string",
                    "default": "",
                    "hidden": {"value": False, "path": "enabled", "isPathRelative": True},
                },
                mail={"type": "string", "default": "", "hidden": {"value": True, "path": "git/enabled"}},
            )
        }
    )
    fields = {field.name: field for field in drawn.fields()}
    assert not fields["git.name"].visible
    assert fields["git.mail"].visible
    assert fields["git.name"].hidden_when == form.Condition(("git", "enabled"), "git.enabled", False)


def test_a_list_says_whether_members_may_come_and_go() -> None:
    item = group(name={"type": "string", "default": "n"})
    listed: Any = build(
        {
            "env": {
                "type": "array",
                "items": item,
                "minItems": 1,
                "maxItems": 2,
                "default": [{"name": "a"}, {"name": "b"}],
            }
        }
    ).main.nodes[0]
    assert (listed.is_list, listed.can_add) == (True, False)
    assert [member.removable for member in listed.nodes] == [True, True]
    assert [field.name for field in form._fields(listed)] == ["env[0].name", "env[1].name"]


def test_globals_and_dependencies_have_sections_of_their_own() -> None:
    text = {"type": "string", "default": "x"}
    info = models.ChartInfo(
        name="demo",
        version="1.0.0",
        dependencies=(
            models.Dependency("postgresql", condition="postgresql.enabled"),
            models.Dependency("redis", condition="redis.enabled"),
            models.Dependency("demo"),
        ),
    )
    on = {"type": "boolean", "default": True}
    off = {"type": "boolean", "default": False}
    drawn = build(
        {
            "global": group(g=text),
            "own": text,
            "demo": group(inner=text),
            "postgresql": group(enabled=on, size=text, **{"global": group(x=text)}),
            "redis": group(enabled=off),
        },
        info=info,
    )
    assert [node.name for node in drawn.main.nodes] == ["own.", "demo.inner"]
    assert [node.name for node in drawn.global_.nodes] == ["global.g"]
    assert [section.name for section in drawn.dependencies] == ["postgresql"]
    assert [node.name for node in drawn.dependencies[0].global_.nodes] == ["postgresql.global.x"]
    assert drawn.disabled_dependencies == ("redis",)


def test_a_block_is_shown_as_yaml_and_a_wrong_value_with_its_problem() -> None:
    block, number = build(
        {"b": {"type": "object", "default": {"é": [1, "a"]}}, "n": {"type": "integer", "default": 1}}
    ).fields()
    assert block.text == "é:\n- 1\n- a\n"
    assert number.problem == ""


def test_words_are_in_the_persons_language_where_the_author_wrote_them() -> None:
    schema = {
        "type": "string",
        "default": "",
        "title": "Name",
        "description": "Yours",
        "x-etabli": {"fr": {"title": "Nom"}},
    }
    for lang, title in (("fr", "Nom"), ("en", "Name"), ("de", "Name")):
        facts = form.Facts(values={"p": ""}, defaults={"p": ""}, context={"user": {"lang": lang}}, problems={})
        field: Any = form.build(
            schemas._shape({"type": "object", "properties": {"p": schema}}, ()), facts, INFO
        ).main.nodes[0]
        assert (field.title, field.description) == (title, "Yours")
