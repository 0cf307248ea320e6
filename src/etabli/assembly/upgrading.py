"""From one Etabli to another under running services: a backup, the new version's own `up`, and the way back where it does not
answer.

Only the portal and the authoriser change: the stores, the front door and services run on. The version that runs does all of this:
it is the one that is known to work. Where the new one does not come up in time, it is ended, the database is put back as it was
right before, and the former version is started again, from where it lay: that folder is kept until the administrator removes it.
"""

import asyncio
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from etabli.assembly import backups, configuration, processes, revisions
from etabli.components import child, models, plan, status
from etabli.door import component as authoriser
from etabli.kernel import errors, files, settings
from etabli.kernel.processes import ProcessRef, send_signal

CONTROLLER = (processes.PORTAL, authoriser.NAME)
LEAVE_SECONDS = 15.0  # How long a supervisor may take to let go.
GRACE_SECONDS = 10.0
VERSION = "import etabli.main; from etabli.assembly import processes; print(processes.fingerprint())"
TREE = Path(__file__).resolve().parents[3]
REF = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


@dataclass(frozen=True)
class Request:
    """What is upgraded to."""

    to: str  # A folder with `.venv` (a checkout), a virtual environment, or a tag or commit of the checkout that we run from.
    within_seconds: float  # How long the new version may take until it answers.
    backup: bool


def upgrade(layout: settings.Layout, request: Request, *, environ: Mapping[str, str], now: datetime) -> str:
    """Bring the lab to the new version; what was done, in words. Refused, with the lab as it was, where that did not work."""
    components, watcher = _components(layout), status.supervisor(layout.data)
    new, version = _interpreter(request.to, layout)
    if watcher is not None and any(one.version == version for one in components if one.name == processes.PORTAL):
        raise errors.Conflict(f"the lab runs the version of `{request.to}` already", hint="`etabli status` shows it")
    former = next((Path(one.argv[0]) for one in components if one.name == processes.PORTAL), Path(sys.executable))
    if request.backup:
        _back_up(layout, environ)
    folder = files.private_folder(layout.data / "backups")
    copy = folder / f"before-upgrade-{now:%Y%m%dT%H%M%S}.db"
    if layout.database.exists():
        backups.copy_database(layout.database, copy)
    failure = _up(new, layout, environ, request.within_seconds)
    if failure is None:
        return (
            f"the lab is upgraded, by `{new}`: services ran on\n"
            f"Its commands are that folder's from now on: `{new.parent / 'etabli'}`; at boot, `etabli service install` of it"
        )
    if watcher is not None and status.supervisor(layout.data) == watcher:  # It refused before it touched anything.
        raise errors.Refused(f"the new version refuses this lab: {failure}", hint="nothing was changed")
    _say(f"the new version does not answer: {failure}")
    asyncio.run(_take_back(layout, components, copy))
    again = _up(former, layout, environ, request.within_seconds)
    if again is not None:
        raise errors.Unavailable(
            f"neither version answers; the former one: {again}",
            hint=f"`etabli status` shows the components; the database as it was is `{copy}`",
        )
    raise errors.Refused(
        f"the new version did not come up, and the lab is back at the former one: {failure}",
        hint="services ran on; `components/portal/log` in the data folder has the new version's last words",
    )


def _back_up(layout: settings.Layout, environ: Mapping[str, str]) -> None:
    """In a process of its own: it gives way to everything, and what is started here must not."""
    if not configuration.load(layout).backup.to:
        _say("no backup is taken, for `[backup]` is not set up: only the database is kept")
        return
    _say("taking a backup")
    argv = [sys.executable, "-m", "etabli.main", "backup", "now"]
    if subprocess.run(argv, env=_environment(layout, environ), cwd="/", check=False).returncode != 0:
        raise errors.Unavailable(
            "the backup before the upgrade failed: nothing was changed",
            hint="mend it as it says, or `--without-backup`",
        )


def _components(layout: settings.Layout) -> tuple[models.Component, ...]:
    """What runs, or ran last, by the plan of its own version: one of a newer version need not be readable here."""
    try:
        return plan.load(processes.path(layout)).components
    except (errors.NotFound, errors.Invalid):
        return ()


