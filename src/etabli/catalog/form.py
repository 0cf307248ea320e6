"""The form of a chart as data: what a page draws and what JSON tells, nothing of HTML.

Which control a property gets follows what charts rely on (Onyxia web 5.5, computeRootFormFieldGroup): hidden first, then free YAML
blocks, options, sliders and the two halves of a range, groups, lists, and the plain types. What the chart calls `global`, and groups
named as the charts it depends on, are pulled out into sections of their own; a dependency that is off has none.

Each node has a `path` and a `name`: the name is what a posted form carries (paths.py). A node under a condition (`hidden` when another
value is so) is there all the same and `visible` says whether now: a page may follow the condition live. Its values are still sent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

import yaml

from etabli.catalog import checks, defaults, expressions, models, patches, paths, schemas, sliders
from etabli.catalog.expressions import UNDEFINED
from etabli.catalog.schemas import Schema

Tree = Mapping[str, object]
GLOBAL = "global"


class Control(StrEnum):
    """How a value is asked for."""

    TEXT = "text"
    TEXTAREA = "textarea"
    PASSWORD = "password"
    NUMBER = "number"
    CHECKBOX = "checkbox"
    SELECT = "select"
    SLIDER = "slider"
    YAML = "yaml"


@dataclass(frozen=True)
class Option:
    """One choice of a select."""

    value: str  # As a form posts it.
    label: str


@dataclass(frozen=True)
class Slider:
    """The bounds of a slider; amounts without the unit."""

    minimum: float
    maximum: float
    step: float
    unit: str  # What follows the number in the value: `m`, `Gi`, or nothing.
    amount: float  # Where it stands.
    words: str  # The amount as people read it: `1.5 cores`.
    half: str = ""  # `down` or `up` where it is one half of a range.
    range_id: str = ""  # What both halves share.
    semantic: str = ""  # What this half means (`guaranteed`, `maximum`).


@dataclass(frozen=True)
class Condition:
    """Hidden while the value at `path` equals `value`."""

    path: paths.Path
    name: str
    value: object


@dataclass(frozen=True)
class Field:
    """One value."""

    path: paths.Path
    name: str
    control: Control
    title: str
    description: str
    value: object
    default: object
    text: str  # The value as a form posts it: YAML for a block, nothing for null.
    readonly: bool = False
    visible: bool = True
    hidden_when: Condition | None = None
    removable: bool = False  # It is a member of a list that may lose one.
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    whole: bool = False  # A number without a fraction.
    options: tuple[Option, ...] = ()
    slider: Slider | None = None
    problem: str = ""  # What is wrong with the value.

    @property
    def changed(self) -> bool:
        """Whether a reset would change it."""
        return self.value != self.default


@dataclass(frozen=True)
class Range:
    """Two values on one slider, the lower and the upper."""

    name: str
    title: str
    description: str
    low: Field
    high: Field
    visible: bool = True


@dataclass(frozen=True)
class Group:
    """Values that belong together: an object, or the members of a list."""

    path: paths.Path
    name: str
    title: str
    description: str
    nodes: tuple["Node", ...]
    visible: bool = True
    hidden_when: Condition | None = None
    is_list: bool = False
    can_add: bool = False
    removable: bool = False
    problem: str = ""


Node: TypeAlias = Field | Range | Group


@dataclass(frozen=True)
class Section:
    """The values of a chart that this one holds."""

    name: str
    main: Group
    global_: Group


@dataclass(frozen=True)
class Form:
    """All that a launch asks."""

    main: Group  # Top level values, groups and blocks of the chart itself.
    global_: Group
    dependencies: tuple[Section, ...] = ()
    disabled_dependencies: tuple[str, ...] = ()

    def fields(self) -> Iterator[Field]:
        """Every field, halves of ranges too."""
        groups = [self.main, self.global_, *(part for s in self.dependencies for part in (s.main, s.global_))]
        for group in groups:
            yield from _fields(group)


@dataclass(frozen=True)
class Facts:
    """What a form is made from, besides the schema."""

    values: Tree
    defaults: Tree
    context: Tree
    problems: Mapping[str, str]  # By label, as `checks.problems` gives them.


def build(schema: Schema, facts: Facts, info: models.ChartInfo) -> Form:
    """The form of these values."""
    builder = _Builder(facts)
    disabled = tuple(d.name for d in info.dependencies if not _is_enabled(d, facts.values))
    held = [d.name for d in info.dependencies if d.name != info.name]  # One of its own name is the chart itself.
    own: dict[str, Schema] = {}
    sections: list[Section] = []
    top_global: Schema = {"type": "object", "properties": {}}
    for key, item in schemas.properties(schema).items():
        if key == GLOBAL and item["type"] == "object":
            top_global = item
        elif key in held and item["type"] == "object":
            if key not in disabled:
                sections.append(builder.section(key, item))
        elif key == info.name and item["type"] == "object" and any(d.name == key for d in info.dependencies):
            own.update({f"{key}.{inner}": member for inner, member in schemas.properties(item).items()})
        else:
            own[key] = item
    return Form(
        main=builder.root(own, info.name),
        global_=builder.group(top_global, (GLOBAL,)) or _empty((GLOBAL,)),
        dependencies=tuple(sections),
        disabled_dependencies=tuple(name for name in disabled if name in held),
    )


class _Builder:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._language = str(paths.find(facts.context, ("user", "lang")))

    def root(self, own: Mapping[str, Schema], chart: str) -> Group:
        """The chart's own top level; `chart.key` are those of the dependency that has the chart's name."""
        nodes = []
        for key, item in own.items():
            outer, dot, inner = key.partition(".")
            nodes.append(self.node(item, (outer, inner) if dot and outer == chart else (key,)))
        return _merge_ranges(replace(_empty(()), nodes=tuple(node for node in nodes if node is not None)))

    def section(self, name: str, schema: Schema) -> Section:
        """A dependency: its own values, and its `global` apart."""
        own = dict(schemas.properties(schema))
        globals_ = own.pop(GLOBAL, None)
        main = self.group({**schema, "properties": own}, (name,))
        inner = self.group(globals_, (name, GLOBAL)) if globals_ is not None else None
        return Section(name, _merge_ranges(main or _empty((name,))), inner or _empty((name, GLOBAL)))

    def node(self, schema: Schema, path: paths.Path, *, removable: bool = False) -> Node | None:
        """What shows a property; None where nothing does."""
        if schemas.is_hidden(schema):
            return None
        if patches.is_free(schema) or self._options(schema) or schema["type"] not in {"object", "array"}:
            return self._field(schema, path, removable)
        if schema["type"] == "object":
            return self.group(schema, path, removable=removable)
        return self._list(schema, path)

    def group(self, schema: Schema, path: paths.Path, *, removable: bool = False) -> Group | None:
        """An object; None where nothing of it is shown."""
        nodes = [self.node(item, (*path, key)) for key, item in schemas.properties(schema).items()]
        shown = tuple(node for node in nodes if node is not None)
        if not shown:
            return None
        return replace(self._frame(schema, path), nodes=shown, removable=removable)

    def _list(self, schema: Schema, path: paths.Path) -> Group:
        item = schemas.items(schema)
        found = paths.find(self._facts.values, path)
        members = found if isinstance(found, list) else []
        least, most = schema.get("minItems"), schema.get("maxItems")
        removable = len(members) > (least if isinstance(least, int) else 0)
        nodes = [self.node(item, (*path, i), removable=removable) for i in range(len(members))] if item else []
        room = len(members) < (min(most, checks.MAX_ITEMS) if isinstance(most, int) else checks.MAX_ITEMS)
        return replace(
            self._frame(schema, path),
            nodes=tuple(node for node in nodes if node is not None),
            is_list=True,
            can_add=room and not schemas.is_readonly(schema),
        )

    def _frame(self, schema: Schema, path: paths.Path) -> Group:
        visible, condition = self._visibility(schema, path)
        return Group(
            path=path,
            name=paths.name(path),
            title=self._title(schema, path),
            description=self._words(schema, "description"),
            nodes=(),
            visible=visible,
            hidden_when=condition,
            problem=self._facts.problems.get(paths.label(path), ""),
        )

    def _field(self, schema: Schema, path: paths.Path, removable: bool) -> Field:
        value = _known(paths.find(self._facts.values, path))
        visible, condition = self._visibility(schema, path)
        options = self._options(schema)
        control = _control(schema, options)
        least, most = schema.get("minimum"), schema.get("maximum")
        return Field(
            path=path,
            name=paths.name(path),
            control=control,
            title=self._title(schema, path),
            description=self._words(schema, "description"),
            value=value,
            default=_known(paths.find(self._facts.defaults, path)),
            text=as_text(value, control),
            readonly=schemas.is_readonly(schema),
            visible=visible,
            hidden_when=condition,
            removable=removable,
            pattern=_words(schema, "pattern"),
            minimum=least if isinstance(least, int | float) else None,
            maximum=most if isinstance(most, int | float) else None,
            whole=schema["type"] == "integer",
            options=_with_current(options, value) if options else (),
            slider=self._slider(schema, value) if control is Control.SLIDER else None,
            problem=self._facts.problems.get(paths.label(path), ""),
        )

    def _options(self, schema: Schema) -> tuple[Option, ...]:
        expression = schemas.extension(schema).get("overwriteListEnumWith")
        found = expressions.resolve(expression, self._facts.context) if expression is not None else UNDEFINED
        if isinstance(found, list):
            plain = {key: item for key, item in schema.items() if key not in {"enum", "listEnum"}}
            brought = [defaults.coerce(plain, item) for item in found]
            options = tuple(_option(item) for item in brought if item is not UNDEFINED)
            if options:
                return options
        for key in ("listEnum", "enum"):
            listed = schema.get(key)
            if isinstance(listed, list) and listed:
                return tuple(_option(item) for item in listed)
        return ()

    def _title(self, schema: Schema, path: paths.Path) -> str:
        return self._words(schema, "title") or _last(path)

    def _words(self, schema: Schema, key: str) -> str:
        """What the schema says, in the person's language where its author wrote that (`x-etabli: {fr: {title: …}}`)."""
        translated = paths.find(schema, (schemas.TRANSLATIONS, self._language, key))
        return translated if isinstance(translated, str) else _words(schema, key)

    def _slider(self, schema: Schema, value: object) -> Slider:
        return _slider(schema, value, self._words(schema, "sliderExtremitySemantic"))

    def _visibility(self, schema: Schema, path: paths.Path) -> tuple[bool, Condition | None]:
        rule = schema.get("hidden")
        if not isinstance(rule, Mapping) or not isinstance(rule.get("path"), str):
            return True, None
        steps = tuple(int(step) if step.isdecimal() else step for step in str(rule["path"]).strip("/").split("/"))
        target = (*path[:-1], *steps) if rule.get("isPathRelative") is True else steps
        condition = Condition(target, paths.name(target), rule.get("value"))
        return paths.find(self._facts.values, target) != condition.value, condition


