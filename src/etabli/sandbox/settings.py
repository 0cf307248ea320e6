"""`[sandbox]`: where the tools of the machine are, and what sandboxes share."""

from pathlib import Path

from pydantic import Field

from etabli.kernel.settings import Section


class SandboxSettings(Section):
    """Empty paths mean: look for it in PATH and the usual folders."""

    pasta: Path | None = Field(default=None, description="`pasta` (package passt), which gives sandboxes the internet.")
    nft: Path | None = Field(default=None, description="`nft` (package nftables), which gives Services an address.")
    internet: bool = Field(default=True, description="Whether services may reach beyond the lab.")
    shared_memory_bytes: int = Field(default=1 << 30, description="The size of a pod's /dev/shm, in bytes.")
    subordinate_ids: bool = Field(
        default=True, description="Give each project a host uid of its own where the machine allows it."
    )
