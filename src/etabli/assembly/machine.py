"""The machine's side of a lab as administrators see it: components from the supervisor's file, settings with where they come from."""

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, SecretStr

from etabli.admin.machine import MASK, Component, Setting, without_secrets
from etabli.assembly import processes
from etabli.assembly.configuration import SECTIONS, Configuration
from etabli.components import journal, plan, status
from etabli.kernel import errors, settings

SECRET_NAME = re.compile(r"secret|password|token|private|credential", re.IGNORECASE)
HEADER = re.compile(r"\[{1,2}\s*([^\]]+?)\s*\]{1,2}\s*(#.*)?")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
LONGEST = 2000  # Characters of a value.
ENVIRONMENT = {"ETABLI_DATA": "Where the lab's data lasts.", "ETABLI_RUN": "Where its sockets are."}


@dataclass(frozen=True)
class LocalMachine:
    """Keeps `admin.machine.Supervised` for the lab of this machine."""

    layout: settings.Layout
    configuration: Configuration
    environ: Mapping[str, str]

    def components(self) -> tuple[Component, ...]:
        """As the supervisor wrote them last, corrected by the processes themselves; none before it ever ran."""
        try:
            the_plan = plan.load(processes.path(self.layout))
        except errors.EtabliError:
            return ()
        snapshot = status.read(the_plan)
        parts = {part.name: part for part in the_plan.components}
        watched = snapshot.supervisor is not None
        supervisor = Component(
            name="supervisor",
            state="running" if watched else "stopped",
            ready=watched,
            since="",
            version="",
            pid=snapshot.supervisor,
            memory_bytes=_resident(snapshot.supervisor),
            starts=0,
            failures=0,
            words="",
        )
        return (
            supervisor,
            *(
                Component(
                    name=one.name,
                    state=one.state.value,
                    ready=one.ready,
                    since=one.since,
                    version=parts[one.name].version,
                    pid=one.pid,
                    memory_bytes=_resident(one.pid),
                    starts=one.starts,
                    failures=one.failures,
                    words=without_secrets(one.words or journal.last_words(parts[one.name].log, since=0)),
                )
                for one in snapshot.components
            ),
        )

    def settings(self) -> tuple[Setting, ...]:
        """What this process runs with, section by section; the environment's last."""
        text = self.layout.settings.read_text() if self.layout.settings.exists() else ""
        given = tomllib.loads(text) if text else {}
        found = [
            _setting(name, field, getattr(self.configuration, name), given.get(name, {}), text)
            for name, model in SECTIONS.items()
            for field in model.model_fields
        ]
        folders = {"ETABLI_DATA": self.layout.data, "ETABLI_RUN": self.layout.run}
        return (
            *found,
            *(
                Setting(
                    section="environment",
                    key=name,
                    value=json.dumps(str(folders[name])),
                    default="",
                    origin="environment" if name in self.environ else "default",
                    line=None,
                    description=description,
                )
                for name, description in ENVIRONMENT.items()
            ),
        )


def _setting(section: str, key: str, model: settings.Section, given: Mapping[str, object], text: str) -> Setting:
    field = type(model).model_fields[key]
    is_given = key in given
    default = "" if field.is_required() else _shown(key, field.get_default(call_default_factory=True))
    return Setting(
        section=section,
        key=key,
        value=_shown(key, getattr(model, key)),
        default=default,
        origin="file" if is_given else "default",
        line=_line(text, section, key) if is_given else None,
        description=field.description or "",
    )


def _shown(name: str, value: object) -> str:
    return json.dumps(_plain(name, value), ensure_ascii=False, default=str)[:LONGEST]


def _plain(name: str, value: object) -> object:
    """A value as JSON knows it; whatever is a secret by its name or its type is masked."""
    if isinstance(value, SecretStr) or (SECRET_NAME.search(name) and value not in (None, "", False, True)):
        return MASK
    if isinstance(value, BaseModel):
        return {key: _plain(key, getattr(value, key)) for key in type(value).model_fields}
    if isinstance(value, Mapping):
        return {str(key): _plain(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(name, inner) for inner in value]
    if isinstance(value, Path):
        return str(value)
    return value


def _line(text: str, section: str, key: str) -> int | None:
    """Where the file sets a key: its line in the section's table, or the first table of its own (`[[section.key]]`)."""
    within = ""
    assigned = re.compile(rf'"?{re.escape(key)}"?\s*[=.]')
    dotted = re.compile(rf"{re.escape(section)}\.{re.escape(key)}\s*[=.]")
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if header := HEADER.fullmatch(line):
            within = header[1].replace('"', "").replace(" ", "")
            if within == f"{section}.{key}" or within.startswith(f"{section}.{key}."):
                return number
        elif (within == section and assigned.match(line)) or (not within and dotted.match(line)):
            return number
    return None


def _resident(pid: int | None) -> int | None:
    if pid is None:
        return None
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None  # It ended this very moment.
