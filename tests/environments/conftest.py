"""A folder of environments, a folder of tiny wheels, and a lab's environments over them: real uv, real bwrap, no network."""

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

import pytest

from etabli.environments.service import Environments
from etabli.environments.settings import EnvironmentSettings
from etabli.kernel.clock import SystemClock
from etabli.kernel.events import Events
from tests.environments.plain import PlainBuilder

MakeLab = Callable[..., Environments]
LEFT_OUT: dict[str, str] = {}


def leave_out(what: str, reason: str) -> NoReturn:
    """Leave a test out for what this machine lacks, and say so at the end."""
    LEFT_OUT[what] = reason
    pytest.skip(reason)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was left out, and why."""
    for what, reason in LEFT_OUT.items():
        terminalreporter.write_line(f"left out: {what}, because {reason}")


def make_wheel(folder: Path, name: str, version: str = "1.0", *, files: Mapping[str, str] | None = None) -> Path:
    """A pure wheel (PEP 427) whose module `name` holds `VERSION`, or the given files."""
    folder.mkdir(exist_ok=True)
    info = f"{name}-{version}.dist-info"
    content = dict(files or {f"{name}.py": f"VERSION = {version!r}\n"})
    content[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content[f"{info}/WHEEL"] = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    content[f"{info}/RECORD"] = "".join(f"{path},,\n" for path in [*content, f"{info}/RECORD"])
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in content.items():
            archive.writestr(zipfile.ZipInfo(path), text)
    return wheel


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    make_wheel(folder, "alpha")
    make_wheel(folder, "beta", "2.5")
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where environments are; `small` has two packages."""
    write_environment(tmp_path / "environments", "small", {"requirements.txt": "alpha\nbeta>=2\n"})
    return tmp_path / "environments"


@pytest.fixture
def builder() -> PlainBuilder:
    return PlainBuilder()


@pytest.fixture
def make_lab(tmp_path: Path, wheels: Path, folder: Path, builder: PlainBuilder) -> MakeLab:
    """Another process's view of the same lab: `make_lab()` twice shares the folder and nothing else."""

    def make(**changes: object) -> Environments:
        given: dict[str, object] = {
            "folders": (folder,),
            "root": tmp_path / "lab",
            "builder": builder,
            "events": Events(),
            "clock": SystemClock(),
            "environ": {"PIP_FIND_LINKS": str(wheels), "PIP_NO_INDEX": "1", "HOME": str(tmp_path)},
            "settings": EnvironmentSettings(warm=("small",)),
        }
        return Environments(**{**given, **changes})  # type: ignore[arg-type] # Each test changes what it is about.

    return make


@pytest.fixture
def lab(make_lab: MakeLab) -> Environments:
    return make_lab()


def write_environment(folder: Path, name: str, files: Mapping[str, str]) -> Path:
    """Write an environment's folder; a name that ends in `postBuild` may be executed."""
    for path, text in files.items():
        target = folder / name / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        if path == "postBuild":
            target.chmod(0o755)
    return folder / name