def as_text(value: object, control: Control) -> str:
    """A value as a form posts it."""
    if control is Control.YAML:
        empty = value in ({}, [], None)
        return "" if empty else yaml.safe_dump(value, sort_keys=False, allow_unicode=True, default_flow_style=False)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) and value.is_integer() else str(value)


def _control(schema: Schema, options: tuple[Option, ...]) -> Control:
    if patches.is_free(schema):
        return Control.YAML
    if options:
        return Control.SELECT
    kind, render = schema["type"], schema.get("render")
    if sliders.is_slider(schema) and kind in {"string", "number", "integer"} and _has_bounds(schema):
        return Control.SLIDER
    if kind == "boolean":
        return Control.CHECKBOX
    if kind in {"number", "integer"}:
        return Control.NUMBER
    return {"textArea": Control.TEXTAREA, "password": Control.PASSWORD}.get(str(render), Control.TEXT)


def _has_bounds(schema: Schema) -> bool:
    return sliders.number(schema, "sliderMin") is not None and sliders.number(schema, "sliderMax") is not None


def _slider(schema: Schema, value: object, semantic: str) -> Slider:
    least, most = sliders.number(schema, "sliderMin") or 0.0, sliders.number(schema, "sliderMax") or 0.0
    amount = sliders.amount(schema, value)
    here = least if amount is None else amount
    return Slider(
        minimum=least,
        maximum=most,
        step=sliders.number(schema, "sliderStep") or 1.0,
        unit=sliders.unit(schema),
        amount=here,
        words=sliders.words(schema, here),
        half=_words(schema, "sliderExtremity"),
        range_id=_words(schema, "sliderRangeId"),
        semantic=semantic,
    )


