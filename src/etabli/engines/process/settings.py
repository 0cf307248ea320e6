"""`[engine]`: how much of the machine services may be granted, and how they are kept."""

import os

from pydantic import Field

from etabli.engines import contract
from etabli.kernel.settings import Section

SPARED = 0.9  # Of the machine's memory: the rest is the lab's own and the system's.


class ProcessSettings(Section):
    """Empty amounts mean what the machine has: all cores, nine tenths of its memory."""

    cpu: float | None = Field(default=None, gt=0, description="Cores that requests of services may reserve in all.")
    memory_bytes: int | None = Field(
        default=None, gt=0, description="Bytes of memory that requests may reserve in all."
    )
    log_bytes: int = Field(default=10 << 20, ge=4096, description="How much of each container's log is kept, in bytes.")
    default_memory_bytes: int = Field(
        default=0, ge=0, description="The memory limit of a container that asks for none, in bytes; 0 is no limit."
    )
    linger_seconds: float = Field(
        default=300,
        ge=0,
        description="How long a project's network outlives its last service: the next one starts faster.",
    )
    heal_seconds: float = Field(
        default=3, gt=0, description="How often the ground of a project with running services is looked after."
    )

    def total(self) -> contract.Resources:
        """What may be granted here."""
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return contract.Resources(
            cpu=self.cpu or float(len(os.sched_getaffinity(0))),
            memory_bytes=self.memory_bytes or int(memory * SPARED),
        )
