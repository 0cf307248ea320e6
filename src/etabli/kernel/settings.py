"""Settings: one file, `etabli.toml`, one model per room, every field described; unknown keys are errors.

Nothing is read at import. `main` reads the file once and gives each room its own section. Folders are a `Layout`, given to whoever
needs them by whoever made it.
"""

import hashlib
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from etabli.kernel import errors, files

FILE_NAME = "etabli.toml"
LONGEST_RUN = (
    107 - len("/up/") - 32
)  # A UNIX socket's path (unix(7)), less the longest name in the run folder: an upstream's key.


class Section(BaseModel):
    """The base of every room's settings."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LabSettings(Section):
    """`[lab]`: what the lab is called and where it answers. Fixed at first start: addresses are signed and kept."""

    name: str = Field(default="Etabli", description="What people read in titles and e-mails.")
    domain: str = Field(
        default="etabli.localhost", description="Where the portal answers; services are under `svc.` of it."
    )
    port: int = Field(default=8000, ge=1, le=65535, description="The front door's port; 443 where a domain is given.")
    listen: str = Field(default="127.0.0.1", description="The address the front door listens on.")
    https: bool = Field(
        default=False, description="Whether addresses are https; a domain other than *.localhost needs it."
    )
    language: str = Field(default="en", description="The language of who has not chosen: `en` or `fr`.")

    @property
    def origin(self) -> str:
        """The portal's origin, `http://etabli.localhost:8000`."""
        return self.origin_of(self.domain)

    @property
    def services_domain(self) -> str:
        """Under which every service has a host of its own."""
        return f"svc.{self.domain}"

    @property
    def s3_origin(self) -> str:
        """Where S3 answers, inside services and outside alike: the host is signed."""
        return self.origin_of(f"s3.{self.domain}")

    @property
    def vault_origin(self) -> str:
        """Where the vault's few paths answer."""
        return self.origin_of(f"vault.{self.domain}")

    def origin_of(self, host: str) -> str:
        """`scheme://host[:port]`, the port left out where it is the scheme's own."""
        scheme, own = ("https", 443) if self.https else ("http", 80)
        return f"{scheme}://{host}" + ("" if self.port == own else f":{self.port}")


@dataclass(frozen=True)
class Layout:
    """Every folder and socket of one lab. `data` lasts; `run` may vanish with a reboot."""

    data: Path
    run: Path  # Short: a UNIX socket's path has at most 107 bytes (unix(7)).

    @property
    def settings(self) -> Path:
        return self.data / FILE_NAME

    @property
    def database(self) -> Path:
        return self.data / "etabli.db"

    @property
    def keys(self) -> Path:
        """Keys and tokens of the lab itself, 0600, made once."""
        return self.data / "keys"

    @property
    def root_certificate(self) -> Path:
        """The root of the lab's own certificate authority, 0644: to hand to other devices."""
        return self.data / "root.crt"

    @property
    def components(self) -> Path:
        """One folder for each component: its configuration, its data, its log."""
        return self.data / "components"

    @property
    def environments(self) -> Path:
        return self.data / "environments"

    @property
    def engine(self) -> Path:
        """The process engine's own state: projects, services, volumes."""
        return self.data / "engine"

    @property
    def upstreams(self) -> Path:
        """The one folder under which the front door resolves upstream keys: sockets that no sandbox can write."""
        return self.run / "up"

    def socket(self, name: str) -> Path:
        """`portal`, `authoriser`, `credentials`, `s3`, `vault`…"""
        return self.run / f"{name}.sock"

    def make(self) -> None:
        """Make the folders, for their owner alone."""
        for folder in (self.data, self.run, self.keys, self.components, self.environments, self.engine, self.upstreams):
            files.private_folder(folder)


def default_layout(environ: Mapping[str, str]) -> Layout:
    """`ETABLI_DATA`, else `$XDG_DATA_HOME/etabli`; `ETABLI_RUN`, else `run` in the data folder, else a short folder of this user's.

    Never `XDG_RUNTIME_DIR`: it is removed when the person signs out, and the lab with its notebooks goes on.
    """
    home = Path(environ.get("HOME", "/"))
    data = Path(environ.get("ETABLI_DATA") or Path(environ.get("XDG_DATA_HOME") or home / ".local/share") / "etabli")
    if chosen := environ.get("ETABLI_RUN"):
        return Layout(data=data, run=Path(chosen))
    inside = data.resolve() / "run"
    if len(str(inside)) <= LONGEST_RUN:
        return Layout(data=data, run=inside)
    return Layout(data=data, run=Path(f"/tmp/etabli-{os.getuid()}") / f"etabli-{_short_hash(str(data.resolve()))}")


Model = TypeVar("Model", bound=Section)


def read(path: Path) -> Mapping[str, object]:
    """The file's sections; empty where there is no file. Invalid where it is not TOML."""
    try:
        return tomllib.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.Invalid(f"`{path}` is not TOML: {error}", hint="correct the file, then start again") from error


def section(model: type[Model], content: Mapping[str, object], name: str) -> Model:
    """One room's settings. Invalid names the wrong key as `name.key`."""
    try:
        return model.model_validate(content.get(name, {}))
    except ValidationError as error:
        fields = {".".join([name, *map(str, item["loc"])]): item["msg"] for item in error.errors()}
        raise errors.Invalid(
            f"`{FILE_NAME}` has a wrong setting: " + "; ".join(f"`{key}`: {text}" for key, text in fields.items()),
            hint="docs/administrator/settings.md lists every setting",
            fields=fields,
        ) from error


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