def _merge_ranges(root: Group) -> Group:
    """Put the two halves of each range together, in the closest group that holds both, where its first half was."""
    lows = {f.slider.range_id: f for f in _fields(root) if f.slider is not None and f.slider.half == "down"}
    highs = {f.slider.range_id: f for f in _fields(root) if f.slider is not None and f.slider.half == "up"}
    for name, low in lows.items():
        if name in highs and _compatible(low, highs[name]):
            merged = _merged(root, low, highs[name])
            root = merged if isinstance(merged, Group) else root
    return root


def _compatible(low: Field, high: Field) -> bool:
    return (
        low.slider is not None
        and high.slider is not None
        and (low.slider.unit, low.slider.step) == (high.slider.unit, high.slider.step)
    )


def _merged(node: Node, low: Field, high: Field) -> Node | None:
    """The node with the range in place of its halves; None where nothing is left of it."""
    if node is low or node is high:
        return None
    if not isinstance(node, Group) or not (_holds(node, low) or _holds(node, high)):
        return node
    is_home = (
        _holds(node, low) and _holds(node, high) and not any(_holds(n, low) and _holds(n, high) for n in node.nodes)
    )
    nodes: list[Node] = []
    for inner in node.nodes:
        if is_home and (_holds(inner, low) or _holds(inner, high)) and not any(_is_range_of(n, low) for n in nodes):
            nodes.append(_range(low, high))
        kept = _merged(inner, low, high)
        if kept is not None:
            nodes.append(kept)
    return replace(node, nodes=tuple(nodes)) if nodes else None


