"""What only root can do for sandboxes, once a boot, before the lab goes on as an ordinary user. Everything here may be repeated.

Nothing of it is needed for walls to stand; without it some limits are best effort, and `doctor` says which.
"""

import stat
from collections.abc import Sequence
from pathlib import Path

from etabli.sandbox import limits

TUN = Path("/dev/net/tun")
_ANYONE = 0o666  # As udev sets it on every desktop and server: a tap is made in one's own network namespace alone.


def prepare_machine(uid: int, gid: int) -> Sequence[str]:
    """Prepare the machine for the lab of a user; answers what was done, a phrase each."""
    done = []
    if limits.prepare_cgroups(uid, gid):
        done.append("cgroups for sandboxes")
    if TUN.exists() and stat.S_IMODE(TUN.stat().st_mode) != _ANYONE:
        TUN.chmod(_ANYONE)
        done.append(f"access to {TUN}")
    return done
