"""Pins, against what is installed and what is asked for."""

import tomllib
from pathlib import Path

import pytest

from etabli.components import versions

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", versions.PINS)
def test_a_pinned_binary_is_there_and_is_the_one_that_the_project_asks_for(name: str) -> None:
    pin = versions.PINS[name]
    found = versions.binary(name)
    assert found.is_file()
    assert found.read_bytes()[:4] == b"\x7fELF"  # The program itself, not a wrapper that signals do not pass.
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert f"{pin.package}=={pin.version}" in asked
    assert versions.named(name) == f"{name} {pin.version}"
