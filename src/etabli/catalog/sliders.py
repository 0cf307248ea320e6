"""Values of sliders: a number, or text made of a number and the slider's unit (`500m`, `2Gi`)."""

import re
from collections.abc import Iterator, Mapping

from etabli.catalog import paths, schemas
from etabli.catalog.schemas import Schema
from etabli.kernel import errors as kernel_errors
from etabli.kernel import quantities

_BOUNDS = ("sliderMin", "sliderMax", "sliderStep", "sliderUnit")
_WORDS = {"m": (1000.0, "cores"), "Mi": (1.0, "MiB"), "Gi": (1.0, "GiB"), "Ti": (1.0, "TiB")}
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")


def is_slider(schema: Schema) -> bool:
    """Whether a slider shows it, alone or as half of a range."""
    return "sliderMin" in schema or "sliderExtremity" in schema or schema.get("render") == "slider"


def number(schema: Schema, key: str) -> float | None:
    """`sliderMin`, `sliderMax` or `sliderStep`, where the schema says it."""
    found = schema.get(key)
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def unit(schema: Schema) -> str:
    """What follows the number in a text value."""
    return str(schema.get("sliderUnit") or "")


def amount(schema: Schema, value: object) -> float | None:
    """The number of a value, its unit taken away; None where it is none of this slider's."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value.endswith(unit(schema)):
        return None
    digits = value.removesuffix(unit(schema)) if unit(schema) else value
    return float(digits) if _NUMBER.fullmatch(digits) else None


def converted(schema: Schema, value: object) -> str | None:
    """A quantity in this slider's unit (`2` cores as `2000m`, `512Mi` as `0.5Gi`); None where it is none."""
    if unit(schema) not in _WORDS:
        return None
    try:
        found = quantities.parse(value) / quantities.parse(f"1{unit(schema)}")
    except kernel_errors.Invalid:
        return None
    return f"{found:.6g}{unit(schema)}"


def words(schema: Schema, found: float) -> str:
    """How people read an amount: `1.5 cores`, `2 GiB`."""
    scale, name = _WORDS.get(unit(schema), (1.0, unit(schema)))
    return f"{found / scale:g} {name}".strip()


def problem(schema: Schema, value: object) -> str:
    """What is wrong with the value, or nothing."""
    found = amount(schema, value)
    if found is None:
        return f"must be a number followed by `{unit(schema)}`" if unit(schema) else "must be a number"
    least, most = number(schema, "sliderMin"), number(schema, "sliderMax")
    if least is not None and found < least:
        return f"must be at least {words(schema, least)}"
    if most is not None and found > most:
        return f"must be at most {words(schema, most)}"
    return ""


def halves(schema: Schema, values: object, path: paths.Path) -> Iterator[tuple[paths.Path, Schema, object]]:
    """Every half of a range slider, with its value."""
    if not isinstance(values, Mapping):
        return
    for key, item in schemas.properties(schema).items():
        if "sliderExtremity" in item and key in values:
            yield (*path, key), item, values[key]
        yield from halves(item, values.get(key), (*path, key))


def within_region(schema: Schema, sliders_of_region: Mapping[str, object]) -> Schema:
    """The schema with the bounds that the administrator set for sliders that name them, defaults brought inside.

    `x-onyxia.useRegionSliderConfig: cpu` takes sliderMin, sliderMax, sliderStep and sliderUnit of `region.sliders.cpu`.
    """
    changed: dict[str, object] = dict(schema)
    name = schemas.extension(schema).get("useRegionSliderConfig")
    bounds = sliders_of_region.get(name) if isinstance(name, str) else None
    if isinstance(bounds, Mapping):
        changed.update({key: bounds[key] for key in _BOUNDS if key in bounds})
        if "default" in changed:
            changed["default"] = _inside(changed, changed["default"])
    own = {key: within_region(item, sliders_of_region) for key, item in schemas.properties(schema).items()}
    return {**changed, "properties": own} if own else changed


def _inside(schema: Schema, value: object) -> object:
    found = amount(schema, value)
    least, most = number(schema, "sliderMin"), number(schema, "sliderMax")
    if found is None or least is None or most is None or least <= found <= most:
        return value
    nearest = min(max(found, least), most)
    return f"{nearest:g}{unit(schema)}" if isinstance(value, str) else nearest
