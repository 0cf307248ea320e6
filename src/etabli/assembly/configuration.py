"""All settings of a lab, read once; and what is fixed when it first starts.

Domain, port and scheme never change afterwards: addresses are signed (S3), kept (links, bookmarks) and named in tokens (`iss`).
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from etabli.audit.settings import AuditSettings
from etabli.backup.settings import BackupSettings
from etabli.catalog.settings import CatalogSettings
from etabli.components.settings import FrontDoorSettings
from etabli.engines.process.settings import ProcessSettings
from etabli.environments.settings import EnvironmentSettings
from etabli.identity.settings import IdentitySettings
from etabli.kernel import errors, files, settings
from etabli.mail.settings import MailSettings
from etabli.sandbox.settings import SandboxSettings
from etabli.services.settings import ServicesSettings
from etabli.storage.settings import StorageSettings
from etabli.web.settings import BrandingSettings

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
    branding: BrandingSettings  # As it was at the start: pages read it again (web.branding).
    audit: AuditSettings
    mail: MailSettings
    backup: BackupSettings


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
    "branding": BrandingSettings,
    "audit": AuditSettings,
    "mail": MailSettings,
    "backup": BackupSettings,
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


@contextmanager
def fixed_at_first_start(layout: settings.Layout, options: StartOptions) -> Iterator[Configuration]:
    """`fix_at_first_start` for what is done inside: a start that is refused fixes nothing, so that the next may say otherwise."""
    before = layout.settings.read_bytes() if layout.settings.exists() else None
    fix_at_first_start(layout, options)
    try:
        yield load(layout)
    except errors.EtabliError:
        if layout.database.exists():
            raise
        if before is None:
            layout.settings.unlink()
        else:
            files.write_atomically(layout.settings, before)
        raise


def fix_at_first_start(layout: settings.Layout, options: StartOptions) -> None:
    """Write in `etabli.toml` where the lab answers, after what an administrator wrote there before the first start.

    Refused where options would move a lab that has started, or say other than the file.
    """
    lab, door, content = _lab_section(options), _door_section(options), settings.read(layout.settings)
    if "lab" in content or layout.database.exists():
        _refuse_moving(load(layout), lab, door)
        return
    if "front_door" in content:
        _refuse_moving(load(layout), {}, door)
        door = {}
    _check(lab, door)
    text = "# Where the lab answers is fixed at its first start: addresses are signed and kept.\n"
    text += _toml("lab", {**_defaults(), **lab})
    if door:
        text += "\n" + _toml("front_door", door)
    before = layout.settings.read_text() + "\n" if content else ""
    files.write_atomically(layout.settings, before + text)


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
    for name, path in (("certificate", options.certificate), ("key", options.key)):
        if path is not None:
            section |= {"certificates": "files", name: str(path.absolute())}  # The front door has a folder of its own.
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


def _refuse_moving(kept: Configuration, lab: Mapping[str, object], door: Mapping[str, object]) -> None:
    for key, value in lab.items():
        if (held := getattr(kept.lab, key)) != value:
            raise errors.Refused(
                f"this lab answers with {key} `{held}` since its first start, not `{value}`",
                hint="addresses are signed and kept; another lab is another data folder (ETABLI_DATA)",
            )
    for key, value in door.items():
        if str(held := getattr(kept.front_door, key)) != value:
            raise errors.Refused(
                f"this lab was started with {key} `{held}`, not `{value}`",
                hint=f"change `[front_door]` in `{settings.FILE_NAME}` of its data folder, then `etabli up`",
            )


def _toml(name: str, section: Mapping[str, object]) -> str:
    """A section of plain values. A JSON string, number or boolean is TOML too (TOML 1.0, basic strings)."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in section.items()]
    return "\n".join([f"[{name}]", *lines]) + "\n"
