"""`[environments]`: where environments come from, and what builds may use."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from etabli.kernel.settings import Section


class EnvironmentSettings(Section):
    """Package indexes, proxies and certificate authorities are read from where pip and uv read them; see `indexes.py`."""

    store: Path | None = Field(
        default=None, description="Where trees and downloads are kept, some GiB; empty: in the lab's data folder."
    )
    folders: tuple[Path, ...] = Field(
        default=(), description="Folders of environments beside the built-in ones; the first that has a name gives it."
    )
    base: Literal["host", "debian-13"] = Field(
        default="host",
        description="What environments stand on that do not say it themselves: this machine's own system, or a whole "
        "Debian 13 that the lab makes once, with `mmdebstrap` (some 300 MiB, one to three minutes).",
    )
    debian_mirror: str | None = Field(
        default=None,
        description="Address of the Debian archive that the base `debian-13` is made from; empty: the one that this "
        "machine's apt uses, or the tool's own default.",
    )
    warm: tuple[str, ...] = Field(
        default=("jupyter-python",), description="Environments that are built in the background when the lab starts."
    )
    build_memory_bytes: int | None = Field(
        default=4 << 30, description="Memory of one build, in bytes; empty is no limit of its own."
    )
    build_minutes: int = Field(default=60, ge=1, description="A build that takes longer is ended, in minutes.")
    share_index_credentials: bool = Field(
        default=False,
        description="Whether services get the user names and passwords that this machine's package index addresses hold, "
        "and the scripts of builds; uv itself always does, and what it prints is masked.",
    )
