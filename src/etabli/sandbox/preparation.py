"""What only root can do for sandboxes, once a boot, before the lab goes on as an ordinary user. Everything here may be repeated.

`python -m etabli.sandbox.preparation USER`, as root: `make up` and the systemd unit call it.

Nothing of it is needed for walls to stand; without it some limits are best effort, and `doctor` says which.
"""

import pwd
import stat
import sys
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


def main() -> None:
    """Prepare the machine for the user named on the command line, and say what was done."""
    person = pwd.getpwnam(sys.argv[1])
    for done in prepare_machine(person.pw_uid, person.pw_gid):
        print(f"etabli: prepared {done}", file=sys.stderr)


if __name__ == "__main__":
    main()
