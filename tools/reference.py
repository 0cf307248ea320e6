"""The pages that are made from the code, so that they cannot tell another story: settings, commands, what of Kubernetes is honoured.

Each is a pure function of the code: the same sources give the same bytes, whatever the machine.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal, Union, get_args, get_origin

import annotated_types
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from typer import core

from etabli.assembly import configuration, local
from etabli.cli import app
from etabli.engines.process import tables
from etabli.kernel import errors, settings

TREE = Path(__file__).resolve().parent.parent
MADE = "<!-- Made by `make docs` from the code: change the code, not this page. -->"
LEFT_OUT = "*left out*"
WORDS: Mapping[object, str] = {
    str: "text",
    bool: "true or false",
    int: "whole number",
    float: "number",
    Path: "path",
}
PLACES: Mapping[str, str] = {
    "kind": "Kinds",
    "workload": "Deployment, StatefulSet, Job: `spec`",
    "pod": "A pod: `spec.template.spec`",
    "container": "A container",
    "probe": "A probe",
    "http": "`httpGet` of a probe",
    "tcp": "`tcpSocket` of a probe",
    "exec": "`exec` of a probe",
    "resources": "`resources`",
    "quantity": "Each of `requests` and `limits`",
    "pod security": "`securityContext` of a pod",
    "container security": "`securityContext` of a container",
    "capabilities": "`capabilities`",
    "volume": "A volume",
    "emptyDir": "`emptyDir`",
    "files": "`secret` and `configMap` volumes",
    "projected": "`projected`",
    "source": "Each of the sources of `projected`",
    "item": "Each of `items`",
    "claim": "`persistentVolumeClaim` of a volume",
    "mount": "Each of `volumeMounts`",
    "env": "Each of `env`",
    "value from": "`valueFrom`",
    "env from": "Each of `envFrom`",
    "port": "Each of a container's `ports`",
    "service": "A Service: `spec`",
    "service port": "Each of a Service's `ports`",
    "ingress": "An Ingress: `spec`",
    "rule": "Each rule of an Ingress",
    "ingress path": "Each path of a rule",
    "pvc": "A PersistentVolumeClaim: `spec`",
}


def pages() -> Mapping[Path, str]:
    """Every page that is made, whole, by its path in the tree."""
    made: Mapping[str, Callable[[], str]] = {
        "docs/administrator/settings.md": settings_page,
        "docs/administrator/commands.md": commands_page,
        "docs/author/manifests.md": manifests_page,
    }
    return {TREE / path: "\n".join([MADE, make()]) for path, make in made.items()}


def settings_page() -> str:
    """Every key of `etabli.toml`."""
    lines = [
        "# Settings",
        "",
        "One file, `etabli.toml`, in the lab's data folder (`ETABLI_DATA`, else `~/.local/share/etabli`). It is written at the first",
        "start, with where the lab answers; everything else has a default. A key that is left out keeps its default; an unknown key,",
        "or a value out of bounds, stops the start with its name. `etabli down`, then `etabli up`, reads the file again.",
        "",
        "`[lab]` domain, port and https are fixed once the lab has started: addresses are signed and kept.",
    ]
    for name, model in configuration.SECTIONS.items():
        lines += ["", *_section(f"[{name}]", name, model)]
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """Every command, its arguments and its options."""
    nowhere = settings.Layout(data=Path("/data"), run=Path("/run"))
    root = typer.main.get_command(app.create(local.LocalLab(layout=nowhere, environ={}), environ={}))
    lines = [
        "# Commands",
        "",
        "`etabli` talks to the lab of this machine whose folders are `ETABLI_DATA` and `ETABLI_RUN`. In a checkout it is",
        "`.venv/bin/etabli`.",
        "Results are on standard output, messages on standard error.",
        "",
        "| exit status | |",
        "| --- | --- |",
        *(f"| {status} | {_first_sentence(kind)} |" for kind, status in _statuses()),
        "",
        "Before a command:",
        "",
        *_options(root),
    ]
    for path, command in _commands(root, ()):
        lines += ["", f"## etabli {' '.join(path)}", "", command.help or "", "", "```", _usage(path, command), "```"]
        if rows := _options(command):
            lines += ["", *rows]
    return "\n".join(lines) + "\n"


def manifests_page() -> str:
    """What the process engine honours, takes without effect, and refuses."""
    lines = [
        "# What of Kubernetes runs on one machine",
        "",
        "A lab of one machine reads a chart's rendered manifests and runs each pod as a sandbox. Every key is in one of three tables:",
        "*honoured*, *taken without effect* (nothing is lost by it), or *refused* by name before anything starts, when it asks for",
        "something. A key that is in none of them is refused too: a chart never runs otherwise than it reads.",
        "A list element is written `Each of …`. `apiVersion`, `metadata` and annotations are read as names and labels alone.",
    ]
    for place in dict.fromkeys([*tables.HONOURED, *tables.ACCEPTED, *tables.REFUSED]):
        lines += ["", f"## {PLACES[place]}", "", "| key | | |", "| --- | --- | --- |"]
        for word, table in (
            ("honoured", tables.HONOURED),
            ("without effect", tables.ACCEPTED),
            ("**refused**", tables.REFUSED),
        ):
            lines += [f"| `{key}` | {word} | {_cell(reason)} |" for key, reason in table.get(place, {}).items()]
    return "\n".join(lines) + "\n"


# Settings


def _section(heading: str, name: str, model: type[BaseModel]) -> Iterator[str]:
    yield f"## `{heading}`"
    yield ""
    if said := _said(model):
        yield said
        yield ""
    yield "| key | type | default | what it means |"
    yield "| --- | --- | --- | --- |"
    inner: list[tuple[str, str, type[BaseModel]]] = []
    for key, field in model.model_fields.items():
        nested, several = _nested(field)
        path = f"{name}.{key}"
        if nested is not None:
            brackets = f"[[{path}]]" if several else f"[{path}]"
            inner.append((brackets, path, nested))
            kind = f"{'tables' if several else 'a table'} `{brackets}`, below"
            yield f"| `{key}` | {kind} | {_ids(field) if several else ''} | {_cell(field.description)} |"
        else:
            yield f"| `{key}` | {_type(field)} | {_default(field)} | {_cell(field.description)} |"
    for brackets, path, nested in inner:
        yield ""
        yield from _section(brackets, path, nested)


def _said(model: type[BaseModel]) -> str:
    """What a model says of itself, without the name that the heading has already."""
    text = " ".join((model.__doc__ or "").split())
    if text.startswith("`["):
        text = text.partition("`")[2].partition("`")[2].lstrip(":. ")
    return text[:1].upper() + text[1:]


def _nested(field: FieldInfo) -> tuple[type[BaseModel] | None, bool]:
    for candidate in (field.annotation, *get_args(field.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate, candidate is not field.annotation
    return None, False


def _type(field: FieldInfo) -> str:
    return _word(field.annotation) + _bounds(field.metadata)


def _word(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _word(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{one}`" for one in arguments)
    if origin in (Union, types.UnionType):
        return _word(next(one for one in arguments if one is not type(None)))
    if origin in (list, tuple):
        return f"list of {_word(arguments[0])}s"
    if origin is dict:
        inner = _word(arguments[1])
        return "table of " + (inner.replace("list", "lists", 1) if inner.startswith("list") else f"{inner}s")
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{one.value}`" for one in annotation)
    return WORDS[annotation]


def _bounds(metadata: Sequence[object]) -> str:
    least = next((f"{one.ge}" for one in metadata if isinstance(one, annotated_types.Ge)), "")
    most = next((f"{one.le}" for one in metadata if isinstance(one, annotated_types.Le)), "")
    above = next((f"{one.gt}" for one in metadata if isinstance(one, annotated_types.Gt)), "")
    if least and most:
        return f", {least} to {most}"
    return f", at least {least}" if least else f", above {above}" if above else f", at most {most}" if most else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "*required*"
    value = field.get_default(call_default_factory=True)
    if value is None:
        return LEFT_OUT
    if isinstance(value, tuple):
        value = list(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _ids(field: FieldInfo) -> str:
    """What a list of tables holds by default, by their ids."""
    return ", ".join(f"`{one.id}`" for one in field.get_default(call_default_factory=True))


# Commands


def _statuses() -> Iterator[tuple[type[errors.EtabliError], int]]:
    """What ends with which status; `Refused` stands for every other error."""
    return ((kind, status) for kind, status in app.EXIT_STATUS.items() if kind is not errors.EtabliError)


def _commands(
    command: core.TyperGroup | object, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], core.TyperCommand]]:
    """Every command that does something, in the order of the help."""
    if isinstance(command, core.TyperGroup):
        for name, inner in command.commands.items():
            yield from _commands(inner, (*path, name))
    elif isinstance(command, core.TyperCommand):
        yield path, command


def _usage(path: tuple[str, ...], command: core.TyperCommand) -> str:
    words = ["etabli", *path]
    if any(isinstance(one, core.TyperOption) for one in command.params):
        words.append("[OPTIONS]")
    places = [one for one in command.params if isinstance(one, core.TyperArgument)]
    return " ".join([*words, *((one.name or "").upper() + ("…" if one.nargs == -1 else "") for one in places)])


def _options(command: object) -> list[str]:
    assert isinstance(command, core.TyperCommand | core.TyperGroup)
    rows = []
    for one in command.params:
        if isinstance(one, core.TyperArgument) and one.help:
            rows.append(f"| `{(one.name or '').upper()}` | {_cell(one.help)} |")
        elif isinstance(one, core.TyperOption):
            word = "" if one.is_flag else f" {one.metavar or (one.name or '').rpartition('_')[2].upper()}"
            default = (
                f" Default: `{one.default}`."
                if isinstance(one.default, int | str) and one.default and not one.is_flag
                else ""
            )
            names = ", ".join(f"`{name}{word}`" for name in one.opts)
            rows.append(f"| {names} | {_cell(one.help)}{default} |")
    return ["| | |", "| --- | --- |", *rows] if rows else []


def _first_sentence(kind: type[errors.EtabliError]) -> str:
    """What an error says of itself."""
    return _cell(kind.__doc__).partition(". ")[0].rstrip(".")


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
