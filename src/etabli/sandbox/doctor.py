"""What holds on this machine, and the command that would make it better. Looks, and changes nothing.

The one thing that cannot be seen by looking is whether this user may make namespaces: that is tried, in a child that ends at once.
"""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from etabli.sandbox import ids, limits
from etabli.sandbox.models import Finding, Firmness
from etabli.sandbox.settings import SandboxSettings

_SYSCTL = Path("/proc/sys")
_TRY = "import ctypes,sys; sys.exit(ctypes.CDLL(None).unshare(0x10000000 | 0x40000000 | 0x20000) != 0)"
_TRY_S = 10
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def findings(settings: SandboxSettings, limiter: limits.Limiter) -> tuple[Finding, ...]:
    """One finding for each wall and each limit."""
    return (
        _namespaces(),
        _uids(settings),
        _services(settings),
        _internet(settings),
        _memory(limiter),
        _cpu(limiter),
        _processes(limiter),
        _disk(),
    )


def _namespaces() -> Finding:
    done = subprocess.run([sys.executable, "-I", "-S", "-c", _TRY], check=False, timeout=_TRY_S)
    if done.returncode == 0:
        return Finding(
            "namespaces", Firmness.ENFORCED, "sandboxes have users, files, processes and networks of their own"
        )
    if _sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1":
        cure = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, kept by a file in /etc/sysctl.d"
        return Finding("namespaces", Firmness.NONE, "AppArmor forbids ordinary users to make user namespaces", cure)
    if _sysctl("kernel/unprivileged_userns_clone") == "0":
        cure = "sysctl -w kernel.unprivileged_userns_clone=1, kept by a file in /etc/sysctl.d"
        return Finding("namespaces", Firmness.NONE, "the kernel forbids ordinary users to make user namespaces", cure)
    if _sysctl("user/max_user_namespaces") == "0":
        cure = "sysctl -w user.max_user_namespaces=15000, kept by a file in /etc/sysctl.d"
        return Finding("namespaces", Firmness.NONE, "this machine allows no user namespace at all", cure)
    message = "this user cannot make namespaces; inside a container, its runtime may forbid it"
    return Finding("namespaces", Firmness.NONE, message, "run the lab on the machine itself, or allow `unshare`")


def _uids(settings: SandboxSettings) -> Finding:
    if not settings.subordinate_ids:
        return Finding(
            "uids", Firmness.NONE, "all projects run with the lab's own uid: `sandbox.subordinate_ids` is off"
        )
    if not (shutil.which("newuidmap") and shutil.which("newgidmap")):
        message = "all projects run with the lab's own uid: `newuidmap` is missing"
        return Finding("uids", Firmness.NONE, message, "apt install uidmap")
    found = ids.find_subordinate_ids()
    if found is None:
        message = "all projects run with the lab's own uid: it was given no subordinate ids"
        return Finding(
            "uids", Firmness.NONE, message, f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {_me()}"
        )
    return Finding("uids", Firmness.ENFORCED, f"each project has a uid of its own, of {found.count - 1}")


def _services(settings: SandboxSettings) -> Finding:
    if _tool("nft", settings.nft):
        return Finding("services", Firmness.ENFORCED, "Services have an address of their own")
    return Finding("services", Firmness.NONE, "Services have no address: `nft` is missing", "apt install nftables")


def _internet(settings: SandboxSettings) -> Finding:
    if not settings.internet:
        return Finding("internet", Firmness.ENFORCED, "services reach the lab alone: `sandbox.internet` is off")
    missing = [name for name in ("pasta", "nft") if not _tool(name, getattr(settings, name))]
    if missing:
        packages = " ".join({"pasta": "passt", "nft": "nftables"}[name] for name in missing)
        message = f"services reach the lab alone: `{'`, `'.join(missing)}` is missing"
        return Finding("internet", Firmness.NONE, message, f"apt install {packages}")
    if not Path("/dev/net/tun").exists():
        message = "services reach the lab alone: /dev/net/tun is missing"
        return Finding("internet", Firmness.NONE, message, "modprobe tun")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        message = "services reach the lab alone: /dev/net/tun is closed to this user"
        return Finding("internet", Firmness.NONE, message, "chmod 0666 /dev/net/tun, as udev does")
    message = "services reach the internet, and neither this machine's loopback nor a cloud's metadata address"
    return Finding("internet", Firmness.ENFORCED, message)


def _memory(limiter: limits.Limiter) -> Finding:
    if limiter.firmness is Firmness.BEST_EFFORT:
        message = "a watchdog ends services beyond their memory, while the lab runs"
        return Finding("memory", Firmness.BEST_EFFORT, message, _delegation())
    return Finding("memory", limiter.firmness, f"limited by {limiter.name}; /tmp and /dev/shm are counted")


def _cpu(limiter: limits.Limiter) -> Finding:
    if limiter.firmness is Firmness.BEST_EFFORT:
        return Finding("cpu", Firmness.NONE, "services share the processors as they come", _delegation())
    return Finding("cpu", limiter.firmness, f"limited by {limiter.name}")


def _processes(limiter: limits.Limiter) -> Finding:
    if limiter.firmness is Firmness.BEST_EFFORT:
        return Finding(
            "processes", Firmness.ENFORCED, "limited by RLIMIT_NPROC, counted in each sandbox's user namespace"
        )
    return Finding("processes", limiter.firmness, f"limited by {limiter.name}")


def _disk() -> Finding:
    return Finding("disk", Firmness.NONE, "volumes and what is written over an environment are not limited")


def _delegation() -> str:
    if (limits.CGROUP_ROOT / "cgroup.controllers").exists():
        return "etabli service install, which has systemd delegate cgroups; or start the lab once as root"
    return "start the lab once as root: it prepares cgroups and goes on as an ordinary user"


def _tool(name: str, chosen: Path | None) -> bool:
    return shutil.which(str(chosen) if chosen is not None else name, path=_SYSTEM_PATH) is not None


def _sysctl(name: str) -> str:
    with contextlib.suppress(OSError):
        return (_SYSCTL / name).read_text().strip()
    return ""


def _me() -> str:
    return os.environ.get("USER") or str(os.getuid())