def _range(low: Field, high: Field) -> Range:
    return Range(
        name=f"{low.name}..{high.name}",
        title=low.title,
        description=low.description or high.description,
        low=low,
        high=high,
        visible=low.visible and high.visible,
    )


def _is_range_of(node: Node, low: Field) -> bool:
    return isinstance(node, Range) and node.low is low


def _holds(node: Node, field: Field) -> bool:
    return node is field or (isinstance(node, Group) and any(_holds(inner, field) for inner in node.nodes))


def _fields(group: Group) -> Iterator[Field]:
    for node in group.nodes:
        if isinstance(node, Field):
            yield node
        elif isinstance(node, Range):
            yield node.low
            yield node.high
        else:
            yield from _fields(node)


def _option(value: object) -> Option:
    text = as_text(value, Control.TEXT)
    return Option(text, text)


def _with_current(options: tuple[Option, ...], value: object) -> tuple[Option, ...]:
    """A value that is none of the options stays choosable: a list of suggestions is no fence."""
    current = _option(value)
    return options if any(option.value == current.value for option in options) else (current, *options)


def _is_enabled(dependency: models.Dependency, values: Tree) -> bool:
    if not dependency.condition:
        return True
    for condition in dependency.condition.split(","):
        found = paths.find(values, tuple(condition.strip().split(".")))
        if isinstance(found, bool):
            return found
    return True


def _known(value: object) -> object:
    return None if value is UNDEFINED else value


def _empty(path: paths.Path) -> Group:
    return Group(path=path, name=paths.name(path) if path else "", title=_last(path), description="", nodes=())


def _last(path: paths.Path) -> str:
    return str(path[-1]) if path and isinstance(path[-1], str) else ""


def _words(schema: Schema, key: str) -> str:
    found = schema.get(key)
    return found if isinstance(found, str) else ""
