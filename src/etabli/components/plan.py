"""A plan as a file: `main` writes it, the supervisor reads it, `down` and `status` too. It is 0600: environments are in it."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etabli.components import models
from etabli.kernel import errors, files

FILE_NAME = "plan.json"  # In `Layout.components`.


def save(plan: models.Plan, path: Path) -> None:
    """Write the plan, after `check`."""
    check(plan)
    files.write_atomically(path, json.dumps(dataclasses.asdict(plan), default=str, indent=1))


def load(path: Path) -> models.Plan:
    """Read a plan. NotFound where none was written, Invalid where it is not one."""
    try:
        raw = json.loads(path.read_text())
        components = tuple(_component(item) for item in raw["components"])
        plan = models.Plan(data=Path(raw["data"]), run=Path(raw["run"]), components=components)
    except FileNotFoundError as error:
        raise errors.NotFound("no lab was started from this data folder", hint="`etabli up` starts one") from error
    except (ValueError, KeyError, TypeError) as error:
        raise errors.Invalid(f"`{path}` is not a plan of this version", hint="`etabli up` writes it anew") from error
    check(plan)
    return plan


def check(plan: models.Plan) -> None:
    """Refuse with Invalid a plan whose names repeat, whose needs are unknown or go in a circle."""
    names = [component.name for component in plan.components]
    if len(set(names)) != len(names):
        raise errors.Invalid("two components have one name", fields={"components": ", ".join(names)})
    for component in plan.components:
        if unknown := set(component.needs) - set(names):
            raise errors.Invalid(f"`{component.name}` needs what is not there: `{', '.join(sorted(unknown))}`")
    levels(plan)


def levels(plan: models.Plan) -> list[list[models.Component]]:
    """The components in order of start: each level needs only those before it. Invalid where needs go in a circle."""
    left = {component.name: component for component in plan.components}
    ordered: list[list[models.Component]] = []
    while left:
        free = [component for component in left.values() if not any(need in left for need in component.needs)]
        if not free:
            raise errors.Invalid(f"these need one another: `{', '.join(sorted(left))}`")
        ordered.append(free)
        for component in free:
            del left[component.name]
    return ordered


def _component(raw: Mapping[str, Any]) -> models.Component:
    values = dict(raw)
    for name in ("argv", "needs", "places"):
        values[name] = tuple(values.get(name, ()))
    values["folder"] = Path(values["folder"])
    values["files"] = tuple(Path(item) for item in values["files"])
    values["ports"] = tuple(models.Port(**item) for item in values["ports"])
    if values["health"] is not None:
        values["health"] = _health(values["health"])
    return models.Component(**values)


def _health(raw: Mapping[str, Any]) -> models.Health:
    return models.Health(**{**raw, "socket": Path(raw["socket"]), "statuses": tuple(raw["statuses"])})
