"""The first moments of the rendering worker: an empty network namespace, then Helm in the same process.

Run as `python -I -m etabli.catalog.worker MEMORY_MIB OUTPUT_MIB CPU_SECONDS`. A separate module, because loading Helm starts threads,
and unshare(2) makes user namespaces only for a process that has none. Where the machine forbids them, Helm runs with the network it
has: its templates have no function that uses it.
"""

import ctypes
import os
import sys

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # sched.h
HELM = "etabli.catalog.helm"


def main() -> None:
    """Leave the network, then become `helm.py`."""
    ctypes.CDLL(None).unshare(CLONE_NEWUSER | CLONE_NEWNET)
    os.execv(sys.executable, [sys.executable, "-I", "-m", HELM, *sys.argv[1:]])


if __name__ == "__main__":
    main()
