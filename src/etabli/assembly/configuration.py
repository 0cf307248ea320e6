"""All settings of a lab, read once; and what is fixed when it first starts.

Domain, port and scheme never change afterwards: addresses are signed (S3), kept (links, bookmarks) and named in tokens (`iss`).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from etabli.catalog.settings import CatalogSettings
from etabli.components.settings import FrontDoorSettings
from etabli.engines.process.settings import ProcessSettings
from etabli.environments.settings import EnvironmentSettings
from etabli.identity.settings import IdentitySettings
from etabli.kernel import errors, files, settings
from etabli.sandbox.settings import SandboxSettings
from etabli.services.settings import ServicesSettings
from etabli.storage.settings import StorageSettings

HTTPS_PORT = 443
ANYWHERE = "0.0.0.0"


@dataclass(frozen=True)
class Configuration:
    """One model per room, each a section of `etabli.toml`."""

    lab: settings.LabSettings
    front_door: FrontDoorSettings
    identity: IdentitySettings
    services: ServicesSettings
    catalog: CatalogSettings
    environments: EnvironmentSettings
    engine: ProcessSettings
    sandbox: SandboxSettings
    storage: StorageSettings


SECTIONS: Mapping[str, type[settings.Section]] = {
    "lab": settings.LabSettings,
    "front_door": FrontDoorSettings,
    "identity": IdentitySettings,
    "services": ServicesSettings,
    "catalog": CatalogSettings,
    "environments": EnvironmentSettings,
    "engine": ProcessSettings,
    "sandbox": SandboxSettings,
    "storage": StorageSettings,
}


@dataclass(frozen=True)
class StartOptions:
    """What `etabli up` may say of where the lab answers; None is not said."""

    domain: str | None = None
    port: int | None = None
    listen: str | None = None
    certificates: str | None = None  # `internal`, `files`, `on-demand`.
    certificate: Path | None = None
    key: Path | None = None


def load(layout: settings.Layout) -> Configuration:
    """Every section of the lab's file. Invalid names a wrong key or an unknown section."""
    content = settings.read(layout.settings)
    unknown = content.keys() - SECTIONS.keys()
    if unknown:
        name = sorted(unknown)[0]
        raise errors.Invalid(
            f"`{settings.FILE_NAME}` has a section that Etabli does not know: `[{name}]`",
            hint=f"its sections are {', '.join(f'`[{known}]`' for known in SECTIONS)}",
            fields={name: "unknown section"},
        )
    return Configuration(**{name: settings.section(model, content, name) for name, model in SECTIONS.items()})  # type: ignore[arg-type] # Each name has its own model.


def fix_at_first_start(layout: settings.Layout, options: StartOptions) -> None:
    """Write `etabli.toml` where there is none; refuse options that would move a lab that has started."""
    lab = _lab_section(options)
    door = _door_section(options)
    if layout.settings.exists():
        _refuse_moving(settings.read(layout.settings), {"lab": lab, "front_door": door})
        return
    _check(lab, door)
    text = "# Where the lab answers is fixed at its first start: addresses are signed and kept.\n"
    text += _toml("lab", {**_defaults(), **lab})
    if door:
        text += "\n" + _toml("front_door", door)
    files.write_atomically(layout.settings, text)


def _lab_section(options: StartOptions) -> dict[str, object]:
    section: dict[str, object] = {}
    if options.domain is not None:
        https = not options.domain.endswith(".localhost")
        section = {"domain": options.domain, "https": https}
        if https:
            section |= {"port": HTTPS_PORT, "listen": ANYWHERE}
    if options.port is not None:
        section["port"] = options.port
    if options.listen is not None:
        section["listen"] = options.listen
    return section


def _door_section(options: StartOptions) -> dict[str, object]:
    section: dict[str, object] = {}
    if options.certificate is not None or options.key is not None:
        section = {"certificates": "files", "certificate": str(options.certificate), "key": str(options.key)}
    if options.certificates is not None:
        section["certificates"] = options.certificates
    return section


def _defaults() -> dict[str, object]:
    lab = settings.LabSettings()
    return {"domain": lab.domain, "port": lab.port, "listen": lab.listen, "https": lab.https}


def _check(lab: Mapping[str, object], door: Mapping[str, object]) -> None:
    """The sections as their models read them: a wrong option is refused before it is written."""
    settings.section(settings.LabSettings, {"lab": lab}, "lab")
    settings.section(FrontDoorSettings, {"front_door": door}, "front_door")


def _refuse_moving(content: Mapping[str, object], asked: Mapping[str, Mapping[str, object]]) -> None:
    for name, section in asked.items():
        kept = content.get(name, {})
        for key, value in section.items():
            if isinstance(kept, Mapping) and key in kept and kept[key] != value:
                raise errors.Refused(
                    f"this lab answers with {key} `{kept[key]}` since its first start, not `{value}`",
                    hint="addresses are signed and kept; another lab is another data folder (ETABLI_DATA)",
                )


def _toml(name: str, section: Mapping[str, object]) -> str:
    """A section of plain values. A JSON string, number or boolean is TOML too (TOML 1.0, basic strings)."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in section.items()]
    return "\n".join([f"[{name}]", *lines]) + "\n"
