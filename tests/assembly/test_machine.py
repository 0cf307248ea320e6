"""Settings beside where they come from, secrets masked; components as the supervisor left them; logs without what may be a key."""

import os
from pathlib import Path

import pytest

from etabli.admin.machine import without_secrets
from etabli.assembly import configuration, processes
from etabli.assembly.machine import LocalMachine
from etabli.components import models, plan, status
from etabli.kernel.settings import Layout

TOML = """\
# Where the lab answers.
[lab]
name = "Labo"

[services]
# More than usual.
"per_project" = 9
lifetime_days = 7

[[catalog.catalogs]]
id = "ide"
location = "builtin"

[mail]
host = "smtp.example.org"
sender = "lab@example.org"
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(data=tmp_path / "data", run=tmp_path / "run")
    layout.make()
    layout.settings.write_text(TOML)
    return layout


def machine(layout: Layout, **environ: str) -> LocalMachine:
    return LocalMachine(layout, configuration.load(layout), environ)


def test_each_setting_tells_its_value_and_where_it_comes_from(layout: Layout) -> None:
    found = {(one.section, one.key): one for one in machine(layout, ETABLI_RUN="/x").settings()}
    name = found["lab", "name"]
    assert (name.value, name.origin, name.line, name.default) == ('"Labo"', "file", 3, '"Etabli"')
    assert (found["services", "per_project"].line, found["services", "per_project"].value) == (7, "9")
    assert found["services", "lifetime_days"].origin == "file"  # Said, though it is the default.
    assert (found["services", "kept_days"].origin, found["services", "kept_days"].line) == ("default", None)
    assert found["catalog", "catalogs"].line == 10
    assert found["environment", "ETABLI_RUN"].origin == "environment"
    assert found["environment", "ETABLI_DATA"].origin == "default"
    assert all(one.description for one in found.values())


def test_a_lab_without_a_file_has_its_defaults(layout: Layout) -> None:
    layout.settings.unlink()
    shown = LocalMachine(layout, configuration.load(layout), {}).settings()
    assert {one.origin for one in shown} == {"default"}


def test_components_are_told_with_their_memory_and_last_words(layout: Layout) -> None:
    assert machine(layout).components() == ()
    parts = [
        models.Component(name=name, argv=("/bin/true",), folder=layout.components / name, version="1.2")
        for name in ("caddy", "openbao")
    ]
    for part in parts:
        part.folder.mkdir()
    parts[0].log.write_text("GET /x?code=hunter2 key s3cr3ts3cr3ts3cr3ts3cr3ts3cr3t in /var/lib/etabli/caddy\n")
    plan.save(models.Plan(data=layout.data, run=layout.run, components=tuple(parts)), processes.path(layout))
    running = models.Status("caddy", models.State.RUNNING, True, os.getpid(), "2026-11-24T10:00:00+00:00", starts=2)
    status.write(layout.run, [running])
    supervisor, caddy, openbao = machine(layout).components()
    assert (supervisor.name, supervisor.ready) == ("supervisor", False)
    assert (caddy.version, caddy.starts, openbao.state) == ("1.2", 2, "stopped")
    assert "hunter2" not in caddy.words
    assert "s3cr3t" not in caddy.words
    assert "/var/lib/etabli/caddy" in caddy.words


@pytest.mark.parametrize(
    "secret", ["eyJhbGciOiJSUzI1NiIsInR5cCI6", "hvs.CAESIJlWh3x0pQ8kYb2mZ1uV7tR4", "0123456789abcdef0123456789abcdef"]
)
def test_what_may_be_a_key_is_taken_out_of_a_log(secret: str) -> None:
    assert secret not in without_secrets(f"started with {secret} at 10:00")
