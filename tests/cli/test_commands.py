"""The command line against the real portal over its socket: what it prints, what it says when refused, and its exit status."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import structlog
import uvicorn
import yaml
from starlette.requests import Request

from etabli.assembly.local import LocalLab
from etabli.cli import app, client
from etabli.kernel import errors, settings
from etabli.services import models
from etabli.web import problems
from tests.web import lab as labs

REFUSED, INVALID, NOT_FOUND, FORBIDDEN, CONFLICT, UNAVAILABLE = 1, 2, 3, 4, 5, 75


@dataclass(frozen=True)
class Said:
    """What a command did."""

    status: int
    out: str
    err: str


@dataclass
class Terminal:
    """Where commands are typed."""

    lab: labs.Lab
    layout: settings.Layout
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    async def type(self, *words: str) -> Said:
        self.patch.setattr(sys, "argv", ["etabli", *words])
        environ = {"HOME": str(self.layout.data)}
        commands = app.create(LocalLab(layout=self.layout, environ=environ), environ=environ)
        self.captured.readouterr()
        status = await asyncio.to_thread(app.run, commands)
        return Said(status, *self.captured.readouterr())


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[settings.Layout]:
    with tempfile.TemporaryDirectory(prefix="etb-", dir="/tmp") as run:
        yield settings.Layout(data=tmp_path / "data", run=Path(run))


@pytest.fixture
async def terminal(
    tmp_path: Path, layout: settings.Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> AsyncIterator[Terminal]:
    async with labs.opened(tmp_path) as lab, _answering(lab, layout.socket("portal")):
        # What the portal tells of its work would be mixed with what the command prints: both are this process.
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        ada = await lab.admin()
        await lab.person("Bob", by=ada)
        yield Terminal(lab, layout, monkeypatch, capsys)
    structlog.reset_defaults()


@asynccontextmanager
async def _answering(lab: labs.Lab, path: Path) -> AsyncIterator[None]:
    server = uvicorn.Server(uvicorn.Config(lab.web, uds=str(path), lifespan="off", log_config=None))
    task = asyncio.create_task(server.serve())
    async for _ in labs.polled():
        if server.started:
            break
    try:
        yield
    finally:
        server.should_exit = True
        await task


async def test_a_service_from_launch_to_removal(terminal: Terminal) -> None:
    launched = await terminal.type("launch", "notebook", "--name", "Prices", "--set", "userPreferences.lines=200")
    service_id = launched.out.strip()
    assert (launched.status, launched.err, len(service_id)) == (0, "", 10)
    ada = await terminal.lab.rooms.identity.people.named(slug="ada-lovelace")
    service = await terminal.lab.until(ada, service_id, models.State.READY)
    assert service.values["userPreferences"] == {"lines": 200}

    listed = await terminal.type("ls")
    assert [line.split()[:4] for line in listed.out.splitlines()[1:]] == [[service_id, "Prices", "notebook", "ready"]]
    shown = yaml.safe_load((await terminal.type("show", service_id)).out)
    assert (shown["name"], shown["state"]) == ("Prices", "ready")
    assert (await terminal.type("logs", service_id)).status == 0
    for command in ("stop", "resume", "extend", "rm"):
        assert await terminal.type(command, service_id) == Said(0, "", "")
    async for _ in labs.polled():
        if (await terminal.type("show", service_id)).status == NOT_FOUND:
            break  # Accepted at once, done after.


async def test_values_come_from_a_file_and_are_set_over_it(terminal: Terminal, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text("userPreferences: {lines: 300, language: fr}\n")
    said = await terminal.type("launch", "notebook", "--values", str(values), "--set", "userPreferences.lines=400")
    ada = await terminal.lab.rooms.identity.people.named(slug="ada-lovelace")
    service = await terminal.lab.rooms.services.get(user_id=ada.id, service_id=said.out.strip())
    assert service.values["userPreferences"] == {"lines": 400, "language": "fr"}


@pytest.mark.parametrize(
    ("words", "status", "sentences"),
    [
        (("show", "nobody"), NOT_FOUND, ["error: ", "hint: "]),
        (("rm", "nobody"), NOT_FOUND, ["error: "]),
        (("logs", "nobody"), NOT_FOUND, ["error: "]),
        (("show", "../../people"), NOT_FOUND, ["error: "]),
        (("launch", "nothing"), NOT_FOUND, ["error: there is no chart `nothing`", "hint: "]),
        (("launch", "ide/nothing"), NOT_FOUND, ["error: "]),
        (("launch", "nowhere/notebook"), NOT_FOUND, ["error: "]),
        (("launch", "notebook", "--project", "else"), NOT_FOUND, ["error: "]),
        (("launch", "notebook", "--set", "resources"), INVALID, ["error: `resources` is not PATH=VALUE", "hint: "]),
        (("launch", "notebook", "--set", "a..b=1"), INVALID, ["is not PATH=VALUE"]),
        (("launch", "notebook", "--set", "a=1", "--set", "a.b=1"), INVALID, ["`a.b` goes through a value"]),
        (("launch", "notebook", "--set", "a=[1"), INVALID, ["error: `a` is not set to YAML"]),
        (("launch", "notebook", "--set", "userPreferences.lines=1"), INVALID, ["userPreferences.lines: "]),
        (("launch", "notebook", "--name", "x" * 101), INVALID, ["error: ", "name: "]),
        (("--as", "nobody", "ls"), NOT_FOUND, ["error: "]),
        (("--as", "bob", "invite"), FORBIDDEN, ["error: "]),
        (("invite", "--role", "king", "--project", "p"), INVALID, ["error: "]),
        (("projects", "create", "Bob", "--slug", "bob"), CONFLICT, ["error: "]),
        (("open", "nobody"), NOT_FOUND, ["error: "]),
        (("what",), INVALID, ["No such command"]),
        (("launch",), INVALID, ["Missing argument"]),
        (("launch", "notebook", "--values", "/nowhere"), INVALID, ["/nowhere"]),
        (("status",), NOT_FOUND, ["error: no lab was started from this data folder", "hint: `etabli up` starts one"]),
        (("down",), NOT_FOUND, ["error: no lab was started from this data folder"]),
    ],
)
async def test_what_is_refused_is_said_on_standard_error(
    terminal: Terminal, words: tuple[str, ...], status: int, sentences: list[str]
) -> None:
    said = await terminal.type(*words)
    assert (said.status, said.out) == (status, ""), said
    assert [sentence for sentence in sentences if sentence not in said.err] == [], said
    assert "Traceback" not in said.err


async def test_a_file_of_values_that_is_none_is_refused(terminal: Terminal, tmp_path: Path) -> None:
    for text in ("- a\n", "a: [\n", "\x00"):
        (tmp_path / "values.yaml").write_text(text)
        said = await terminal.type("launch", "notebook", "--values", str(tmp_path / "values.yaml"))
        assert said.status == INVALID
        assert said.err.startswith("error: the file of values is not")


async def test_somebody_elses_service_is_as_one_that_is_not(terminal: Terminal) -> None:
    ada = await terminal.lab.rooms.identity.people.named(slug="ada-lovelace")
    service = await terminal.lab.launched(ada)
    for command in ("show", "logs", "stop", "resume", "extend", "rm"):
        hers = await terminal.type("--as", "bob", command, service.id)
        none = await terminal.type("--as", "bob", command, "abcdefghij")
        assert hers.status == none.status == NOT_FOUND
        assert hers.err.replace(service.id, "") == none.err.replace("abcdefghij", "")


async def test_people_and_projects(terminal: Terminal) -> None:
    made = await terminal.type("projects", "create", "Prices of bread", "--slug", "bread")
    assert made == Said(0, "bread\n", "")
    assert ["bread", "owner", "Prices", "of", "bread"] in words_of(await terminal.type("projects", "ls"))
    link = (await terminal.type("invite", "--project", "bread", "--role", "viewer")).out
    assert link.startswith(f"{terminal.lab.rooms.lab.origin}/welcome?token=")


async def test_a_project_from_its_making_to_its_leaving(terminal: Terminal) -> None:
    ada = (await terminal.lab.rooms.identity.people.first_admin()).slug
    projects = ("projects", "create", "Bread", "--data", "open", "--description", "*All* of it")
    assert (await terminal.type(*projects)).out == "bread\n"
    shown = yaml.safe_load((await terminal.type("projects", "show", "bread")).out)
    assert (shown["data_class"]["id"], shown["description"], shown["bucket"]) == ("open", "*All* of it", "bread")
    await terminal.type("projects", "describe", "bread", "--name", "Loaves")
    assert (await terminal.type("projects", "member", "bread", "bob", "--role", "viewer")).status == 0
    assert (await terminal.type("projects", "hand-over", "bread", "nobody")).status == NOT_FOUND
    assert (await terminal.type("projects", "leave", "bread")).status == CONFLICT
    assert (await terminal.type("projects", "invite", "bread", "--uses", "2")).out.count("/welcome?token=") == 1
    (_, (link, *_rest)) = words_of(await terminal.type("projects", "links", "bread"))
    assert (await terminal.type("projects", "uninvite", "bread", link)).status == 0
    assert (await terminal.type("projects", "archive", "bread")).status == 0
    assert ["bread", "owner", "Loaves"] in words_of(await terminal.type("projects", "ls", "--archived"))
    assert (await terminal.type("projects", "reopen", "bread")).status == 0
    assert (await terminal.type("projects", "hand-over", "bread", "bob")).status == 0
    assert (await terminal.type("--as", "bob", "projects", "remove", "bread", ada)).status == 0
    assert (await terminal.type("projects", "show", "bread")).status == NOT_FOUND
    assert [words[0] for words in words_of(await terminal.type("projects", "classes"))][1:3] == ["internal", "open"]
    assert [words[0] for words in words_of(await terminal.type("--as", "bob", "projects", "members", "bread"))][1:] == [
        "bob"
    ]


def words_of(said: Said) -> list[list[str]]:
    """The rows of a table."""
    return [line.split() for line in said.out.splitlines()]


async def test_a_name_that_looks_like_markup_is_shown_as_it_is(terminal: Terminal) -> None:
    await terminal.type("launch", "notebook", "--name", "[red]é[/red] 'x' \"y\" $(z)")
    assert "[red]é[/red] 'x' \"y\" $(z)" in (await terminal.type("ls")).out
    assert "`[b]`" in (await terminal.type("launch", "[b]")).err


@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning"
)  # httpcore leaves the socket that failed.
@pytest.mark.parametrize("words", [("ls",), ("launch", "notebook"), ("show", "abcdefghij"), ("invite",)])
async def test_a_lab_that_is_not_there_is_said(
    layout: settings.Layout, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(sys, "argv", ["etabli", *words])
    status = await asyncio.to_thread(
        app.run, app.create(LocalLab(layout=layout, environ={}), environ={"HOME": str(layout.data)})
    )
    out, err = capsys.readouterr()
    assert (status, out) == (UNAVAILABLE, "")
    assert err == (
        "error: the lab does not answer on this machine\nhint: start it with `etabli up`, or see `etabli status`\n"
    )
    gc.collect()  # What was left complains here, not in whichever test comes next.


async def test_a_reader_that_goes_away_is_no_error(terminal: Terminal) -> None:
    ada = await terminal.lab.rooms.identity.people.named(slug="ada-lovelace")
    await terminal.lab.launched(ada)
    environ = {**os.environ, "ETABLI_DATA": str(terminal.layout.data), "ETABLI_RUN": str(terminal.layout.run)}
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "etabli.main", "ls"]
    done = await asyncio.to_thread(
        subprocess.run, command, env=environ, stdout=writing, stderr=subprocess.PIPE, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_full_project_is_told_from_a_conflict() -> None:
    answer = problems.as_json(Request({"type": "http"}), errors.QuotaExceeded("the project is full", hint="stop one"))
    told = client.error_of(httpx.Response(answer.status_code, content=bytes(answer.body)))
    assert (type(told), told.message, told.hint) == (errors.QuotaExceeded, "the project is full", "stop one")
    assert app.EXIT_STATUS[errors.QuotaExceeded] != app.EXIT_STATUS[errors.Conflict]


async def test_outside_providers_are_tried(terminal: Terminal) -> None:
    said = await terminal.type("admin", "providers", "check")
    assert (said.status, said.err) == (0, "")


async def test_who_cannot_get_in_is_let_in_again_from_the_machine(terminal: Terminal) -> None:
    rooms = terminal.lab.rooms
    ada = await rooms.identity.people.first_admin()
    assert f"etabli link NAME (the first administrator is {ada.slug})" in (await terminal.type("link")).out
    for command in (("link", ada.slug), ("admin", "reset-link", ada.slug)):
        said = await terminal.type(*command)
        assert said.out.startswith(f"{rooms.lab.origin}/reset?token=")
        reset = await rooms.identity.resets.look(token=said.out.strip().partition("=")[2])
        assert (reset.user, reset.removes_factors) == (ada, command[0] == "link")
    assert (await terminal.type("admin", "reset-link", "nobody-here")).status == NOT_FOUND


async def test_terms_from_their_publishing_to_their_end(terminal: Terminal, tmp_path: Path) -> None:
    rooms = terminal.lab.rooms
    ada = await rooms.identity.people.first_admin()
    text = tmp_path / "terms.md"
    text.write_text("# Be kind\n")
    assert (await terminal.type("admin", "terms", "publish", "--en", str(text))).out == "1\n"
    assert (await terminal.type("admin", "terms", "show")).out == "# Be kind\n"
    await rooms.identity.terms.accept(user=ada, version=1)
    assert [ada.slug, "1"] in [words[:2] for words in words_of(await terminal.type("admin", "terms", "accepted"))]
    assert (await terminal.type("admin", "terms", "withdraw")).status == 0
    assert (await terminal.type("admin", "terms", "show")).status == NOT_FOUND
    missing = await terminal.type("admin", "terms", "publish", "--fr", str(tmp_path / "none.md"))
    assert "cannot be read as text" in missing.err