def _interpreter(to: str, layout: settings.Layout) -> tuple[Path, str]:
    """The new version's Python, and the digest of its code. Invalid where there is none that has an Etabli."""
    folder = Path(to)
    if not folder.exists():
        folder = _checked_out(to, layout)
    for candidate in (folder / ".venv/bin/python", folder / "bin/python", folder):
        if candidate.is_file() and os.access(candidate, os.X_OK):
            python = candidate.absolute()  # Not resolved: a virtual environment is known by its own link.
            break
    else:
        raise errors.Invalid(
            f"`{to}` holds no Etabli that can be started",
            hint="a checkout in which `make` or `uv sync` made `.venv`, a virtual environment, or a tag of this checkout",
        )
    tried = subprocess.run([python, "-c", VERSION], cwd="/", capture_output=True, text=True, check=False, timeout=60)
    if tried.returncode != 0:
        raise errors.Invalid(
            f"`{python}` has no Etabli that starts: {tried.stderr.strip().rpartition(os.linesep)[2][:300]}",
            hint="the running lab was not touched",
        )
    return python, tried.stdout.strip()


def _checked_out(ref: str, layout: settings.Layout) -> Path:
    """A tag or commit of the checkout that we run from, in a folder of its own with what its lock names."""
    if REF.fullmatch(ref) is None or not (TREE / ".git").exists():
        raise errors.Invalid(f"there is no folder `{ref}`", hint="name the folder of the new version")
    git = ["git", "-c", f"safe.directory={TREE}", "-C", str(TREE)]
    named = subprocess.run(
        [*git, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"], capture_output=True, text=True, check=False
    )
    if named.returncode != 0:
        raise errors.Invalid(f"there is neither a folder nor a tag `{ref}`", hint="`git fetch --tags` brings new tags")
    commit = named.stdout.strip()
    folder = files.private_folder(layout.data / "versions") / commit[:12]
    if folder.exists():
        return folder
    _say(f"getting {ref} ready in {folder}")
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as made:
        archive = subprocess.run([*git, "archive", "--format=tar", commit], capture_output=True, check=True)
        subprocess.run(["tar", "-x", "-C", made], input=archive.stdout, check=True)
        os.rename(made, folder)
        Path(made).mkdir()  # For its context to remove.
    uv = (
        shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}")
        or "uv"
    )
    done = subprocess.run(
        [uv, "sync", "--quiet", "--frozen", "--no-dev", "--python", "/usr/bin/python3"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"},
        check=False,
    )
    if done.returncode != 0:
        shutil.rmtree(folder)
        raise errors.Unavailable(
            f"the packages of `{ref}` could not be installed", hint="the lines above say why; try again"
        )
    return folder


def _up(python: Path, layout: settings.Layout, environ: Mapping[str, str], within_seconds: float) -> str | None:
    """Start a version, or let it take the lab over; None once it answers, else why it does not."""
    try:
        done = subprocess.run(
            [python, "-m", "etabli.main", "up", "--detach"],
            cwd="/",
            env=_environment(layout, environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=within_seconds,
        )
    except subprocess.TimeoutExpired:
        return f"it did not answer within {within_seconds:g} s"
    return None if done.returncode == 0 else " ".join(done.stderr.split())[-700:] or f"it ended with {done.returncode}"


def _environment(layout: settings.Layout, environ: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    return {**kept, "ETABLI_DATA": str(layout.data.absolute()), "ETABLI_RUN": str(layout.run.absolute())}


async def _take_back(layout: settings.Layout, components: tuple[models.Component, ...], copy: Path) -> None:
    """End the new version's supervisor, portal and authoriser alone, then put the database back where it was changed."""
    watcher = status.supervisor(layout.data)
    if watcher is not None:
        await _ended(watcher, signal.SIGHUP)  # It leaves everything running.
    for component in components:
        if component.name in CONTROLLER and (ref := child.find(component)) is not None:
            await child.Child(ref).stop(grace_seconds=GRACE_SECONDS)
    await asyncio.to_thread(_put_back, layout.database, copy)


async def _ended(ref: ProcessRef, number: signal.Signals) -> None:
    leaving = child.Child(ref)
    send_signal(ref, number)
    try:
        await asyncio.wait_for(leaving.ended(), LEAVE_SECONDS)
    except TimeoutError as error:
        raise errors.Unavailable(
            f"process {ref.pid}, the new version's supervisor, does not let go of the lab",
            hint="end it, then `etabli up` with the former version",
        ) from error


def _put_back(database: Path, copy: Path) -> None:
    """Where it was migrated. Nobody has it open. Its journal goes with it: it must not be played over the old one."""
    if not copy.exists() or revisions.current(database) == revisions.current(copy):
        return
    failed = copy.with_name(copy.name.replace("before-upgrade", "after-failed-upgrade"))
    backups.copy_database(database, failed)
    _say(f"the database is put back as it was before; what the new version wrote is kept as `{failed.name}`")
    fresh = database.with_suffix(".back")
    shutil.copyfile(copy, fresh)
    fresh.chmod(files.PRIVATE_FILE)
    for suffix in ("-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    fresh.rename(database)
    files.sync_folder(database.parent)


def _say(text: str) -> None:
    print(f"etabli: {text}", file=sys.stderr, flush=True)
