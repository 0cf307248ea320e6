"""Between a chart's form as data and what a page shows: units that people use, what is free beside what is asked, what is folded.

A slider's value is a number and a unit of Kubernetes (`500m`, `2Gi`). A page asks for `0.5` cores or `2` GiB, and what it sends is
turned back here, before the catalogue sees it. Everything else is sent as the catalogue named it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from etabli.catalog import form, paths
from etabli.engines import contract
from etabli.web.formats import Formats
from etabli.web.language import Messages

# Groups that most people look at, as the charts of interactive services name them; the others are folded.
FREQUENT = frozenset({"resources", "git"})
FREE_OF = {"cpu": "cpu", "memory": "memory"}  # The last step of a resource's path → what the machine has of it.
SCALES = {"m": 1000.0}  # Of a unit: how many make what people read.


@dataclass(frozen=True)
class Shown:
    """A slider in the unit that people read, its numbers as `<input type="number">` takes them."""

    minimum: str
    maximum: str
    step: str
    value: str
    unit: str


@dataclass(frozen=True)
class End:
    """One number of a slider."""

    id: str
    name: str
    label: str
    value: str
    wrong: str


class Drawing:
    """What the templates of a form ask."""

    def __init__(
        self, *, messages: Messages, formats: Formats, health: contract.Health, faults: Mapping[str, str]
    ) -> None:
        self._messages = messages
        self._formats = formats
        self._health = health
        self._faults = faults

    def wrong_at(self, field: form.Field) -> str:
        """What is wrong at a field, of what the chart's schema says and of what the launch was refused for."""
        return self._faults.get(paths.label(field.path), field.problem)

    def shown(self, field: form.Field) -> Shown:
        """A slider's numbers in the unit that people read."""
        slider = field.slider
        assert slider is not None  # Asked of sliders alone.
        scale = SCALES.get(slider.unit, 1.0)
        return Shown(
            minimum=_plain(slider.minimum / scale),
            maximum=_plain(slider.maximum / scale),
            step=_plain(slider.step / scale),
            value=_plain(slider.amount / scale),
            unit=self._unit(slider.unit),
        )

    def end_of(self, field: form.Field, label: str) -> End:
        """One number of a slider, named as its field is."""
        value = self.shown(field).value
        return End(id=f"v-{field.name}", name=field.name, label=label, value=value, wrong=self.wrong_at(field))

    def free_of(self, field: form.Field) -> str:
        """How much the machine has left of what the field asks, in words; nothing where it is not a resource."""
        kind = FREE_OF.get(str(field.path[-1])) if "resources" in field.path else None
        total, reserved = self._health.total, self._health.reserved
        if kind == "cpu" and total.cpu:
            return self._formats.cores(max(0.0, total.cpu - reserved.cpu))
        if kind == "memory" and total.memory_bytes:
            return self._formats.size(max(0, total.memory_bytes - reserved.memory_bytes))
        return ""

    def is_open(self, group: form.Group) -> bool:
        """Whether a section is shown unfolded: it is one that most look at, or something in it was changed or is wrong."""
        return (
            group.name.rstrip(".") in FREQUENT
            or bool(group.problem)
            or any(field.changed or self.wrong_at(field) for field in _fields(group))
        )

    def is_block(self, node: form.Node) -> bool:
        """Whether it is a block of YAML, which stands in a section of its own."""
        return isinstance(node, form.Field) and node.control is form.Control.YAML

    def text_of(self, value: object) -> str:
        """A value as a form posts it, for a condition that a script follows."""
        return form.as_text(value, form.Control.TEXT)

    def options_of(self, field: form.Field) -> list[tuple[str, str]]:
        """A select's options, value and words."""
        return [(option.value, option.label) for option in field.options]

    def _unit(self, unit: str) -> str:
        _ = self._messages.gettext
        return {"m": _("cores"), "Mi": _("MiB"), "Gi": _("GiB"), "Ti": _("TiB")}.get(unit, unit)


def posted(asked: form.Form, items: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """What a page sent, sliders in the chart's unit again."""
    sliders = {field.name: field.slider for field in asked.fields() if field.slider is not None}
    return [(name, _with_unit(sliders[name], text) if name in sliders else text) for name, text in items]


def _with_unit(slider: form.Slider, text: str) -> str:
    try:
        amount = float(text.replace(",", "."))
    except ValueError:
        return text  # The catalogue says what is wrong with it.
    return _plain(amount * SCALES.get(slider.unit, 1.0)) + slider.unit


def _plain(number: float) -> str:
    return f"{round(number, 6):.6f}".rstrip("0").rstrip(".")


def _fields(group: form.Group) -> Iterable[form.Field]:
    for node in group.nodes:
        if isinstance(node, form.Field):
            yield node
        elif isinstance(node, form.Range):
            yield from (node.low, node.high)
        else:
            yield from _fields(node)
